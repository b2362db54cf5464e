/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Forecasts: how much time a page of some kind, left alone for some time, will save, and when.
 *
 * Pages are put into *rows* by what is known about them at their last use, and move through *ages*, intervals of time
 * since then that grow by half octaves. For every row and age three sums are kept, each decaying: how often a page was
 * used again at that age, how much time those uses saved, and for how long pages were of that age (the exposure,
 * sampled). Their quotients are the hazard of the next use and what it saves. From them follow
 *
 *   worth of an age:  the most that a page of that age saves for each unit of frame and time, if it is kept for the best
 *                     time from now on: max over e of (time saved until e) / (frame-time spent until e or the next use).
 *                     This is Gittins' index of keeping the page ("Bandit processes and dynamic allocation indices",
 *                     1979): of all pages, those with the greatest belong into the frames.
 *   profit of a row:  the most that a page just used saves beyond the price of the frame-time that it takes.
 *
 * A row of which little is known borrows from its *parent*, the rows that differ in less, and that from its former age.
 *
 * Plain integers, no locks, no allocation. One thread updates and rebuilds; others may read worths and profits meanwhile.
 */
#ifndef TIERED_CORE_FORECAST_H
#define TIERED_CORE_FORECAST_H

#include "shim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The kernel's names and the C library's differ. */
#define TIERED_U16_MOST 0xffffu
#define TIERED_U32_MOST 0xffffffffu

#define TIERED_AGES 38
/* The first age ends here. */
#define TIERED_FIRST_AGE_TICKS 16

/* Events and samples are counted in fractions, or decay could not wear small counts down. */
#define TIERED_FORECAST_ONE 256

struct tiered_forecast_row {
	u32 reuses[TIERED_AGES];
	u32 exposure[TIERED_AGES];
	u64 saved[TIERED_AGES]; /* ns */
};

struct tiered_forecast {
	u32 rows;
	u32 parents;
	u32 frames;
	struct tiered_forecast_row *row;
	struct tiered_forecast_row *parent; /* scratch, filled by every rebuild */
	const u16 *parent_of;
	u32 (*worth)[TIERED_AGES]; /* ns saved for each frame and @frames ticks */
	u32 *profit;		   /* ns beyond the price */
	u64 width[TIERED_AGES];	   /* of the ages, in 1/65536 of @frames ticks */
};

/* The memory that tiered_forecast_init() wants. */
size_t tiered_forecast_bytes(u32 rows, u32 parents);

/* @memory is zeroed, aligned for u64. @parent_of stays with the caller. */
void tiered_forecast_init(struct tiered_forecast *forecast, void *memory, u32 frames, u32 rows, u32 parents,
			  const u16 *parent_of);

/* The age of a page that was used @ticks ago. */
static inline u32 tiered_age(u32 ticks)
{
	u32 octave;

	if (ticks < TIERED_FIRST_AGE_TICKS)
		return 0;
	octave = 31 - __builtin_clz(ticks);
	octave = 2 * (octave - 4) + (ticks >> (octave - 1) & 1) + 1;
	return octave < TIERED_AGES ? octave : TIERED_AGES - 1;
}

static inline void tiered_forecast_reused(struct tiered_forecast *forecast, u32 row, u32 age, u64 saved_ns)
{
	forecast->row[row].reuses[age] += TIERED_FORECAST_ONE;
	forecast->row[row].saved[age] += saved_ns * TIERED_FORECAST_ONE;
}

/* A sample found @pages pages of that row and age; there is one sample of all pages a tick. */
static inline void tiered_forecast_exposed(struct tiered_forecast *forecast, u32 row, u32 age, u32 pages_256ths)
{
	forecast->row[row].exposure[age] += pages_256ths;
}

static inline u32 tiered_forecast_worth(const struct tiered_forecast *forecast, u32 row, u32 age)
{
	return forecast->worth[row][age];
}

/*
 * Derives worths and profits at @price (in the unit of worth) from what was learned; then everything learned decays by
 * @decay / 65536.
 */
void tiered_forecast_rebuild(struct tiered_forecast *forecast, u32 price, u32 decay);

#ifdef __cplusplus
}
#endif

#endif
