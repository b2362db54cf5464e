// SPDX-License-Identifier: GPL-2.0-only
/* Policy: rows, ghosts, trials, victims, the balance. */
#include "policy.h"

#ifdef __KERNEL__
#include <linux/bitops.h>
#else
#define hweight64(x) ((unsigned int)__builtin_popcountll(x))
#endif

#define PAGE_ROWS TIERED_POLICY_PAGE_ROWS
#define CONTEXTS TIERED_POLICY_CONTEXTS
#define BESIDES TIERED_POLICY_BESIDES
#define ROWS TIERED_POLICY_ROWS
/* A page row's parents know heat and kind of access; those of neighbours how much of the region is known, and how near. */
#define PAGE_PARENTS (TIERED_POLICY_HEATS * 4)
#define PARENTS (PAGE_PARENTS + 4 * BESIDES)

#define GHOSTS_PER_FRAME 2
#define FRAMES_PER_REGION 8
#define WAYS 4
/* Heat halves in this many times as many requests as there are frames. */
#define HALF_LIFE 8
/* Forecasts forget in this many. */
#define HORIZON 8
#define SHORTEST_HORIZON 20000
#define REBUILD_EVERY 2000
/* One page in so many gets a frame whatever is expected of it, or nothing would be learned of its kind. */
#define EXPLORED 16
/* The price of a frame is what the cheapest of so many is worth. */
#define PRICE_OF 4
/* Lines of eight frames that are looked at for a victim, unless a candidate is this many times cheaper than the price. */
#define LINES 2
#define CHEAP 8
/* In this part of the regions (a power of two), uses of resident pages are followed. */
#define WATCHED_ONE_IN 8
/* Neighbours promise to be optimistic: this part is believed at first, in hundredths. */
#define TRUST 70
/* Neighbours for one in so many frames are taken on trust. */
#define ON_TRUST 2
/* Trust is forgotten by half in a quarter as many ticks as there are frames, but not sooner than this. */
#define SHORTEST_TRUST 16000
/* Promises are kept in units of 4.096 us. */
#define PROMISE_SHIFT 12
/* Ticks that one call of work() samples at most. */
#define MOST_SAMPLES 4096

#define ROW_WRITE 2
#define ROW_STREAM 1

/* Beside TIERED_POLICY_IO_... */
#define EVENT_REWRITES 8 /* dirty pages */
#define EVENT_MISSED 16
#define EVENT_GHOST 32
#define EVENT_TRIAL 64 /* began with this miss */

static const u32 widths[TIERED_POLICY_WIDTHS] = { 4, 16, 64 };

static u32 ceil_log2(u64 n)
{
	u32 bits = 0;

	while ((1ull << bits) < n)
		bits++;
	return bits;
}

static u32 ghost_bits_for(u32 frames)
{
	return ceil_log2((u64)GHOSTS_PER_FRAME * frames + WAYS);
}

static u32 region_bits_for(u32 frames)
{
	u32 bits = ceil_log2(frames / FRAMES_PER_REGION + 1);

	return bits < 8 ? 8 : bits;
}

size_t tiered_policy_bytes(u32 frames)
{
	return tiered_forecast_bytes(ROWS, PARENTS) + (sizeof(struct tiered_policy_region) << region_bits_for(frames)) +
	       (sizeof(struct tiered_policy_ghost) << ghost_bits_for(frames)) +
	       (size_t)frames * sizeof(struct tiered_policy_frame);
}

static u16 parent_of_row(u32 row)
{
	if (row < PAGE_ROWS)
		return row / 32 * 4 + row % 4;
	row -= PAGE_ROWS;
	return PAGE_PARENTS + row / BESIDES % 4 * BESIDES + row % BESIDES;
}

