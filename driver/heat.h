/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What of the volume is in the fast tier, extent by extent. Counted over the frames when somebody asks, so that no
 * request pays for it.
 */
#ifndef TIERED_HEAT_H
#define TIERED_HEAT_H

#include <linux/types.h>

struct tiered_volume;

/* Pages of one extent. */
struct tiered_extent_heat {
	u32 resident;
	u32 dirty;  /* of the resident ones */
	u32 recent; /* of the resident ones, read or written again since reclaim last came by */
};

#define TIERED_NO_EXTENT (~0ull)

/*
 * Moves *@extent on to the first extent that has a resident page, or to TIERED_NO_EXTENT. May sleep. Returns 0, or -EINTR
 * when whoever asked was killed.
 */
int tiered_heat_next(struct tiered_volume *volume, u64 *extent);

/* Counts the pages of @count extents from @extent on into @heat. The same; what moves meanwhile may be missed. */
int tiered_heat_count(struct tiered_volume *volume, u64 extent, struct tiered_extent_heat *heat, u32 count);

#endif
