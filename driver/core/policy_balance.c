// SPDX-License-Identifier: GPL-2.0-only
/* Policy: the balance, dirty pages, and which writes are absorbed. */
#include "policy_parts.h"

static s64 debt_of_dirty(const struct tiered_policy *policy)
{
	s64 pages = __atomic_load_n(&policy->dirty_pages, __ATOMIC_RELAXED);
	s64 runs = __atomic_load_n(&policy->dirty_runs, __ATOMIC_RELAXED);

	/* Races may have made the number of runs inexact. */
	runs = runs > pages ? pages : runs;
	runs = runs < (pages > 0) ? 1 : runs;
	return runs * policy->costs.seek_ns + pages * policy->costs.page_ns;
}

s64 tiered_policy_balance(const struct tiered_policy *policy)
{
	return __atomic_load_n(&policy->bank_ns, __ATOMIC_RELAXED) - debt_of_dirty(policy);
}

static s64 earned_ns(u32 home_ns, u32 spent_ns)
{
	return (s64)home_ns + ((u64)home_ns * TIERED_POLICY_ALLOWANCE >> 10) - spent_ns;
}

void tiered_policy_set_costs(struct tiered_policy *policy, const struct tiered_policy_costs *costs)
{
	u32 fast_ns = costs->fast_ns + costs->fast_page_ns, continues;
	s64 debt_ns = debt_of_dirty(policy);

	policy->costs = *costs;
	for (continues = 0; continues < 2; continues++) {
		u32 home_ns = costs->page_ns + (continues ? 0 : costs->seek_ns);

		policy->page_hit[continues].value_ns = home_ns > fast_ns ? home_ns - fast_ns : 0;
		/* A hit is served whatever it takes: there is nothing to decide, hence nothing to pay for. */
		policy->page_hit[continues].earned_ns = home_ns > fast_ns ? earned_ns(home_ns, fast_ns) : 0;
	}
	tiered_policy_pay(policy, debt_ns - debt_of_dirty(policy));
}

void tiered_policy_inherit(struct tiered_policy *policy, u32 dirty_pages)
{
	policy->dirty_pages = policy->dirty_runs = dirty_pages;
	tiered_policy_pay(policy, -debt_of_dirty(policy));
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
	__atomic_store_n(&cpu->earned_ns, cpu->earned_ns + earned_ns(io->home_ns, spent_ns), __ATOMIC_RELAXED);
}

/* Dirty pages. */

u32 tiered_policy_writeback_ns(const struct tiered_policy *policy, u32 run)
{
	u32 run_16ths = run * 16 > policy->mean_run_16ths ? run * 16 : policy->mean_run_16ths;

	return (u64)policy->costs.seek_ns * 16 / run_16ths + policy->costs.page_ns;
}

u32 tiered_policy_debt_ns(const struct tiered_policy *policy, u32 frame, u32 run)
{
	u32 row = frame == TIERED_POLICY_NEW ? ROW_WRITE : policy->frame[frame].row;
	u64 rewritten, cleaned;

	row = row < PAGE_ROWS ? row : ROW_WRITE;
	rewritten = policy->rewritten[row] + 512;
	cleaned = policy->cleaned[row] + 512;
	return tiered_policy_writeback_ns(policy, run) * cleaned / (rewritten + cleaned);
}

bool tiered_policy_absorbs(const struct tiered_policy *policy, const struct tiered_policy_cpu *cpu,
			   const struct tiered_policy_io *io, u32 pages, u32 runs, u64 debt_ns)
{
	s64 gain = (s64)io->home_ns - io->fast_ns;
	s64 worst = (s64)runs * policy->costs.seek_ns + (s64)pages * policy->costs.page_ns;

	if (gain <= (s64)debt_ns)
		return false;
	if (pages && policy->spare_bytes + cpu->wrote_bytes - cpu->collected_bytes < (s64)pages * 4096)
		return false;
	return tiered_policy_balance(policy) + gain >= worst;
}

void tiered_policy_dirtied(struct tiered_policy *policy, int pages, int runs)
{
	__atomic_fetch_add(&policy->dirty_pages, pages, __ATOMIC_RELAXED);
	__atomic_fetch_add(&policy->dirty_runs, runs, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&policy->spare_bytes, pages * 4096ll, __ATOMIC_RELAXED);
}

void tiered_policy_cleaned(struct tiered_policy *policy, u32 frame, int runs)
{
	u32 row = policy->frame[frame].row;

	policy->cleaned[row < PAGE_ROWS ? row : ROW_WRITE] += TIERED_FORECAST_ONE;
	__atomic_fetch_sub(&policy->dirty_pages, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&policy->dirty_runs, runs, __ATOMIC_RELAXED);
}

void tiered_policy_wrote_home(struct tiered_policy *policy, u32 pages)
{
	/* An average over the last sixteen runs. */
	policy->mean_run_16ths += ((s64)16 * (pages < 256 ? pages : 256) - policy->mean_run_16ths) / 16;
	policy->mean_run_16ths = policy->mean_run_16ths < 16 ? 16 : policy->mean_run_16ths;
	tiered_policy_pay(policy, policy->costs.seek_ns + (s64)pages * policy->costs.page_ns);
}
