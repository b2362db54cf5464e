/* SPDX-License-Identifier: GPL-2.0-only */
/* Policy: what its rooms share. Nobody else includes this. */
#ifndef TIERED_CORE_POLICY_PARTS_H
#define TIERED_CORE_POLICY_PARTS_H

#include "policy.h"

#define PAGE_ROWS TIERED_POLICY_PAGE_ROWS
#define CONTEXTS TIERED_POLICY_CONTEXTS
#define BESIDES TIERED_POLICY_BESIDES
#define ROWS TIERED_POLICY_ROWS
/* Ghosts and regions are kept in sets of so many. */
#define WAYS 4
/* Heat halves in this many times as many requests as there are frames. */
#define HALF_LIFE 8
/* Forecasts forget in this many. */
#define HORIZON 8
#define SHORTEST_HORIZON 20000
#define REBUILD_EVERY 2000
/* In this part of the regions (a power of two), uses of resident pages are followed. */
#define WATCHED_ONE_IN 8

/* Promises are kept in units of 4.096 us. */
#define PROMISE_SHIFT 12

#define ROW_WRITE 2
#define ROW_STREAM 1

/* Beside TIERED_POLICY_IO_... */
#define EVENT_MISSED 16
#define EVENT_GHOST 32
#define EVENT_TRIAL 64 /* began with this miss */

static inline u64 mix(u64 key)
{
	key *= 0x9e3779b97f4a7c15ull;
	return key ^ key >> 32;
}

/* xorshift64*, Vigna 2016; the worker's. */
static inline u64 draw(struct tiered_policy *policy)
{
	policy->random ^= policy->random >> 12;
	policy->random ^= policy->random << 25;
	policy->random ^= policy->random >> 27;
	return policy->random * 0x2545f4914f6cdd1dull;
}

static inline u32 draw_below(struct tiered_policy *policy, u32 n)
{
	return (draw(policy) >> 32) * n >> 32;
}

/* One in @n of what may happen anywhere, without shared state. */
static inline bool one_in(const struct tiered_policy *policy, u64 page, u32 n)
{
	return (mix(page * 64 + policy->now) >> 16 & (n - 1)) == 0;
}

/* Rows. */

static inline u32 decayed(const struct tiered_policy *policy, u32 heat, u32 ticks)
{
	/* 2^(-i/8) in 1/65536 */
	static const u16 eighths[8] = { 65535, 60097, 55109, 50535, 46341, 42495, 38968, 35734 };
	u32 steps = (u64)ticks * 8 >> policy->half_life_bits;

	return steps < 128 ? heat * eighths[steps % 8] >> 16 >> steps / 8 : 0;
}

static inline u16 heated(u32 heat)
{
	return heat < TIERED_U16_MOST - 256 ? heat + 256 : TIERED_U16_MOST;
}

/* 0 for a first use, then by half octaves. */
static inline u32 heat_level(u32 heat)
{
	u32 octave, level;

	if (heat <= 256)
		return 0;
	octave = 31 - __builtin_clz(heat);
	level = 1 + 2 * (octave - 8) + (heat >> (octave - 1) & 1);
	return level < TIERED_POLICY_HEATS ? level : TIERED_POLICY_HEATS - 1;
}

/* Of a region: by octaves from a quarter of a miss on. */
static inline u32 region_level(u32 heat)
{
	u32 octave = 31 - __builtin_clz(heat | 1);

	return octave < 6 ? 0 : octave < 13 ? octave - 6 : 7;
}

/* The middle of what heat_level() takes for a level. */
static inline u32 heat_of_level(u32 level)
{
	u32 octave = 8 + (level - 1) / 2;

	if (!level)
		return TIERED_POLICY_HEAT_ONCE;
	return (1u << octave) + (1u << octave >> 2) + (level % 2 ? 0 : 1u << octave >> 1);
}

static inline u16 page_row(u32 heat, u32 region, u32 flags)
{
	return heat_level(heat) * 32 + region * 4 + (flags & TIERED_POLICY_IO_WRITE ? ROW_WRITE : 0) +
	       (flags & TIERED_POLICY_IO_STREAM ? ROW_STREAM : 0);
}

static inline u32 region_of_row(u32 row)
{
	return row < PAGE_ROWS ? row / 4 % 8 : 0;
}

static inline u64 region_hash(u64 page)
{
	return mix(page / TIERED_REGION_PAGES + 0x5bd1e995);
}

static inline bool is_watched(u64 hash)
{
	return (hash >> 1 & (WATCHED_ONE_IN - 1)) == 0;
}

static inline u32 width_of_row(u32 row)
{
	return (row - PAGE_ROWS) % BESIDES / 2;
}

/* The first of the set that @hash has among @entries; its upper half decides, its lower half is for tags. */
static inline u32 set_of(u64 hash, u32 entries)
{
	return ((hash >> 32) * (entries / WAYS) >> 32) * WAYS;
}

/* Ghosts (policy.c). */
#define GHOST_ROW_MASK 0x3ffu

static inline u32 row_of_ghost(const struct tiered_policy_ghost *ghost)
{
	return ghost->tag_and_row & GHOST_ROW_MASK;
}

void tiered_policy_remember(struct tiered_policy *policy, u64 page, u32 used_at, u16 row);

/* Regions and trials (policy_regions.c). */
struct tiered_policy_region *tiered_policy_find_region(const struct tiered_policy *policy, u64 page);
/* A page of the region was used: if it is a neighbour, it shows what it would have saved to bring it along. */
void tiered_policy_see(struct tiered_policy *policy, u64 page, u32 value_ns);
/* What is resident for its own sake would not be brought along: the trial is not about it. */
void tiered_policy_leave_out_resident(struct tiered_policy *policy, u64 page, const struct tiered_policy_index *index);
/* A neighbour that was brought along, @ticks ago, has proved itself (or goes, with no value). */
void tiered_policy_account_neighbour(struct tiered_policy *policy, const struct tiered_policy_frame *f, u32 ticks,
				     u32 value_ns);
/* Counts the exposure of a random region's neighbours. */
void tiered_policy_sample_region(struct tiered_policy *policy);
void tiered_policy_fade_trust(struct tiered_policy *policy);

/* The cost of writing a page home in a run of @run pages, or as many as usual (policy_balance.c). */
u32 tiered_policy_writeback_ns(const struct tiered_policy *policy, u32 run);

#endif
