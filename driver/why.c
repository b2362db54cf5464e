// SPDX-License-Identifier: GPL-2.0-only
/* The last decision about each extent. */
#include "why.h"

#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/vmalloc.h>

#include "volume.h"

#define PAGES_PER_EXTENT (TIERED_EXTENT_BYTES / TIERED_FRAME_BYTES)
#define ENTRIES_MIN 64ul
#define ENTRIES_MAX 65536ul

/* One store replaces an entry: bits 0-31 the extent, 32-55 the time in seconds since the volume was opened, 56-63 the reason. */
#define AGE_SHIFT 32
#define AGE_MASK ((1u << 24) - 1)
#define REASON_SHIFT 56

int tiered_whys_init(struct tiered_whys *whys, u64 pages, u32 frames)
{
	u64 extents = DIV_ROUND_UP_ULL(pages, PAGES_PER_EXTENT);
	/* At most 2 bytes a frame, however large the disk is. */
	unsigned long most = clamp(rounddown_pow_of_two(frames / 4 + 1ul), ENTRIES_MIN, ENTRIES_MAX);
	unsigned long entries = extents >= most ? most : max(roundup_pow_of_two(extents), ENTRIES_MIN);

	whys->entry = vcalloc(entries, sizeof(*whys->entry));
	if (!whys->entry)
		return -ENOMEM;
	whys->mask = entries - 1;
	whys->opened_s = ktime_get_seconds();
	return 0;
}

void tiered_whys_exit(struct tiered_whys *whys)
{
	vfree(whys->entry);
	whys->entry = NULL;
}

static u32 seconds_open(const struct tiered_whys *whys)
{
	return min_t(u64, ktime_get_seconds() - whys->opened_s, AGE_MASK);
}

void tiered_why(struct tiered_volume *volume, u64 page, enum tiered_reason reason)
{
	struct tiered_whys *whys = &volume->whys;
	u32 extent = page / PAGES_PER_EXTENT;
	u64 entry = extent | (u64)seconds_open(whys) << AGE_SHIFT | (u64)reason << REASON_SHIFT;
	u64 *place = &whys->entry[extent & whys->mask];

	/* Neighbours are decided about alike: leave the cache line to those who share it. */
	if (READ_ONCE(*place) != entry)
		WRITE_ONCE(*place, entry);
}

u32 tiered_why_next(struct tiered_volume *volume, u32 from, struct tiered_decision_made *made)
{
	const struct tiered_whys *whys = &volume->whys;
	u32 now_s = seconds_open(whys), at;
	u64 entry;

	for (at = from; at <= whys->mask; at++) {
		entry = READ_ONCE(whys->entry[at]);
		if (!entry)
			continue;
		made->extent = (u32)entry;
		made->reason = entry >> REASON_SHIFT;
		made->age_s = now_s - min(now_s, (u32)(entry >> AGE_SHIFT) & AGE_MASK);
		return at + 1;
	}
	return TIERED_NO_WHY;
}
