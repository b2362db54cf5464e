// SPDX-License-Identifier: GPL-2.0-only
/* Policy: regions of misses, trials of their neighbours, and how wide a fill is. */
#include "policy_parts.h"

/* Neighbours promise to be optimistic: this part is believed at first, in hundredths. */
#define TRUST 70
/* Neighbours for one in so many frames are taken on trust. */
#define ON_TRUST 2
/* Trust is forgotten by half in a quarter as many ticks as there are frames, but not sooner than this. */
#define SHORTEST_TRUST 16000

static const u32 widths[TIERED_POLICY_WIDTHS] = { 4, 16, 64 };

/* Regions, in sets of WAYS; that of a set which missed longest ago gives way. */

static struct tiered_policy_region *region_set(const struct tiered_policy *policy, u64 hash)
{
	return &policy->region[set_of(hash, policy->regions)];
}

struct tiered_policy_region *tiered_policy_find_region(const struct tiered_policy *policy, u64 page)
{
	u64 hash = region_hash(page);
	struct tiered_policy_region *set = region_set(policy, hash);
	u32 way;

	for (way = 0; way < WAYS; way++)
		if (set[way].tag == ((u32)hash | 1))
			return &set[way];
	return NULL;
}

static struct tiered_policy_region *make_region(const struct tiered_policy *policy, u64 page)
{
	u64 hash = region_hash(page);
	struct tiered_policy_region *set = region_set(policy, hash), *oldest = set;
	u32 way;

	for (way = 1; way < WAYS && oldest->tag; way++)
		if (!set[way].tag || policy->now - set[way].missed_at > policy->now - oldest->missed_at)
			oldest = &set[way];
	memset(oldest, 0, sizeof(*oldest));
	oldest->tag = (u32)hash | 1;
	oldest->missed_at = policy->now;
	return oldest;
}

static u32 region_heat(const struct tiered_policy *policy, const struct tiered_policy_region *region)
{
	return decayed(policy, region->heat, policy->now - region->missed_at);
}

/* What is known when a miss comes: how hot the region is, how long it was idle, how much of it is known. */
static u8 context_of(const struct tiered_policy *policy, const struct tiered_policy_region *region)
{
	u32 octave = 31 - __builtin_clz(region_heat(policy, region) | 1);
	u32 idle = policy->now - region->missed_at, known = hweight64(region->missed | region->known);
	u32 heat = octave < 8 ? 0 : octave < 10 ? 1 : octave < 12 ? 2 : octave < 13 ? 3 : 4;
	u32 idle_level = idle < policy->frames / 16 ? 0 : idle < policy->frames / 2 ? 1 : 2;
	u32 known_level = known < 4 ? 0 : known < 16 ? 1 : known < 40 ? 2 : 3;

	return (heat * 3 + idle_level) * 4 + known_level;
}

/* Trials. */

static u64 group_mask(u32 base, u32 width)
{
	return width == 64 ? ~0ull : ((1ull << width) - 1) << (base & ~(width - 1));
}

/* Unknown pages next to known ones. */
static u64 edge_mask(u64 known)
{
	return (known << 1 | known >> 1) & ~known;
}

/* The pages that a row of neighbours is about: in the group of that width, but not in the next smaller; at an edge or not. */
static u64 beside_mask(u32 base, u64 edges, u32 beside)
{
	u64 mask = group_mask(base, widths[beside / 2]);

	if (beside / 2)
		mask &= ~group_mask(base, widths[beside / 2 - 1]);
	return mask & (beside % 2 ? edges : ~edges);
}

static u32 beside_of(u32 base, u64 edges, u32 at)
{
	u32 group = (at ^ base) < widths[0] ? 0 : (at ^ base) < widths[1] ? 1 : 2;

	return group * 2 + (edges >> at & 1);
}

static u32 neighbour_row(u32 context, u32 beside)
{
	return PAGE_ROWS + context * BESIDES + beside;
}

