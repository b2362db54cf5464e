// SPDX-License-Identifier: GPL-2.0-only
/* A sample of the requests: rings, and what is in them. */
#include "samples.h"

/* The memory of all rings together is 4 bytes a frame, within bounds for each. */
#define FRAMES_AN_ENTRY 4
#define ENTRIES_MIN 512u
#define ENTRIES_MAX 32768u
/* And at least so much for all of a small volume. */
#define ENTRIES_OF_ALL 4096u
/*
 * A ring has so many entries for each frame of the simulated fast tier, which is as many times smaller as there are
 * groups for one that is sampled: one that is four times larger has to fill up, and then be looked at for as long,
 * although a single CPU may do all the work.
 */
#define TURNS 8
/* Of few pages all are hot, or none: no more than one in 16 is sampled, so that a sample's cost does not count. */
#define RATE_LOG2_MIN 4

/* A sample's time is in units of 2^14 ns. */
#define TIME_SHIFT 14
#define TIME_LOW_BITS 32

#define SECTOR_BITS 43
#define SECTORS_SHIFT SECTOR_BITS
#define IS_WRITE (1ull << 52)
#define IS_MORE (1ull << 53)
#define TIME_HIGH_SHIFT 54

#define ACCESSES_SHIFT 32
#define HITS_SHIFT 48
#define COUNT_MAX 0xffffull
/* Of so many groups for one that is sampled the pages touched in between are counted one by one. */
#define COUNTED_RATE_LOG2 8

u32 tiered_sample_entries(u32 frames, u32 cpus)
{
	u32 all = frames / FRAMES_AN_ENTRY;
	u32 each = (all > ENTRIES_OF_ALL ? all : ENTRIES_OF_ALL) / cpus;

	if (each < ENTRIES_MIN)
		return ENTRIES_MIN;
	return each < ENTRIES_MAX ? each : ENTRIES_MAX;
}

u32 tiered_sample_rate_log2(u32 frames, u32 entries)
{
	u32 rate_log2 = RATE_LOG2_MIN;

	while (frames >> rate_log2 > entries / TURNS)
		rate_log2++;
	return rate_log2;
}

size_t tiered_sample_ring_bytes(u32 entries)
{
	return sizeof(struct tiered_sample_ring) + (size_t)entries * sizeof(struct tiered_sample_entry);
}

void tiered_sample_ring_init(struct tiered_sample_ring *ring, u32 entries, u32 rate_log2)
{
	ring->entries = entries;
	ring->shift = rate_log2 > COUNTED_RATE_LOG2 ? rate_log2 - COUNTED_RATE_LOG2 : 0;
}

/* What is new of a count, and fits; the rest is told with the next sample. */
static u64 told(u64 *before, u64 now)
{
	u64 fresh = now - *before;

	if (fresh > COUNT_MAX)
		fresh = COUNT_MAX;
	*before += fresh;
	return fresh;
}

void tiered_sample_put(struct tiered_sample_ring *ring, const struct tiered_sample *sample)
{
	struct tiered_sample_entry *entry = &ring->entry[ring->count % ring->entries];
	u64 time = sample->time_us * 1000 >> TIME_SHIFT;
	u64 where = sample->sector | (u64)(sample->sectors - 1) << SECTORS_SHIFT | time >> TIME_LOW_BITS << TIME_HIGH_SHIFT;
	u64 when = (u32)time | told(&ring->accesses, sample->accesses >> ring->shift) << ACCESSES_SHIFT |
		   told(&ring->hits, sample->hits >> ring->shift) << HITS_SHIFT;

	if (sample->write)
		where |= IS_WRITE;
	if (sample->more)
		where |= IS_MORE;
	/* Whoever sees this entry sees that the one before it is complete, and so which one it replaces. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&entry->where, where, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->when, when, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->count, ring->count + 1, __ATOMIC_RELEASE);
}

bool tiered_sample_get(const struct tiered_sample_ring *ring, u64 number, struct tiered_sample *sample)
{
	const struct tiered_sample_entry *entry = &ring->entry[number % ring->entries];
	u64 where, when;

	if (number >= tiered_sample_count(ring))
		return false;
	where = __atomic_load_n(&entry->where, __ATOMIC_RELAXED);
	when = __atomic_load_n(&entry->when, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	/* One more may be on its way into the ring than is counted. */
	if (__atomic_load_n(&ring->count, __ATOMIC_RELAXED) - number >= ring->entries)
		return false;
	sample->time_us = ((where >> TIME_HIGH_SHIFT << TIME_LOW_BITS | (u32)when) << TIME_SHIFT) / 1000;
	sample->sector = where & ((1ull << SECTOR_BITS) - 1);
	sample->sectors = (where >> SECTORS_SHIFT) % TIERED_SAMPLE_GROUP_SECTORS + 1;
	sample->write = where & IS_WRITE;
	sample->more = where & IS_MORE;
	sample->accesses = (when >> ACCESSES_SHIFT & COUNT_MAX) << ring->shift;
	sample->hits = (when >> HITS_SHIFT) << ring->shift;
	return true;
}

u64 tiered_sample_since_us(const struct tiered_sample_ring *ring)
{
	u64 count = tiered_sample_count(ring), number;
	struct tiered_sample sample;

	if (count < ring->entries)
		return 0;
	for (number = count - ring->entries + 1; number < count; number++)
		if (tiered_sample_get(ring, number, &sample))
			return sample.time_us;
	return 0;
}
