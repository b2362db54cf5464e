// SPDX-License-Identifier: GPL-2.0-only
/* Forecasts: from counts to worths and profits. */
#include "forecast.h"

/* What is borrowed from the parent weighs as much as this many pages that went through the age. */
#define BORROWED_PAGES 20
/* A parent borrows this part of its former age's rate, in tenths. */
#define FORMER_TENTHS 7

/* Survival and probabilities. */
#define ONE (1u << 24)

/* What a page does in one age, given that it got there. */
struct rate {
	u64 hazard; /* expected uses, in 1/65536 */
	u64 saved;  /* ns for a use */
};

/* A stretch of ages: time saved and frame-time spent, weighted by the chance to get there. */
struct stretch {
	u64 saved; /* ns * ONE */
	u64 spent; /* 1/65536 of @frames ticks * ONE */
};

size_t tiered_forecast_bytes(u32 rows, u32 parents)
{
	return (rows + parents) * sizeof(struct tiered_forecast_row) + rows * (TIERED_AGES + 1) * sizeof(u32);
}

static u64 age_begin(u32 age)
{
	u32 half = age - 1;

	if (age == 0)
		return 0;
	return ((u64)TIERED_FIRST_AGE_TICKS << half / 2) + (half % 2 ? (u64)TIERED_FIRST_AGE_TICKS << half / 2 >> 1 : 0);
}

void tiered_forecast_init(struct tiered_forecast *forecast, void *memory, u32 frames, u32 rows, u32 parents,
			  const u16 *parent_of)
{
	u32 age;

	forecast->rows = rows;
	forecast->parents = parents;
	forecast->frames = frames;
	forecast->parent_of = parent_of;
	forecast->row = memory;
	forecast->parent = forecast->row + rows;
	forecast->worth = (void *)(forecast->parent + parents);
	forecast->profit = (u32 *)(forecast->worth + rows);
	for (age = 0; age < TIERED_AGES; age++)
		forecast->width[age] = ((age_begin(age + 1) - age_begin(age)) << 16) / frames + 1;
}

static void add_to_parent(struct tiered_forecast_row *parent, const struct tiered_forecast_row *row)
{
	u32 age;

	for (age = 0; age < TIERED_AGES; age++) {
		parent->reuses[age] += row->reuses[age];
		parent->exposure[age] += row->exposure[age];
		parent->saved[age] += row->saved[age];
	}
}

/*
 * The rate that counts show, on top of @borrowed weighing BORROWED_PAGES. Exposure is in samples, of which there is one a
 * tick for all @frames: a page that goes through an age of width w (in @frames ticks) is sampled w times on average.
 */
static struct rate rate_of(const struct tiered_forecast_row *row, u32 age, u64 width, const struct rate *borrowed)
{
	u64 weight = BORROWED_PAGES * TIERED_FORECAST_ONE;
	u64 lent_reuses = weight * borrowed->hazard >> 16;
	u64 lent_exposure = (weight * width >> 16) + 1;
	u64 reuses = row->reuses[age] + lent_reuses;
	struct rate rate = { 0, borrowed->saved };

	rate.hazard = reuses * width / (row->exposure[age] + lent_exposure);
	if (reuses)
		rate.saved = (row->saved[age] + lent_reuses * borrowed->saved) / reuses;
	return rate;
}

static void parent_rates(const struct tiered_forecast *forecast, const struct tiered_forecast_row *parent,
			 struct rate *rates)
{
	struct rate borrowed = { 0, 0 };
	u32 age;

	for (age = 0; age < TIERED_AGES; age++) {
		if (age > 0) {
			borrowed.hazard = rates[age - 1].hazard * forecast->width[age] / forecast->width[age - 1] *
					  FORMER_TENTHS / 10;
			borrowed.saved = rates[age - 1].saved;
		}
		rates[age] = rate_of(parent, age, forecast->width[age], &borrowed);
	}
}

/* What each age saves and spends, from the chance to get there to the chance to get on. */
static void stretches_of(const struct tiered_forecast *forecast, const struct tiered_forecast_row *row,
			 const struct rate *borrowed, struct stretch *stretches)
{
	u64 survives = ONE;
	u32 age;

	for (age = 0; age < TIERED_AGES; age++) {
		struct rate rate = rate_of(row, age, forecast->width[age], &borrowed[age]);
		/* 1 / (1 + x) for exp(-x): near enough where x is small, and careful where it is not. */
		u64 gets_on = (survives << 16) / (65536 + rate.hazard);

		stretches[age].saved = (survives - gets_on) * rate.saved;
		stretches[age].spent = (survives + gets_on) / 2 * forecast->width[age] + 1;
		survives = gets_on;
	}
}

