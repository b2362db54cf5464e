/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The last decision about each extent, for whoever asks why its pages are where they are. Written where something is
 * decided, which a hit is not.
 */
#ifndef TIERED_WHY_H
#define TIERED_WHY_H

#include <linux/time64.h>
#include <linux/types.h>

#include "core/status.h"

struct tiered_volume;

struct tiered_whys {
	u64 *entry; /* by extent modulo their number, each replaced as a whole */
	u32 mask;
	time64_t opened_s;
};

/* A decision as it is told. */
struct tiered_decision_made {
	u64 extent;
	enum tiered_reason reason;
	u32 age_s;
};

/* An entry for each extent, where they are not too many beside the frames. Returns 0 or -ENOMEM. */
int tiered_whys_init(struct tiered_whys *whys, u64 pages, u32 frames);
void tiered_whys_exit(struct tiered_whys *whys);

static inline u64 tiered_whys_bytes(const struct tiered_whys *whys)
{
	return (whys->mask + 1ull) * sizeof(*whys->entry);
}

/* Notes why @page is, or is not, resident. Any context. */
void tiered_why(struct tiered_volume *volume, u64 page, enum tiered_reason reason);

/*
 * The first decision from the table's place @from on. Returns the place after it, or TIERED_NO_WHY when there is none.
 */
#define TIERED_NO_WHY U32_MAX
u32 tiered_why_next(struct tiered_volume *volume, u32 from, struct tiered_decision_made *made);

#endif
