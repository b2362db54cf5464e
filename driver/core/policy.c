// SPDX-License-Identifier: GPL-2.0-only
/* Policy: set-up, requests, ghosts, and which pages get a frame. */
#include "policy_parts.h"

/* A page row's parents know heat and kind of access; those of neighbours how much of the region is known, and how near. */
#define PAGE_PARENTS (TIERED_POLICY_HEATS * 4)
#define PARENTS (PAGE_PARENTS + 4 * BESIDES)

#define GHOSTS_PER_FRAME 2
/* Whole sets that 32 bits can count: beyond 8 TiB of frames there are fewer than two for each. */
#define GHOSTS_MAX 0xfffffff0u
#define FRAMES_PER_REGION 8
#define REGIONS_MIN 256
/* One page in so many gets a frame whatever is expected of it, or nothing would be learned of its kind. */
#define EXPLORED 16

static u32 ceil_log2(u64 n)
{
	u32 bits = 0;

	while ((1ull << bits) < n)
		bits++;
	return bits;
}

static u32 whole_sets(u32 entries)
{
	return (entries + WAYS - 1) / WAYS * WAYS;
}

static u32 ghosts_for(u32 frames)
{
	u64 wanted = (u64)frames * GHOSTS_PER_FRAME + WAYS;

	return wanted < GHOSTS_MAX ? whole_sets(wanted) : GHOSTS_MAX;
}

static u32 regions_for(u32 frames)
{
	u32 regions = whole_sets(frames / FRAMES_PER_REGION);

	return regions < REGIONS_MIN ? REGIONS_MIN : regions;
}

size_t tiered_policy_bytes(u32 frames)
{
	return tiered_forecast_bytes(ROWS, PARENTS) + regions_for(frames) * sizeof(struct tiered_policy_region) +
	       ghosts_for(frames) * sizeof(struct tiered_policy_ghost) +
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
	policy->ghosts = ghosts_for(frames);
	policy->regions = regions_for(frames);
	policy->half_life_bits = ceil_log2((u64)HALF_LIFE * frames);
	tiered_policy_set_costs(policy, costs);
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
	place += policy->regions * sizeof(struct tiered_policy_region);
	policy->ghost = (void *)place;
	place += policy->ghosts * sizeof(struct tiered_policy_ghost);
	policy->frame = (void *)place;
}

/* Ghosts, in sets of WAYS; the oldest of a set gives way. */

static struct tiered_policy_ghost *ghost_set(const struct tiered_policy *policy, u64 hash)
{
	return &policy->ghost[set_of(hash, policy->ghosts)];
}

/* Never 0. */
static u32 tag_of(u64 hash)
{
	return ((u32)hash & ~GHOST_ROW_MASK) | (GHOST_ROW_MASK + 1);
}

static u32 tag_of_ghost(const struct tiered_policy_ghost *ghost)
{
	return ghost->tag_and_row & ~GHOST_ROW_MASK;
}

static struct tiered_policy_ghost *find_ghost(const struct tiered_policy *policy, u64 page)
{
	u64 hash = mix(page);
	struct tiered_policy_ghost *set = ghost_set(policy, hash);
	u32 way;

	for (way = 0; way < WAYS; way++)
		if (tag_of_ghost(&set[way]) == tag_of(hash))
			return &set[way];
	return NULL;
}

void tiered_policy_remember(struct tiered_policy *policy, u64 page, u32 used_at, u16 row)
{
	u64 hash = mix(page);
	struct tiered_policy_ghost *set = ghost_set(policy, hash), *oldest = set;
	u32 way;

	for (way = 0; way < WAYS; way++) {
		if (!set[way].tag_and_row || tag_of_ghost(&set[way]) == tag_of(hash)) {
			oldest = &set[way];
			break;
		}
		if (policy->now - set[way].used_at > policy->now - oldest->used_at)
			oldest = &set[way];
	}
	*oldest = (struct tiered_policy_ghost){ tag_of(hash) | row, used_at };
}

static u32 heat_of_ghost(const struct tiered_policy_ghost *ghost)
{
	return row_of_ghost(ghost) < PAGE_ROWS ? heat_of_level(row_of_ghost(ghost) / 32) : 0;
}

/* What a neighbour promises stands in the place of its heat until it is used. */
static u16 promise_of(u32 profit_ns)
{
	return profit_ns >> PROMISE_SHIFT < TIERED_U16_MOST ? profit_ns >> PROMISE_SHIFT : TIERED_U16_MOST;
}

/* Pages and frames. */

static void note_ghost(const struct tiered_policy *policy, struct tiered_policy_cpu *cpu,
		       const struct tiered_policy_ghost *ghost, const struct tiered_policy_io *io)
{
	struct tiered_policy_event *event = tiered_policy_event_place(cpu);

	if (!event)
		return;
	event->value_ns = io->value_ns;
	event->pages = io->pages;
	event->row = row_of_ghost(ghost);
	event->age = tiered_age(policy->now - ghost->used_at);
	event->flags = EVENT_GHOST | io->flags;
	__atomic_store_n(&cpu->head, cpu->head + 1, __ATOMIC_RELEASE);
}

void tiered_policy_consider(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 page,
			    const struct tiered_policy_io *io, struct tiered_policy_offer *offer)
{
	struct tiered_policy_ghost *ghost = find_ghost(policy, page);
	const struct tiered_policy_region *region = tiered_policy_find_region(policy, page);
	u32 heat = 0;

	if (ghost) {
		u32 ticks = policy->now - ghost->used_at;

		note_ghost(policy, cpu, ghost, io);
		heat = decayed(policy, heat_of_ghost(ghost), ticks);
		ghost->tag_and_row = 0;
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
	tiered_policy_remember(policy, offer->page, policy->now, offer->row);
	return false;
}

u16 tiered_policy_row_once(u32 flags)
{
	return page_row(TIERED_POLICY_HEAT_ONCE, 0, flags);
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