static bool saves_faster(const struct stretch *a, const struct stretch *b)
{
	return (unsigned __int128)a->saved * b->spent > (unsigned __int128)b->saved * a->spent;
}

static u32 quotient(const struct stretch *stretch)
{
	unsigned __int128 scaled = (unsigned __int128)stretch->saved << 16;
	u64 worth;

	/* Two shifts keep the division in 64 bits, which is all that a kernel has. */
	if (scaled >> 64)
		worth = (stretch->saved >> 16) / ((stretch->spent >> 32) + 1);
	else
		worth = (u64)scaled / stretch->spent;
	return worth < TIERED_U32_MOST ? worth : TIERED_U32_MOST;
}

/*
 * From the last age to the first: an age joins the stretches behind it as long as those save faster than itself. What is
 * at hand then is the best stretch that begins there.
 */
static void worths_of(const struct stretch *stretches, u32 *worth)
{
	struct stretch pool[TIERED_AGES];
	u32 top = 0, age = TIERED_AGES;

	while (age--) {
		struct stretch best = stretches[age];

		for (; top && saves_faster(&pool[top - 1], &best); top--) {
			best.saved += pool[top - 1].saved;
			best.spent += pool[top - 1].spent;
		}
		pool[top++] = best;
		worth[age] = quotient(&best);
	}
}

/* The best end of a stay that begins now, given what its time costs. */
static u32 profit_of(const struct stretch *stretches, u32 price)
{
	s64 sum = 0, best = 0;
	u32 age;

	for (age = 0; age < TIERED_AGES; age++) {
		u64 cost = (u64)((unsigned __int128)(stretches[age].spent >> 16) * price >> 24);

		sum += (s64)(stretches[age].saved / ONE) - (s64)cost;
		best = sum > best ? sum : best;
	}
	return best < TIERED_U32_MOST ? best : TIERED_U32_MOST;
}

static void decay_row(struct tiered_forecast_row *row, u32 decay)
{
	u32 age;

	for (age = 0; age < TIERED_AGES; age++) {
		row->reuses[age] -= (u64)row->reuses[age] * decay >> 16;
		row->exposure[age] -= (u64)row->exposure[age] * decay >> 16;
		row->saved[age] -= (row->saved[age] >> 16) * decay;
	}
}

static bool row_is_new(const struct tiered_forecast_row *row)
{
	u32 age;

	for (age = 0; age < TIERED_AGES; age++)
		if (row->reuses[age] | row->exposure[age])
			return false;
	return true;
}

static void rebuild_row(struct tiered_forecast *forecast, u32 row, const struct rate *borrowed, u32 price)
{
	struct stretch stretches[TIERED_AGES];

	stretches_of(forecast, &forecast->row[row], borrowed, stretches);
	worths_of(stretches, forecast->worth[row]);
	forecast->profit[row] = profit_of(stretches, price);
}

/* All rows of one parent. Those of which nothing is known are all alike. */
static void rebuild_family(struct tiered_forecast *forecast, u32 parent, u32 price, u32 decay)
{
	struct rate borrowed[TIERED_AGES];
	u32 row, model = forecast->rows;

	parent_rates(forecast, &forecast->parent[parent], borrowed);
	for (row = 0; row < forecast->rows; row++) {
		bool is_new;

		if (forecast->parent_of[row] != parent)
			continue;
		is_new = row_is_new(&forecast->row[row]);
		if (is_new && model < forecast->rows) {
			memcpy(forecast->worth[row], forecast->worth[model], sizeof(forecast->worth[row]));
			forecast->profit[row] = forecast->profit[model];
			continue;
		}
		rebuild_row(forecast, row, borrowed, price);
		if (is_new)
			model = row;
		else
			decay_row(&forecast->row[row], decay);
	}
}

void tiered_forecast_rebuild(struct tiered_forecast *forecast, u32 price, u32 decay)
{
	u32 row, parent;

	memset(forecast->parent, 0, forecast->parents * sizeof(forecast->parent[0]));
	for (row = 0; row < forecast->rows; row++)
		add_to_parent(&forecast->parent[forecast->parent_of[row]], &forecast->row[row]);
	for (parent = 0; parent < forecast->parents; parent++) {
		rebuild_family(forecast, parent, price, decay);
		tiered_yield();
	}
}
