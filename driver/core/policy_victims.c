// SPDX-License-Identifier: GPL-2.0-only
/* Policy: which frame goes next. */
#include "policy_parts.h"

/* Lines of eight frames that are looked at for a victim, unless a candidate is this many times cheaper than the price. */
#define LINES 2
#define CHEAP 8

static u32 worth_now(const struct tiered_policy *policy, u32 frame)
{
	const struct tiered_policy_frame *f = &policy->frame[frame];

	return tiered_forecast_worth(&policy->forecast, f->row, tiered_age(policy->now - f->used_at));
}

static bool is_candidate(const struct tiered_policy *policy, u32 frame)
{
	u32 i;

	for (i = 0; i < TIERED_POLICY_CANDIDATES; i++)
		if (policy->candidate[i].frame == frame)
			return true;
	return false;
}

static u32 dearest_candidate(const struct tiered_policy *policy)
{
	u32 dearest = 0, i;

	for (i = 1; i < TIERED_POLICY_CANDIDATES; i++)
		if (policy->candidate[i].worth > policy->candidate[dearest].worth)
			dearest = i;
	return dearest;
}

static u32 cheapest_candidate(const struct tiered_policy *policy)
{
	u32 cheapest = 0, i;

	for (i = 1; i < TIERED_POLICY_CANDIDATES; i++)
		if (policy->candidate[i].worth < policy->candidate[cheapest].worth)
			cheapest = i;
	return cheapest;
}

/* Looks at some frames, a cache line of them at a time; those worth least become candidates. */
static void look_around(struct tiered_policy *policy, bool (*may_go)(void *context, u32 frame), void *context)
{
	u32 dearest = dearest_candidate(policy), line, i;

	for (line = 0; line < LINES; line++) {
		u32 first = draw_below(policy, policy->frames) & ~7u;

		for (i = first; i < first + 8 && i < policy->frames; i++) {
			u32 worth = worth_now(policy, i);

			if (worth >= policy->candidate[dearest].worth || !policy->frame[i].used_at ||
			    is_candidate(policy, i) || (may_go && !may_go(context, i)))
				continue;
			policy->candidate[dearest].frame = i;
			policy->candidate[dearest].worth = worth;
			dearest = dearest_candidate(policy);
		}
	}
}

u32 tiered_policy_victim(struct tiered_policy *policy, bool (*may_go)(void *context, u32 frame), void *context)
{
	u32 chosen, tries, frame;

	if (policy->candidate[cheapest_candidate(policy)].worth > policy->price / CHEAP)
		look_around(policy, may_go, context);
	/* A candidate may have been used since it became one. */
	for (tries = 0; tries < TIERED_POLICY_CANDIDATES; tries++) {
		u32 worth;

		chosen = cheapest_candidate(policy);
		if (policy->candidate[chosen].worth == TIERED_U32_MOST)
			return TIERED_POLICY_NEW;
		worth = worth_now(policy, policy->candidate[chosen].frame);
		if (worth <= policy->candidate[chosen].worth)
			break;
		policy->candidate[chosen].worth = worth;
	}
	/* Forgotten as a whole: a candidate in name only would never be looked at again. */
	frame = policy->candidate[chosen].frame;
	policy->candidate[chosen].frame = TIERED_POLICY_NEW;
	policy->candidate[chosen].worth = TIERED_U32_MOST;
	return frame;
}

void tiered_policy_written_around(struct tiered_policy *policy, u32 frame, u64 page)
{
	const struct tiered_policy_frame *f = &policy->frame[frame];

	tiered_policy_remember(policy, page, f->used_at, f->row);
}

void tiered_policy_evicted(struct tiered_policy *policy, u32 frame, u64 page)
{
	struct tiered_policy_frame *f = &policy->frame[frame];

	if (f->row >= PAGE_ROWS)
		tiered_policy_account_neighbour(policy, f, policy->now - f->used_at, 0);
	tiered_policy_remember(policy, page, f->used_at, f->row);
	f->used_at = 0;
}