void tiered_policy_init(struct tiered_policy *policy, void *memory, u32 frames, const struct tiered_policy_costs *costs)
{
	char *place = memory;
	u32 row;

	memset(policy, 0, sizeof(*policy));
	policy->frames = frames;
	policy->ghost_bits = ghost_bits_for(frames);
	policy->region_bits = region_bits_for(frames);
	policy->half_life_bits = ceil_log2((u64)HALF_LIFE * frames);
	policy->costs = *costs;
	policy->random = 0x9e3779b97f4a7c15ull;
	policy->now = policy->swept_at = policy->rebuilt_at = TIERED_POLICY_STEP;
	policy->mean_run_16ths = 16;
	policy->cheapest = TIERED_U32_MOST;
	memset(policy->candidate, 0xff, sizeof(policy->candidate));
	for (row = 0; row < ROWS; row++)
		policy->parent_of[row] = parent_of_row(row);
	tiered_forecast_init(&policy->forecast, place, frames, ROWS, PARENTS, policy->parent_of);
	place += tiered_forecast_bytes(ROWS, PARENTS);
	policy->region = (void *)place;
	place += sizeof(struct tiered_policy_region) << policy->region_bits;
	policy->ghost = (void *)place;
	place += sizeof(struct tiered_policy_ghost) << policy->ghost_bits;
	policy->frame = (void *)place;
}

static u64 mix(u64 key)
{
	key *= 0x9e3779b97f4a7c15ull;
	return key ^ key >> 32;
}

/* xorshift64*, Vigna 2016; the worker's. */
static u64 draw(struct tiered_policy *policy)
{
	policy->random ^= policy->random >> 12;
	policy->random ^= policy->random << 25;
	policy->random ^= policy->random >> 27;
	return policy->random * 0x2545f4914f6cdd1dull;
}

static u32 draw_below(struct tiered_policy *policy, u32 n)
{
	return (draw(policy) >> 32) * n >> 32;
}

/* One in @n of what may happen anywhere, without shared state. */
static bool one_in(const struct tiered_policy *policy, u64 page, u32 n)
{
	return (mix(page * 64 + policy->now) >> 16 & (n - 1)) == 0;
}

/* Rows. */

static u32 decayed(const struct tiered_policy *policy, u32 heat, u32 ticks)
{
	/* 2^(-i/8) in 1/65536 */
	static const u16 eighths[8] = { 65535, 60097, 55109, 50535, 46341, 42495, 38968, 35734 };
	u32 steps = (u64)ticks * 8 >> policy->half_life_bits;

	return steps < 128 ? heat * eighths[steps % 8] >> 16 >> steps / 8 : 0;
}

static u16 heated(u32 heat)
{
	return heat < TIERED_U16_MOST - 256 ? heat + 256 : TIERED_U16_MOST;
}

/* 0 for a first use, then by half octaves. */
static u32 heat_level(u32 heat)
{
	u32 octave, level;

	if (heat <= 256)
		return 0;
	octave = 31 - __builtin_clz(heat);
	level = 1 + 2 * (octave - 8) + (heat >> (octave - 1) & 1);
	return level < TIERED_POLICY_HEATS ? level : TIERED_POLICY_HEATS - 1;
}

/* Of a region: by octaves from a quarter of a miss on. */
static u32 region_level(u32 heat)
{
	u32 octave = 31 - __builtin_clz(heat | 1);

	return octave < 6 ? 0 : octave < 13 ? octave - 6 : 7;
}

static u16 page_row(u32 heat, u32 region, u32 flags)
{
	return heat_level(heat) * 32 + region * 4 + (flags & TIERED_POLICY_IO_WRITE ? ROW_WRITE : 0) +
	       (flags & TIERED_POLICY_IO_STREAM ? ROW_STREAM : 0);
}

static u32 region_of_row(u32 row)
{
	return row < PAGE_ROWS ? row / 4 % 8 : 0;
}

/* The cost of writing a page home in a run of @run pages, or as many as usual. */
static u32 writeback_ns(const struct tiered_policy *policy, u32 run)
{
	u32 run_16ths = run * 16 > policy->mean_run_16ths ? run * 16 : policy->mean_run_16ths;

	return (u64)policy->costs.seek_ns * 16 / run_16ths + policy->costs.page_ns;
}

