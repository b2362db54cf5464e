/* SPDX-License-Identifier: GPL-2.0-only */
/* The sample of requests that tierctl advise simulates: a ring a CPU (core/samples.h says what is sampled, and how). */
#ifndef TIERED_SAMPLES_H
#define TIERED_SAMPLES_H

#include <linux/blkdev.h>

#include "core/format.h"
#include "core/samples.h"

struct tiered_volume;

struct tiered_samples {
	u64 threshold; /* the rate, as tiered_sample_takes() wants it */
	u32 rate_log2;
	struct tiered_sample_ring **ring; /* by CPU */
	u64 opened_ns;
	u64 dram_bytes;
};

/* Returns 0 or -ENOMEM. */
int tiered_samples_init(struct tiered_samples *samples, u32 frames);
void tiered_samples_exit(struct tiered_samples *samples);

/* The rest of tiered_sample(): notes what of a request lies in groups that are sampled. */
void tiered_samples_note(struct tiered_volume *volume, sector_t sector, u32 bytes, bool write, bool more);

/* Whether some of a request may lie in a group that is sampled. */
static inline bool tiered_samples_want(const struct tiered_samples *samples, sector_t sector, u32 bytes)
{
	u64 group = sector / TIERED_SAMPLE_GROUP_SECTORS;
	u64 last = (sector + (bytes >> TIERED_SECTOR_SHIFT) - 1) / TIERED_SAMPLE_GROUP_SECTORS;

	return group != last || tiered_sample_takes(group, samples->threshold);
}

/* The time since when no sample is missing, in us since the volume was opened. */
u64 tiered_samples_since_us(const struct tiered_samples *samples);

/*
 * The next sample from @place on: one CPU after the other, each from its newest sample to its oldest, so that it ends
 * while more come in. Returns the place after it, or TIERED_NO_SAMPLE when there is none.
 */
#define TIERED_NO_SAMPLE U64_MAX
u64 tiered_samples_next(const struct tiered_samples *samples, u64 place, struct tiered_sample *sample);

#endif
