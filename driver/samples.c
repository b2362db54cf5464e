// SPDX-License-Identifier: GPL-2.0-only
/* The sample of requests that tierctl advise simulates. */
#include "samples.h"

#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "volume.h"

/* A place: a CPU, and behind which of its samples the next one is; NEWEST: behind all of them. */
#define CPU_SHIFT 48
#define NUMBER_MASK ((1ull << CPU_SHIFT) - 1)
#define NEWEST 0

int tiered_samples_init(struct tiered_samples *samples, u32 frames)
{
	u32 entries = tiered_sample_entries(frames, num_possible_cpus());
	size_t bytes = tiered_sample_ring_bytes(entries);
	int cpu;

	samples->rate_log2 = tiered_sample_rate_log2(frames, entries);
	samples->threshold = tiered_sample_threshold(samples->rate_log2);
	samples->opened_ns = ktime_get_ns();
	samples->ring = kcalloc(nr_cpu_ids, sizeof(*samples->ring), GFP_KERNEL);
	if (!samples->ring)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		samples->ring[cpu] = vzalloc_node(bytes, cpu_to_node(cpu));
		if (!samples->ring[cpu])
			return -ENOMEM;
		tiered_sample_ring_init(samples->ring[cpu], entries, samples->rate_log2);
		samples->dram_bytes += bytes;
	}
	return 0;
}

void tiered_samples_exit(struct tiered_samples *samples)
{
	int cpu;

	if (!samples->ring)
		return;
	for_each_possible_cpu(cpu)
		vfree(samples->ring[cpu]);
	kfree(samples->ring);
	*samples = (struct tiered_samples){ 0 };
}

/* What this CPU has counted so far. */
static void count_accesses(struct tiered_stats *stats, struct tiered_sample *sample)
{
	const u64 *counter = this_cpu_ptr(stats->cpu)->counter;

	sample->hits = counter[TIERED_READ_HITS] + counter[TIERED_WRITE_HITS];
	sample->accesses = sample->hits + counter[TIERED_READ_MISSES] + counter[TIERED_WRITE_FILLS] +
			   counter[TIERED_WRITE_BYPASS];
}

void tiered_samples_note(struct tiered_volume *volume, sector_t sector, u32 bytes, bool write, bool more)
{
	struct tiered_samples *samples = &volume->samples;
	sector_t end = sector + (bytes >> TIERED_SECTOR_SHIFT);
	struct tiered_sample sample = { .write = write };
	u32 left;
	int cpu;

	cpu = get_cpu();
	sample.time_us = (ktime_get_ns() - samples->opened_ns) / NSEC_PER_USEC;
	count_accesses(&volume->stats, &sample);
	for (; sector < end; sector += sample.sectors) {
		left = TIERED_SAMPLE_GROUP_SECTORS - sector % TIERED_SAMPLE_GROUP_SECTORS;
		sample.sector = sector;
		sample.sectors = min_t(sector_t, left, end - sector);
		/* Where a group ends, so does what is told of a request. */
		sample.more = more && sample.sectors < left;
		if (tiered_sample_takes(sector / TIERED_SAMPLE_GROUP_SECTORS, samples->threshold))
			tiered_sample_put(samples->ring[cpu], &sample);
	}
	put_cpu();
}

u64 tiered_samples_since_us(const struct tiered_samples *samples)
{
	u64 since_us = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		since_us = max(since_us, tiered_sample_since_us(samples->ring[cpu]));
	return since_us;
}

u64 tiered_samples_next(const struct tiered_samples *samples, u64 place, struct tiered_sample *sample)
{
	u64 cpu = place >> CPU_SHIFT, number = place & NUMBER_MASK;

	for (; cpu < nr_cpu_ids; cpu++, number = NEWEST) {
		if (!samples->ring[cpu])
			continue;
		if (number == NEWEST)
			number = tiered_sample_count(samples->ring[cpu]) + 1;
		/* The number of a sample is one less than that of the place before which it is; 1 is the end. */
		if (number > 1 && tiered_sample_get(samples->ring[cpu], number - 2, sample))
			return cpu << CPU_SHIFT | (number - 1);
	}
	return TIERED_NO_SAMPLE;
}