/* What it saves that a page of @row is resident when it is used again. */
static u32 value_of(const struct tiered_policy *policy, u32 row, const struct tiered_policy_event *use)
{
	u32 writeback;

	if ((use->flags & (TIERED_POLICY_IO_WRITE | TIERED_POLICY_IO_WHOLE)) != (TIERED_POLICY_IO_WRITE | TIERED_POLICY_IO_WHOLE))
		return use->value_ns;
	/* A whole write needs no former contents: it saves the write-back of those that it replaces. */
	if (row >= PAGE_ROWS || !(row & ROW_WRITE))
		return 0;
	writeback = writeback_ns(policy, use->pages);
	return use->value_ns < writeback ? use->value_ns : writeback;
}

/* Events. */

/* A place for an event in the CPU's ring, or NULL. */
static struct tiered_policy_event *event_place(struct tiered_policy_cpu *cpu)
{
	if (cpu->head - __atomic_load_n(&cpu->tail, __ATOMIC_ACQUIRE) >= TIERED_POLICY_EVENTS)
		return NULL;
	return &cpu->event[cpu->head % TIERED_POLICY_EVENTS];
}

static void publish_event(struct tiered_policy_cpu *cpu)
{
	__atomic_store_n(&cpu->head, cpu->head + 1, __ATOMIC_RELEASE);
}

static void note(const struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 first, u32 pages, u32 flags,
		 const struct tiered_policy_io *io)
{
	struct tiered_policy_event *event = event_place(cpu);

	if (!event)
		return;
	event->page = first;
	event->used_at = policy->now;
	event->value_ns = io->value_ns;
	event->pages = pages;
	event->flags = flags | io->flags;
	publish_event(cpu);
}

static u64 region_hash(u64 page)
{
	return mix(page / TIERED_REGION_PAGES + 0x5bd1e995);
}

static bool is_watched(u64 hash)
{
	return (hash >> 1 & (WATCHED_ONE_IN - 1)) == 0;
}

void tiered_policy_request(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, struct tiered_policy_io *io)
{
	u32 saved = io->home_ns > io->fast_ns ? io->home_ns - io->fast_ns : 0;

	if (++cpu->requests % TIERED_POLICY_STEP == 0)
		__atomic_fetch_add(&policy->now, TIERED_POLICY_STEP, __ATOMIC_RELAXED);
	io->value_ns = io->pages == 1 ? saved : saved / io->pages;
}

void tiered_policy_hit(const struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 first, u32 pages,
		       bool rewrites, const struct tiered_policy_io *io)
{
	note(policy, cpu, first, pages, rewrites ? EVENT_REWRITES : 0, io);
}

/* Ghosts, in sets of WAYS; the oldest of a set gives way. */

static struct tiered_policy_ghost *ghost_set(const struct tiered_policy *policy, u64 hash)
{
	return &policy->ghost[hash >> (64 - policy->ghost_bits) & ~(u64)(WAYS - 1)];
}

static struct tiered_policy_ghost *find_ghost(const struct tiered_policy *policy, u64 page)
{
	u64 hash = mix(page);
	struct tiered_policy_ghost *set = ghost_set(policy, hash);
	u32 way;

	for (way = 0; way < WAYS; way++)
		if (set[way].tag == ((u32)hash | 1))
			return &set[way];
	return NULL;
}

static void remember(struct tiered_policy *policy, u64 page, u32 used_at, u16 heat, u16 row)
{
	u64 hash = mix(page);
	struct tiered_policy_ghost *set = ghost_set(policy, hash), *oldest = set;
	u32 way;

	for (way = 0; way < WAYS; way++) {
		if (!set[way].tag || set[way].tag == ((u32)hash | 1)) {
			oldest = &set[way];
			break;
		}
		if (policy->now - set[way].used_at > policy->now - oldest->used_at)
			oldest = &set[way];
	}
	*oldest = (struct tiered_policy_ghost){ (u32)hash | 1, used_at, heat, row };
}

