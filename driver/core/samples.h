/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A sample of the requests, for what a fast tier of another size would do (tierctl advise): all requests of some
 * pages, and none of the others (spatial sampling, "SHARDS", FAST'15), so that a fast tier as many times smaller sees
 * what the whole one sees. Pages are taken or left in groups, so that the policy sees runs and neighbours: of 64 pages,
 * its region.
 *
 * Groups are taken whose number times the golden ratio has a fraction in the last 1/N of the numbers below 1: these lie
 * as evenly as can be, so that of any range of groups the sample has 1/N to within three, where a random choice of
 * so few would be far off. Group 0, with the superblock of a file system, is never taken.
 */
#ifndef TIERED_CORE_SAMPLES_H
#define TIERED_CORE_SAMPLES_H

#include "policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TIERED_SAMPLE_GROUP_PAGES TIERED_REGION_PAGES
#define TIERED_SAMPLE_GROUP_SECTORS (TIERED_SAMPLE_GROUP_PAGES * 8)

/* A request, or what of it lies in one group. */
struct tiered_sample {
	u64 time_us; /* since the volume was opened, to within 16 */
	u64 sector;
	u32 sectors; /* 1 to TIERED_SAMPLE_GROUP_SECTORS */
	bool write;
	bool more; /* the rest of the request comes next, for its pages were not all resident or all missing */
	/* Pages that the same CPU touched since its last sample, this one among them, and those that frames served. */
	u64 accesses;
	u64 hits;
};

struct tiered_sample_entry {
	u64 where; /* sector, sectors, write, more and the upper bits of the time ... */
	u64 when;  /* ... and its lower ones, accesses and hits */
};

/* What one CPU writes and anybody reads. The newest entries stay. */
struct tiered_sample_ring {
	u64 count; /* of samples, ever */
	u64 accesses; /* that these told of ... */
	u64 hits;     /* ... in units of 2^shift */
	u32 shift;
	u32 entries;
	struct tiered_sample_entry entry[];
};

/* Entries of each of @cpus rings, for a fast tier of so many frames. */
u32 tiered_sample_entries(u32 frames, u32 cpus);
/* One group in 2^N is sampled; this is N. */
u32 tiered_sample_rate_log2(u32 frames, u32 entries);

/* What tiered_sample_takes() wants to be told of the rate. */
static inline u64 tiered_sample_threshold(u32 rate_log2)
{
	return ~0ull << (64 - rate_log2);
}

static inline bool tiered_sample_takes(u64 group, u64 threshold)
{
	return group * 0x9e3779b97f4a7c15ull >= threshold;
}

size_t tiered_sample_ring_bytes(u32 entries);
/* @ring is zeroed. */
void tiered_sample_ring_init(struct tiered_sample_ring *ring, u32 entries, u32 rate_log2);

/* By the ring's CPU, with preemption disabled. @sample->accesses and hits count from the beginning. */
void tiered_sample_put(struct tiered_sample_ring *ring, const struct tiered_sample *sample);

static inline u64 tiered_sample_count(const struct tiered_sample_ring *ring)
{
	return __atomic_load_n(&ring->count, __ATOMIC_ACQUIRE);
}

/* Sample @number, counted from 0, by anybody at any time. False: there is no such sample, or not any more. */
bool tiered_sample_get(const struct tiered_sample_ring *ring, u64 number, struct tiered_sample *sample);

/* The time since when @ring has all samples, in us. */
u64 tiered_sample_since_us(const struct tiered_sample_ring *ring);

#ifdef __cplusplus
}
#endif

#endif
