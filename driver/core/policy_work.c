// SPDX-License-Identifier: GPL-2.0-only
/* Policy: the worker, which takes in what CPUs noted, samples, and rebuilds the forecasts. */
#include "policy_parts.h"

/* The price of a frame is what the cheapest of so many is worth. */
#define PRICE_OF 4
/* Ticks that one call of work() samples at most. */
#define MOST_SAMPLES 4096
/* Turns of REBUILD_EVERY ticks that one rebuild makes up for, and the most that it forgets, in 1/65536. */
#define MOST_TURNS 64
#define MOST_DECAY 32768

/* What it saves that a page of @row is resident when it is used again. */
static u32 value_of(const struct tiered_policy *policy, u32 row, const struct tiered_policy_event *use)
{
	u32 writeback;

	if ((use->flags & (TIERED_POLICY_IO_WRITE | TIERED_POLICY_IO_WHOLE)) != (TIERED_POLICY_IO_WRITE | TIERED_POLICY_IO_WHOLE))
		return use->value_ns;
	/* A whole write needs no former contents: it saves the write-back of those that it replaces. */
	if (row >= PAGE_ROWS || !(row & ROW_WRITE))
		return 0;
	writeback = tiered_policy_writeback_ns(policy, use->pages);
	return use->value_ns < writeback ? use->value_ns : writeback;
}

/* A stream that passes over a page which is used otherwise tells nothing new of it. */
static u32 row_flags(u32 row, u32 flags)
{
	return row < PAGE_ROWS && !(row & ROW_STREAM) ? flags & ~TIERED_POLICY_IO_STREAM : flags;
}

/* A resident page was used. */
static void use_frame(struct tiered_policy *policy, u32 frame, const struct tiered_policy_event *use)
{
	struct tiered_policy_frame *f = &policy->frame[frame];
	u32 ticks = use->used_at - f->used_at, row = f->row, value_ns = value_of(policy, row, use);
	u16 heat = heated(row < PAGE_ROWS ? decayed(policy, f->heat, ticks) : 0);

	tiered_forecast_reused(&policy->forecast, row, tiered_age(ticks), value_ns);
	if (row >= PAGE_ROWS)
		tiered_policy_account_neighbour(policy, f, ticks, value_ns);
	else if (use->flags & TIERED_POLICY_IO_REWRITES)
		policy->rewritten[row] += TIERED_FORECAST_ONE;
	f->heat = heat;
	f->row = page_row(heat, region_of_row(row), row_flags(row, use->flags));
	f->used_at = use->used_at;
}

static void take_in(struct tiered_policy *policy, const struct tiered_policy_event *event,
		    const struct tiered_policy_index *index)
{
	u32 frame, i;

	if (event->flags & EVENT_GHOST) {
		tiered_forecast_reused(&policy->forecast, event->row, event->age, value_of(policy, event->row, event));
		return;
	}
	if (event->flags & EVENT_TRIAL)
		tiered_policy_leave_out_resident(policy, event->page, index);
	for (i = 0; i < event->pages; i++) {
		u64 page = event->page + i;

		if (is_watched(region_hash(page)))
			tiered_policy_see(policy, page, event->value_ns);
		if (event->flags & EVENT_MISSED)
			continue;
		frame = index->frame_of(index->context, page);
		/* It may have gone, or come anew, since. */
		if (frame != TIERED_POLICY_NEW && policy->frame[frame].used_at &&
		    (int)(event->used_at - policy->frame[frame].used_at) >= 0)
			use_frame(policy, frame, event);
	}
}

static void collect(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, const struct tiered_policy_index *index)
{
	u32 head = __atomic_load_n(&cpu->head, __ATOMIC_ACQUIRE), tail = cpu->tail;
	s64 earned = __atomic_load_n(&cpu->earned_ns, __ATOMIC_RELAXED);
	s64 wrote = __atomic_load_n(&cpu->wrote_bytes, __ATOMIC_RELAXED);

	tiered_policy_pay(policy, cpu->collected_ns - earned);
	cpu->collected_ns = earned;
	__atomic_fetch_add(&policy->spare_bytes, wrote - cpu->collected_bytes, __ATOMIC_RELAXED);
	cpu->collected_bytes = wrote;
	for (; tail != head; tail++)
		take_in(policy, &cpu->event[tail % TIERED_POLICY_EVENTS], index);
	__atomic_store_n(&cpu->tail, tail, __ATOMIC_RELEASE);
}

static void sample_frame(struct tiered_policy *policy)
{
	const struct tiered_policy_frame *f = &policy->frame[draw_below(policy, policy->frames)];
	u32 age = tiered_age(policy->now - f->used_at), worth;

	if (!f->used_at)
		return;
	tiered_forecast_exposed(&policy->forecast, f->row, age, TIERED_FORECAST_ONE);
	worth = tiered_forecast_worth(&policy->forecast, f->row, age);
	policy->cheapest = worth < policy->cheapest ? worth : policy->cheapest;
	if (policy->swept_at % PRICE_OF)
		return;
	policy->price += ((s64)policy->cheapest - policy->price) / 64;
	policy->cheapest = TIERED_U32_MOST;
}

/* There is another number of ghosts than of frames: each that is sampled stands for so many. */
static void sample_ghost(struct tiered_policy *policy)
{
	const struct tiered_policy_ghost *ghost = &policy->ghost[draw_below(policy, policy->ghosts)];
	u32 weight = (u64)TIERED_FORECAST_ONE * policy->ghosts / policy->frames;

	if (ghost->tag_and_row)
		tiered_forecast_exposed(&policy->forecast, row_of_ghost(ghost), tiered_age(policy->now - ghost->used_at),
					weight);
}

static void fade(struct tiered_policy *policy)
{
	u32 i;

	tiered_policy_fade_trust(policy);
	for (i = 0; i < PAGE_ROWS; i++) {
		policy->rewritten[i] -= policy->rewritten[i] / 8;
		policy->cleaned[i] -= policy->cleaned[i] / 8;
	}
}

void tiered_policy_work(struct tiered_policy *policy, struct tiered_policy_cpu *const *cpus, u32 count,
			const struct tiered_policy_index *index)
{
	u32 now = policy->now, samples, i;

	for (i = 0; i < count; i++)
		collect(policy, cpus[i], index);
	samples = now - policy->swept_at < MOST_SAMPLES ? now - policy->swept_at : MOST_SAMPLES;
	for (i = 0; i < samples; i++) {
		policy->swept_at++;
		sample_frame(policy);
		sample_ghost(policy);
		tiered_policy_sample_region(policy);
	}
	policy->swept_at = now;
	if (!__atomic_load_n(&policy->dirty_pages, __ATOMIC_RELAXED))
		__atomic_store_n(&policy->dirty_runs, 0, __ATOMIC_RELAXED);
}

bool tiered_policy_is_due(const struct tiered_policy *policy)
{
	return policy->now - policy->rebuilt_at >= REBUILD_EVERY;
}

void tiered_policy_rebuild(struct tiered_policy *policy)
{
	u64 horizon = policy->frames < SHORTEST_HORIZON / HORIZON ? SHORTEST_HORIZON : (u64)HORIZON * policy->frames;
	u32 turns = (policy->now - policy->rebuilt_at) / REBUILD_EVERY, i;
	u64 decay = 65536ull * REBUILD_EVERY / horizon * turns;

	tiered_forecast_rebuild(&policy->forecast, policy->price, decay < MOST_DECAY ? decay : MOST_DECAY);
	policy->rebuilt_at = policy->now;
	for (i = 0; i < turns && i < MOST_TURNS; i++)
		fade(policy);
}