/* Regions, likewise. */

static struct tiered_policy_region *region_set(const struct tiered_policy *policy, u64 hash)
{
	return &policy->region[hash >> (64 - policy->region_bits) & ~(u64)(WAYS - 1)];
}

static struct tiered_policy_region *find_region(const struct tiered_policy *policy, u64 page)
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

	return !region->tried_at || (idle > half && age > half) || age > 4 * policy->frames || one_in(policy, page, 32);
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
	struct tiered_policy_region *region = find_region(policy, first);
	u32 base = first % TIERED_REGION_PAGES;
	u64 asked = (pages == 64 ? ~0ull : (1ull << pages) - 1) << base;
	u32 heat;

	if (!region)
		region = make_region(policy, first);
	heat = region_heat(policy, region);
	region->next_context = context_of(policy, region);
	if (region->tried_at && is_watched(region->tag))
		note(policy, cpu, first, pages, EVENT_MISSED, io);
	if (!(io->flags & TIERED_POLICY_IO_WRITE) && trial_is_over(policy, region, first)) {
		begin_trial(policy, region, base, asked);
		if (is_watched(region->tag))
			note(policy, cpu, first, 0, EVENT_TRIAL, io);
	}
	region->missed |= asked;
	region->heat = heat + 256 * pages < TIERED_U16_MOST ? heat + 256 * pages : TIERED_U16_MOST;
	region->missed_at = policy->now;
}