static bool trial_is_over(const struct tiered_policy *policy, const struct tiered_policy_region *region, u64 page)
{
	u32 age = policy->now - region->tried_at, idle = policy->now - region->missed_at;
	u32 half = policy->frames / 2;

	return !region->tried_at || (idle > half && age > half) || age > 4ull * policy->frames || one_in(policy, page, 32);
}

static void begin_trial(const struct tiered_policy *policy, struct tiered_policy_region *region, u32 base, u64 asked)
{
	region->known = region->missed | 1ull << base;
	region->missed = asked;
	region->seen = asked;
	region->tried_at = policy->now;
	region->base = base;
	region->context = region->next_context;
}

void tiered_policy_missed(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 first, u32 pages,
			  const struct tiered_policy_io *io)
{
	struct tiered_policy_region *region = tiered_policy_find_region(policy, first);
	u32 base = first % TIERED_REGION_PAGES;
	u64 asked = (pages == 64 ? ~0ull : (1ull << pages) - 1) << base;
	u32 heat;

	if (!region)
		region = make_region(policy, first);
	heat = region_heat(policy, region);
	region->next_context = context_of(policy, region);
	if (region->tried_at && is_watched(region->tag))
		tiered_policy_note(policy, cpu, first, pages, EVENT_MISSED | io->flags, io->value_ns);
	if (!(io->flags & TIERED_POLICY_IO_WRITE) && trial_is_over(policy, region, first)) {
		begin_trial(policy, region, base, asked);
		if (is_watched(region->tag))
			tiered_policy_note(policy, cpu, first, 0, EVENT_TRIAL | io->flags, io->value_ns);
	}
	region->missed |= asked;
	region->heat = heat + 256 * pages < TIERED_U16_MOST ? heat + 256 * pages : TIERED_U16_MOST;
	region->missed_at = policy->now;
}

/* A neighbour came into use: it shows what it would have saved to bring it along. */
void tiered_policy_see(struct tiered_policy *policy, u64 page, u32 value_ns)
{
	struct tiered_policy_region *region = tiered_policy_find_region(policy, page);
	u32 at = page % TIERED_REGION_PAGES;
	u32 row;

	if (!region || !region->tried_at || region->seen >> at & 1)
		return;
	region->seen |= 1ull << at;
	row = neighbour_row(region->context, beside_of(region->base, edge_mask(region->known), at));
	tiered_forecast_reused(&policy->forecast, row, tiered_age(policy->now - region->tried_at), value_ns);
}

static u32 neighbour_cost_ns(const struct tiered_policy *policy)
{
	return policy->costs.page_ns + policy->costs.fast_page_ns;
}

u32 tiered_policy_most_width(const struct tiered_policy *policy, u64 page)
{
	const struct tiered_policy_region *region = tiered_policy_find_region(policy, page);
	u32 beside = region ? BESIDES : 0;

	while (beside--)
		if (policy->forecast.profit[neighbour_row(region->next_context, beside)] > neighbour_cost_ns(policy))
			return widths[beside / 2];
	return 0;
}

/*
 * How far promises came true, in hundredths. Before anything is known, neighbours for a part of the frames are taken
 * on trust: a hot set that jumped is brought along before the first of them could prove itself.
 */
static s64 trust_in(const struct tiered_policy *policy, u32 width)
{
	s64 prior = (policy->frames / ON_TRUST + 64ll) * neighbour_cost_ns(policy);
	s64 trust = TRUST * (policy->realised_ns[width] + prior) / (policy->predicted_ns[width] + prior);

	return trust < 0 ? 0 : trust > 100 ? 100 : trust;
}

