// SPDX-License-Identifier: GPL-2.0-only
/* Counters and sampled latencies. */
#include "stats.h"

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/log2.h>

int tiered_stats_init(struct tiered_stats *stats)
{
	stats->cpu = alloc_percpu(struct tiered_stats_cpu);
	return stats->cpu ? 0 : -ENOMEM;
}

void tiered_stats_exit(struct tiered_stats *stats)
{
	free_percpu(stats->cpu);
	stats->cpu = NULL;
}

u64 tiered_stats_sum(struct tiered_stats *stats, enum tiered_counter counter)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(stats->cpu, cpu)->counter[counter]);
	return sum;
}

/* Octave and the next three bits below the leading one. */
static unsigned int latency_bucket(u64 ns)
{
	unsigned int octave, step;

	if (ns < (1 << TIERED_LATENCY_STEPS_LOG2))
		return ns;
	octave = ilog2(ns);
	step = ns >> (octave - TIERED_LATENCY_STEPS_LOG2) & ((1 << TIERED_LATENCY_STEPS_LOG2) - 1);
	return min_t(unsigned int, (octave << TIERED_LATENCY_STEPS_LOG2 | step), TIERED_LATENCY_BUCKETS - 1);
}

/* The first value above the bucket. */
static u64 latency_bucket_end_ns(unsigned int bucket)
{
	unsigned int octave = bucket >> TIERED_LATENCY_STEPS_LOG2;
	u64 step = bucket & ((1 << TIERED_LATENCY_STEPS_LOG2) - 1);

	if (octave < TIERED_LATENCY_STEPS_LOG2)
		return bucket + 1;
	return ((1 << TIERED_LATENCY_STEPS_LOG2) + step + 1) << (octave - TIERED_LATENCY_STEPS_LOG2);
}

void tiered_latency_end(struct tiered_stats *stats, enum tiered_path path, u64 started_ns)
{
	if (likely(!started_ns))
		return;
	this_cpu_inc(stats->cpu->latency[path][latency_bucket(ktime_get_ns() - started_ns)]);
}

void tiered_latency_end_home(struct tiered_stats *stats, enum tiered_path path, u64 started_ns)
{
	if (!started_ns)
		return;
	tiered_count(stats, TIERED_HOME_IOS, 1);
	tiered_count(stats, TIERED_HOME_NS, ktime_get_ns() - started_ns);
	tiered_latency_end(stats, path, started_ns);
}

static u64 bucket_sum(struct tiered_stats *stats, enum tiered_path path, unsigned int bucket)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(stats->cpu, cpu)->latency[path][bucket]);
	return sum;
}

u64 tiered_latency_bucket(struct tiered_stats *stats, enum tiered_path path, unsigned int bucket, u64 *end_ns)
{
	*end_ns = latency_bucket_end_ns(bucket);
	return bucket_sum(stats, path, bucket);
}

u64 tiered_latency_percentile(struct tiered_stats *stats, enum tiered_path path, unsigned int percent)
{
	u64 total = 0, seen = 0;
	unsigned int bucket;

	for (bucket = 0; bucket < TIERED_LATENCY_BUCKETS; bucket++)
		total += bucket_sum(stats, path, bucket);
	if (!total)
		return 0;
	for (bucket = 0; bucket < TIERED_LATENCY_BUCKETS; bucket++) {
		seen += bucket_sum(stats, path, bucket);
		if (seen * 100 >= total * percent)
			break;
	}
	return latency_bucket_end_ns(bucket);
}