/* A neighbour came into use: it shows what it would have saved to bring it along. */
static void see(struct tiered_policy *policy, u64 page, u32 value_ns)
{
	struct tiered_policy_region *region = find_region(policy, page);
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
	const struct tiered_policy_region *region = find_region(policy, page);
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
	const struct tiered_policy_region *region = find_region(policy, page);
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
	const struct tiered_policy_region *region = find_region(policy, page);
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

static u32 width_of_row(u32 row)
{
	return (row - PAGE_ROWS) % BESIDES / 2;
}

/* What a neighbour promises stands in the place of its heat until it is used. */
static u16 promise_of(u32 profit_ns)
{
	return profit_ns >> PROMISE_SHIFT < TIERED_U16_MOST ? profit_ns >> PROMISE_SHIFT : TIERED_U16_MOST;
}

/* A neighbour that was brought along has proved itself (or goes, with no value). */
static void account_neighbour(struct tiered_policy *policy, const struct tiered_policy_frame *f, u32 ticks, u32 value_ns)
{
	s64 promised = (s64)f->heat << PROMISE_SHIFT;
	s64 outcome = (s64)value_ns - (s64)((u64)ticks * policy->price / policy->frames);
	u32 halvings = ticks / trust_half_life(policy);

	if (outcome < -promised)
		outcome = -promised;
	if (halvings < 32)
		policy->realised_ns[width_of_row(f->row)] += outcome / (1ll << halvings);
}

/* Pages and frames. */

static void note_ghost(const struct tiered_policy *policy, struct tiered_policy_cpu *cpu,
		       const struct tiered_policy_ghost *ghost, const struct tiered_policy_io *io)
{
	struct tiered_policy_event *event = event_place(cpu);

	if (!event)
		return;
	event->value_ns = io->value_ns;
	event->pages = io->pages;
	event->row = ghost->row;
	event->age = tiered_age(policy->now - ghost->used_at);
	event->flags = EVENT_GHOST | io->flags;
	publish_event(cpu);
}

void tiered_policy_consider(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 page,
			    const struct tiered_policy_io *io, struct tiered_policy_offer *offer)
{
	struct tiered_policy_ghost *ghost = find_ghost(policy, page);
	const struct tiered_policy_region *region = find_region(policy, page);
	u32 heat = 0;

	if (ghost) {
		u32 ticks = policy->now - ghost->used_at;

		note_ghost(policy, cpu, ghost, io);
		heat = decayed(policy, ghost->heat, ticks);
		ghost->tag = 0;
	}
	offer->page = page;
	offer->heat = heated(heat);
	offer->row = page_row(offer->heat, region ? region_level(region->heat) : 0, io->flags);
	offer->profit_ns = policy->forecast.profit[offer->row];
}

bool tiered_policy_wants(struct tiered_policy *policy, const struct tiered_policy_offer *offer, u32 cost_ns)
{
	if (offer->profit_ns > cost_ns || one_in(policy, offer->page, EXPLORED))
		return true;
	remember(policy, offer->page, policy->now, offer->heat, offer->row);
	return false;
}

void tiered_policy_place(struct tiered_policy *policy, u32 frame, const struct tiered_policy_offer *offer)
{
	struct tiered_policy_frame *f = &policy->frame[frame];

	*f = (struct tiered_policy_frame){ policy->now, offer->heat, offer->row };
	if (offer->row < PAGE_ROWS)
		return;
	f->heat = promise_of(offer->profit_ns);
	__atomic_fetch_add(&policy->predicted_ns[width_of_row(offer->row)], (s64)f->heat << PROMISE_SHIFT,
			   __ATOMIC_RELAXED);
}

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
static void look_around(struct tiered_policy *policy)
{
	u32 dearest = dearest_candidate(policy), line, i;

	for (line = 0; line < LINES; line++) {
		u32 first = draw_below(policy, policy->frames) & ~7u;

		for (i = first; i < first + 8 && i < policy->frames; i++) {
			u32 worth = worth_now(policy, i);

			if (worth >= policy->candidate[dearest].worth || is_candidate(policy, i))
				continue;
			policy->candidate[dearest].frame = i;
			policy->candidate[dearest].worth = worth;
			dearest = dearest_candidate(policy);
		}
	}
}

u32 tiered_policy_victim(struct tiered_policy *policy)
{
	u32 chosen, tries;

	if (policy->candidate[cheapest_candidate(policy)].worth > policy->price / CHEAP)
		look_around(policy);
	/* A candidate may have been used since it became one. */
	for (tries = 0; tries < TIERED_POLICY_CANDIDATES; tries++) {
		u32 worth;

		chosen = cheapest_candidate(policy);
		worth = worth_now(policy, policy->candidate[chosen].frame);
		if (worth <= policy->candidate[chosen].worth)
			break;
		policy->candidate[chosen].worth = worth;
	}
	policy->candidate[chosen].worth = TIERED_U32_MOST;
	return policy->candidate[chosen].frame;
}

void tiered_policy_evicted(struct tiered_policy *policy, u32 frame, u64 page)
{
	struct tiered_policy_frame *f = &policy->frame[frame];

	if (f->row >= PAGE_ROWS)
		account_neighbour(policy, f, policy->now - f->used_at, 0);
	remember(policy, page, f->used_at, f->row < PAGE_ROWS ? f->heat : 0, f->row);
	f->used_at = 0;
}

/* The balance. */

s64 tiered_policy_balance(const struct tiered_policy *policy)
{
	return __atomic_load_n(&policy->bank_ns, __ATOMIC_RELAXED) - policy->dirty_runs * policy->costs.seek_ns -
	       policy->dirty_pages * policy->costs.page_ns;
}

void tiered_policy_pay(struct tiered_policy *policy, s64 ns)
{
	__atomic_fetch_sub(&policy->bank_ns, ns, __ATOMIC_RELAXED);
}

bool tiered_policy_afford(struct tiered_policy *policy, s64 ns)
{
	tiered_policy_pay(policy, ns);
	if (tiered_policy_balance(policy) >= 0)
		return true;
	tiered_policy_pay(policy, -ns);
	return false;
}

void tiered_policy_served(struct tiered_policy_cpu *cpu, const struct tiered_policy_io *io, u32 spent_ns)
{
	s64 earned = (s64)io->home_ns + ((u64)io->home_ns * TIERED_POLICY_ALLOWANCE >> 10) - spent_ns;

	__atomic_store_n(&cpu->earned_ns, cpu->earned_ns + earned, __ATOMIC_RELAXED);
}

/* Dirty pages. */

u32 tiered_policy_debt_ns(const struct tiered_policy *policy, u32 frame, u32 run)
{
	u32 row = frame == TIERED_POLICY_NEW ? ROW_WRITE : policy->frame[frame].row;
	u64 rewritten, cleaned;

	row = row < PAGE_ROWS ? row : ROW_WRITE;
	rewritten = policy->rewritten[row] + 512;
	cleaned = policy->cleaned[row] + 512;
	return writeback_ns(policy, run) * cleaned / (rewritten + cleaned);
}

bool tiered_policy_absorbs(const struct tiered_policy *policy, const struct tiered_policy_io *io, u32 pages, u32 runs,
			   u64 debt_ns)
{
	s64 gain = (s64)io->home_ns - io->fast_ns;
	s64 worst = (s64)runs * policy->costs.seek_ns + (s64)pages * policy->costs.page_ns;

	if (gain <= (s64)debt_ns)
		return false;
	if (pages && policy->spare_bytes < (s64)pages * 4096)
		return false;
	return tiered_policy_balance(policy) + gain >= worst;
}

void tiered_policy_wrote(struct tiered_policy *policy, u32 bytes)
{
	__atomic_fetch_add(&policy->spare_bytes, bytes, __ATOMIC_RELAXED);
}

void tiered_policy_dirtied(struct tiered_policy *policy, int pages, int runs)
{
	__atomic_fetch_add(&policy->dirty_pages, pages, __ATOMIC_RELAXED);
	__atomic_fetch_add(&policy->dirty_runs, runs, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&policy->spare_bytes, pages * 4096ll, __ATOMIC_RELAXED);
}

void tiered_policy_cleaned(struct tiered_policy *policy, const u32 *frames, u32 pages)
{
	u32 i;

	for (i = 0; i < pages; i++) {
		u32 row = policy->frame[frames[i]].row;

		policy->cleaned[row < PAGE_ROWS ? row : ROW_WRITE] += TIERED_FORECAST_ONE;
	}
	/* An average over the last sixteen runs. */
	policy->mean_run_16ths += ((s64)16 * (pages < 256 ? pages : 256) - policy->mean_run_16ths) / 16;
	policy->mean_run_16ths = policy->mean_run_16ths < 16 ? 16 : policy->mean_run_16ths;
	__atomic_fetch_sub(&policy->dirty_pages, pages, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&policy->dirty_runs, 1, __ATOMIC_RELAXED);
	tiered_policy_pay(policy, policy->costs.seek_ns + (s64)pages * policy->costs.page_ns);
}

/* The worker. */

/* A resident page was used. */
static void use_frame(struct tiered_policy *policy, u32 frame, const struct tiered_policy_event *use)
{
	struct tiered_policy_frame *f = &policy->frame[frame];
	u32 ticks = use->used_at - f->used_at, row = f->row, value_ns = value_of(policy, row, use);
	u16 heat = heated(row < PAGE_ROWS ? decayed(policy, f->heat, ticks) : 0);

	tiered_forecast_reused(&policy->forecast, row, tiered_age(ticks), value_ns);
	if (row >= PAGE_ROWS)
		account_neighbour(policy, f, ticks, value_ns);
	else if (use->flags & EVENT_REWRITES)
		policy->rewritten[row] += TIERED_FORECAST_ONE;
	f->heat = heat;
	f->row = page_row(heat, region_of_row(row), use->flags);
	f->used_at = use->used_at;
}

/* What is resident for its own sake would not be brought along: the trial is not about it. */
static void leave_out_resident(struct tiered_policy *policy, u64 page, const struct tiered_policy_index *index)
{
	struct tiered_policy_region *region = find_region(policy, page);
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

static void take_in(struct tiered_policy *policy, const struct tiered_policy_event *event,
		    const struct tiered_policy_index *index)
{
	u32 frame, i;

	if (event->flags & EVENT_GHOST) {
		tiered_forecast_reused(&policy->forecast, event->row, event->age, value_of(policy, event->row, event));
		return;
	}
	if (event->flags & EVENT_TRIAL)
		leave_out_resident(policy, event->page, index);
	for (i = 0; i < event->pages; i++) {
		u64 page = event->page + i;

		if (is_watched(region_hash(page)))
			see(policy, page, event->value_ns);
		if (event->flags & EVENT_MISSED)
			continue;
		frame = index->frame_of(index->context, page);
		/* It may have gone, or come anew, since. */
		if (frame != TIERED_POLICY_NEW && (int)(event->used_at - policy->frame[frame].used_at) >= 0)
			use_frame(policy, frame, event);
	}
}

static void collect(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, const struct tiered_policy_index *index)
{
	u32 head = __atomic_load_n(&cpu->head, __ATOMIC_ACQUIRE), tail = cpu->tail;
	s64 earned = __atomic_load_n(&cpu->earned_ns, __ATOMIC_RELAXED);

	tiered_policy_pay(policy, cpu->collected_ns - earned);
	cpu->collected_ns = earned;
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

/* There are more ghosts than frames: each that is sampled stands for several. */
static void sample_ghost(struct tiered_policy *policy)
{
	const struct tiered_policy_ghost *ghost = &policy->ghost[draw(policy) >> (64 - policy->ghost_bits)];
	u32 weight = ((u64)TIERED_FORECAST_ONE << policy->ghost_bits) / policy->frames;

	if (ghost->tag)
		tiered_forecast_exposed(&policy->forecast, ghost->row, tiered_age(policy->now - ghost->used_at), weight);
}

static void sample_region(struct tiered_policy *policy)
{
	const struct tiered_policy_region *region = &policy->region[draw(policy) >> (64 - policy->region_bits)];
	u64 weight = ((u64)TIERED_FORECAST_ONE << policy->region_bits) / policy->frames;
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

static void fade(struct tiered_policy *policy)
{
	/* ln 2 = 0.69 */
	u32 part = trust_half_life(policy) * 100ull / 69 / REBUILD_EVERY, i;

	for (i = 0; i < TIERED_POLICY_WIDTHS; i++) {
		policy->predicted_ns[i] -= policy->predicted_ns[i] / part;
		policy->realised_ns[i] -= policy->realised_ns[i] / part;
	}
	for (i = 0; i < PAGE_ROWS; i++) {
		policy->rewritten[i] -= policy->rewritten[i] / 8;
		policy->cleaned[i] -= policy->cleaned[i] / 8;
	}
}

void tiered_policy_work(struct tiered_policy *policy, struct tiered_policy_cpu *const *cpus, u32 count,
			const struct tiered_policy_index *index)
{
	u32 now = policy->now, samples, horizon, i;

	for (i = 0; i < count; i++)
		collect(policy, cpus[i], index);
	samples = now - policy->swept_at < MOST_SAMPLES ? now - policy->swept_at : MOST_SAMPLES;
	for (i = 0; i < samples; i++) {
		policy->swept_at++;
		sample_frame(policy);
		sample_ghost(policy);
		sample_region(policy);
	}
	policy->swept_at = now;
	if (now - policy->rebuilt_at < REBUILD_EVERY)
		return;
	horizon = policy->frames < SHORTEST_HORIZON / HORIZON ? SHORTEST_HORIZON : HORIZON * policy->frames;
	tiered_forecast_rebuild(&policy->forecast, policy->price, 65536ull * REBUILD_EVERY / horizon);
	policy->rebuilt_at = now;
	fade(policy);
}