u32 tiered_policy_width(const struct tiered_policy *policy, u64 page, u32 most, u64 resident)
{
	const struct tiered_policy_region *region = tiered_policy_find_region(policy, page);
	s64 cost = neighbour_cost_ns(policy), sum = 0, best = 0;
	u32 base = page % TIERED_REGION_PAGES, width = 0, beside;
	u64 edges;

	if (!region)
		return 0;
	edges = edge_mask(region->missed | region->known);
	for (beside = 0; beside < BESIDES && widths[beside / 2] <= most; beside++) {
		s64 pages = hweight64(beside_mask(base, edges, beside) & ~resident);
		s64 profit = policy->forecast.profit[neighbour_row(region->next_context, beside)];

		sum += pages * (profit * trust_in(policy, beside / 2) / 100 - cost);
		if (beside % 2 && sum > best) {
			best = sum;
			width = widths[beside / 2];
		}
	}
	return width;
}

void tiered_policy_neighbour(const struct tiered_policy *policy, u64 base, u64 page, struct tiered_policy_offer *offer)
{
	const struct tiered_policy_region *region = tiered_policy_find_region(policy, page);
	u64 edges = region ? edge_mask(region->missed | region->known) : 0;
	u32 beside = beside_of(base % TIERED_REGION_PAGES, edges, page % TIERED_REGION_PAGES);

	offer->page = page;
	offer->heat = 0;
	offer->row = neighbour_row(region ? region->next_context : 0, beside);
	offer->profit_ns = policy->forecast.profit[offer->row];
}

/* Outcomes are forgotten as fast as promises are, and an outcome counts as much as what is left of its promise. */
static u32 trust_half_life(const struct tiered_policy *policy)
{
	return policy->frames / 4 > SHORTEST_TRUST ? policy->frames / 4 : SHORTEST_TRUST;
}

/* A neighbour that was brought along has proved itself (or goes, with no value). */
void tiered_policy_account_neighbour(struct tiered_policy *policy, const struct tiered_policy_frame *f, u32 ticks, u32 value_ns)
{
	s64 promised = (s64)f->heat << PROMISE_SHIFT;
	s64 outcome = (s64)value_ns - (s64)((u64)ticks * policy->price / policy->frames);
	u32 halvings = ticks / trust_half_life(policy);

	if (outcome < -promised)
		outcome = -promised;
	if (halvings < 32)
		policy->realised_ns[width_of_row(f->row)] += outcome / (1ll << halvings);
}

/* What is resident for its own sake would not be brought along: the trial is not about it. */
void tiered_policy_leave_out_resident(struct tiered_policy *policy, u64 page, const struct tiered_policy_index *index)
{
	struct tiered_policy_region *region = tiered_policy_find_region(policy, page);
	u64 first = page & ~(u64)(TIERED_REGION_PAGES - 1);
	u32 i;

	if (!region)
		return;
	for (i = 0; i < TIERED_REGION_PAGES; i++) {
		u32 frame = index->frame_of(index->context, first + i);

		if (frame != TIERED_POLICY_NEW && policy->frame[frame].row < PAGE_ROWS)
			region->seen |= 1ull << i;
	}
}

void tiered_policy_sample_region(struct tiered_policy *policy)
{
	const struct tiered_policy_region *region = &policy->region[draw_below(policy, policy->regions)];
	u64 weight = (u64)TIERED_FORECAST_ONE * policy->regions / policy->frames;
	u32 age = tiered_age(policy->now - region->tried_at), beside;

	if (!region->tried_at || !is_watched(region->tag))
		return;
	for (beside = 0; beside < BESIDES; beside++) {
		u64 waiting = beside_mask(region->base, edge_mask(region->known), beside) & ~region->seen;

		if (waiting)
			tiered_forecast_exposed(&policy->forecast, neighbour_row(region->context, beside), age,
						hweight64(waiting) * weight + 1);
	}
}

void tiered_policy_fade_trust(struct tiered_policy *policy)
{
	/* ln 2 = 0.69 */
	u32 part = trust_half_life(policy) * 100ull / 69 / REBUILD_EVERY, i;

	for (i = 0; i < TIERED_POLICY_WIDTHS; i++) {
		policy->predicted_ns[i] -= policy->predicted_ns[i] / part;
		policy->realised_ns[i] -= policy->realised_ns[i] / part;
	}
}
