/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps free frames in stock: settles rested ones, evicts clean ones (who goes, the policy says or a clock hand), asks for write-back. */
#ifndef TIERED_RECLAIM_H
#define TIERED_RECLAIM_H

#include <linux/types.h>
#include <linux/workqueue.h>

struct tiered_volume;

struct tiered_reclaim {
	struct work_struct work;
	u32 hand; /* of the clock */
	u64 vain_clean; /* the clean frames of which, when last looked at, all were pinned; until a time in jiffies */
	unsigned long vain_until;
};

/* Evicts @frame if it still is clean, and its page is not pinned. */
bool tiered_reclaim_evict(struct tiered_volume *volume, u32 frame);

void tiered_reclaim_init(struct tiered_volume *volume);

/* Starts reclaim when free frames are scarce or bad ones wait to be retired; cheap when not. Any context. */
void tiered_reclaim_poke(struct tiered_volume *volume);

#endif
