/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages of mappings that were touched and are not resident: brought in from their homes, whatever that takes. */
#ifndef TIERED_TOUCH_H
#define TIERED_TOUCH_H

#include <linux/types.h>

struct tiered_mappings;
struct tiered_volume;

/* What stands between a fault and its page. */
enum tiered_obstacle {
	TIERED_OBSTACLE_NONE,
	TIERED_OBSTACLE_MISSING, /* not resident */
	TIERED_OBSTACLE_BUSY, /* its home is being written */
	TIERED_OBSTACLE_NO_FRAME,
	TIERED_OBSTACLE_EXCLUDED, /* its range is being zeroed */
	TIERED_OBSTACLE_JUDGED, /* its frame cannot be read, and a worker has to see to that */
	TIERED_OBSTACLE_SUSPENDED,
	TIERED_OBSTACLE_NO_MEMORY, /* for page tables */
	TIERED_OBSTACLE_ERROR, /* nobody will ever get it */
};

/* What only others can end, who may take their time. */
static inline bool tiered_obstacle_is_others(enum tiered_obstacle obstacle)
{
	return obstacle == TIERED_OBSTACLE_EXCLUDED || obstacle == TIERED_OBSTACLE_SUSPENDED;
}

/* These sleep, inside `running`. The first two read up to @pages - 1 pages ahead of @page, and return what is still in the way. */

/* One attempt to make @page resident: NONE, BUSY, NO_FRAME, EXCLUDED or ERROR. */
enum tiered_obstacle tiered_touch_fill(struct tiered_volume *volume, u64 page, u32 pages);

/*
 * Makes @page resident, against bypassing writes that are under way, and waits for a frame. BUSY: they have won, it may
 * be called again. NO_FRAME: the volume stops, or who waits was killed.
 */
enum tiered_obstacle tiered_touch_bring(struct tiered_mappings *mappings, u64 page, u32 pages);

/*
 * Makes @page, which was missing, resident and dirty with the contents @from, and waits for a frame. BUSY: it is resident by
 * now, with other contents. The rest as above.
 */
enum tiered_obstacle tiered_touch_put(struct tiered_mappings *mappings, u64 page, const void *from);

#endif
