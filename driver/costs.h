/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a capacity tier takes for an operation and for each page of it, measured: from reads that had the disk to
 * themselves. Small ones that continue nothing tell of the operation, large ones of the page. Plain averages of integers,
 * updated without a lock: a sample that is lost to a race is not missed.
 */
#ifndef TIERED_COSTS_H
#define TIERED_COSTS_H

#include <linux/atomic.h>
#include <linux/blkdev.h>

#include "core/policy.h"

/* Pages of a read that counts as small at most, and as large at least. */
#define TIERED_COSTS_SMALL_PAGES 2u
#define TIERED_COSTS_LARGE_PAGES 16u

struct tiered_costs {
	atomic_t in_flight; /* at the disk: reads, bypassing writes, FLUSHes; batches of write-back, zeroing */
	u32 small_ns;	    /* what a read of one page takes; 0: not known yet */
	u32 large_ns;	    /* what a large read takes, and of how many pages, on average */
	u32 large_pages_16ths;
};

/* A request goes to the disk. Returns whether it is there alone. */
static inline bool tiered_costs_begin(struct tiered_costs *costs)
{
	return atomic_inc_return(&costs->in_flight) == 1;
}

static inline void tiered_costs_end(struct tiered_costs *costs)
{
	atomic_dec(&costs->in_flight);
}

/* A read of @pages pages that was alone took @ns. Any context. */
void tiered_costs_sample(struct tiered_costs *costs, u32 pages, u64 ns);

/* What is known, or usual for such a disk. The fast tier's costs are constants. */
struct tiered_policy_costs tiered_costs_now(const struct tiered_costs *costs, struct block_device *home);

#endif
