// SPDX-License-Identifier: GPL-2.0-only
/* What a capacity tier takes, measured. */
#include "costs.h"

#include "compat/compat.h"

/* Until something is measured. */
#define SSD_SEEK_NS 100000
#define SSD_PAGE_NS 8192
#define HDD_SEEK_NS 8000000
#define HDD_PAGE_NS 27307
/* An access to the fast tier, and a copy of a page. */
#define FAST_NS 2000
#define FAST_PAGE_NS 683
/* A sample counts for one in so many, and is not believed to be further than so many times off. */
#define AVERAGE_OF 16
#define OUTLIER 4u
/* Of an operation, whatever was measured. */
#define NS_MIN 500u
#define NS_MAX 1000000000u

static void average(u32 *value, u32 sample)
{
	u32 old = READ_ONCE(*value);

	if (!old) {
		WRITE_ONCE(*value, sample);
		return;
	}
	sample = clamp(sample, old / OUTLIER, old * OUTLIER);
	WRITE_ONCE(*value, old + ((s64)sample - old) / AVERAGE_OF);
}

void tiered_costs_sample(struct tiered_costs *costs, u32 pages, u64 ns)
{
	u32 sample_ns = clamp_t(u64, ns, NS_MIN, NS_MAX);

	if (pages <= TIERED_COSTS_SMALL_PAGES) {
		average(&costs->small_ns, sample_ns);
	} else if (pages >= TIERED_COSTS_LARGE_PAGES) {
		average(&costs->large_ns, sample_ns);
		average(&costs->large_pages_16ths, min(pages, 1u << 16) * 16);
	}
}

/* The part of a small read that each page takes: what a large one takes longer, for each page that it is larger. */
static u32 page_ns(const struct tiered_costs *costs, u32 small_ns, u32 usual_ns)
{
	u32 large_ns = READ_ONCE(costs->large_ns), pages_16ths = READ_ONCE(costs->large_pages_16ths);
	u32 ns = usual_ns;

	if (large_ns > small_ns && pages_16ths > 16)
		ns = (u64)(large_ns - small_ns) * 16 / (pages_16ths - 16);
	return clamp(ns, 1u, small_ns / 2);
}

struct tiered_policy_costs tiered_costs_now(const struct tiered_costs *costs, struct block_device *home)
{
	bool turns = tiered_bdev_turns(home);
	u32 small_ns = READ_ONCE(costs->small_ns), per_page_ns;

	if (!small_ns)
		small_ns = turns ? HDD_SEEK_NS + HDD_PAGE_NS : SSD_SEEK_NS + SSD_PAGE_NS;
	per_page_ns = page_ns(costs, small_ns, turns ? HDD_PAGE_NS : SSD_PAGE_NS);
	return (struct tiered_policy_costs){
		.seek_ns = small_ns - per_page_ns,
		.page_ns = per_page_ns,
		.fast_ns = FAST_NS,
		.fast_page_ns = FAST_PAGE_NS,
	};
}
