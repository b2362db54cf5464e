/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters and sampled latencies, one set a CPU: counting never makes two CPUs share a cache line. */
#ifndef TIERED_STATS_H
#define TIERED_STATS_H

#include <linux/percpu.h>
#include <linux/ktime.h>
#include <linux/types.h>

enum tiered_counter {
	TIERED_READ_HITS,
	TIERED_READ_MISSES,
	TIERED_WRITE_HITS,
	TIERED_WRITE_FILLS,
	TIERED_WRITE_BYPASS,
	TIERED_READ_FILLS,
	TIERED_FILLS_DROPPED,
	TIERED_EVICTIONS,
	TIERED_WRITEBACK_BYTES,
	TIERED_FILL_BYTES,
	TIERED_FLUSHES,
	TIERED_FLUSHES_PASSED,
	TIERED_PARKED,
	TIERED_MEDIA_ERRORS,
	TIERED_MEMORY_FAULTS,
	TIERED_MEMORY_FILLS,
	TIERED_MEMORY_UNMAPS,
	/* Requests of others that a capacity tier served, and their latencies summed up. */
	TIERED_HOME_IOS,
	TIERED_HOME_NS,
	TIERED_COUNTERS
};

enum tiered_path {
	TIERED_PATH_READ_HIT,
	TIERED_PATH_READ_MISS,
	TIERED_PATH_WRITE_FAST,
	TIERED_PATH_WRITE_BYPASS,
	TIERED_PATHS
};

/* Eight buckets an octave (12 % wide) from 1 ns to 2^35 ns = 34 s. */
#define TIERED_LATENCY_STEPS_LOG2 3
#define TIERED_LATENCY_BUCKETS (36 << TIERED_LATENCY_STEPS_LOG2)

struct tiered_stats_cpu {
	u64 counter[TIERED_COUNTERS];
	u32 sample_tick;
	u64 latency[TIERED_PATHS][TIERED_LATENCY_BUCKETS];
};

struct tiered_stats {
	struct tiered_stats_cpu __percpu *cpu;
};

int tiered_stats_init(struct tiered_stats *stats);
void tiered_stats_exit(struct tiered_stats *stats);

static inline void tiered_count(struct tiered_stats *stats, enum tiered_counter counter, u64 by)
{
	this_cpu_add(stats->cpu->counter[counter], by);
}

u64 tiered_stats_sum(struct tiered_stats *stats, enum tiered_counter counter);

/*
 * Starts timing one request in 64: reading the clock costs as much as a tenth of a hit. Returns the time in ns, or 0
 * when this one is not timed.
 */
static inline u64 tiered_latency_start(struct tiered_stats *stats)
{
	if (likely(this_cpu_inc_return(stats->cpu->sample_tick) % 64))
		return 0;
	return ktime_get_ns();
}

/* Ends what tiered_latency_start() began; callable from any context. */
void tiered_latency_end(struct tiered_stats *stats, enum tiered_path path, u64 started_ns);

/* The same for a request that a capacity tier served: write-back is paced by these. */
void tiered_latency_end_home(struct tiered_stats *stats, enum tiered_path path, u64 started_ns);

/* The samples of @path in @bucket, and in *@end_ns the first latency above the bucket. */
u64 tiered_latency_bucket(struct tiered_stats *stats, enum tiered_path path, unsigned int bucket, u64 *end_ns);

/* The latency below which @percent of the samples of @path lie, in ns; 0 without samples. */
u64 tiered_latency_percentile(struct tiered_stats *stats, enum tiered_path path, unsigned int percent);

#endif
