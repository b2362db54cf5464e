// SPDX-License-Identifier: GPL-2.0-only
/* Ranges of pages that are pinned. */
#include "pins.h"

u32 tiered_pins_find(const struct tiered_pin *pins, u32 count, u64 page)
{
	u32 low = 0, high = count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (pins[middle].end > page)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

u64 tiered_pins_pages(const struct tiered_pin *pins, u32 count)
{
	u64 pages = 0;
	u32 i;

	for (i = 0; i < count; i++)
		pages += pins[i].end - pins[i].first;
	return pages;
}

/* Puts @with_count ranges in the place of those from @at to before @to. */
static void splice(struct tiered_pin *pins, u32 *count, u32 at, u32 to, const struct tiered_pin *with, u32 with_count)
{
	memmove(pins + at + with_count, pins + to, (*count - to) * sizeof(*pins));
	memcpy(pins + at, with, with_count * sizeof(*pins));
	*count = *count - (to - at) + with_count;
}

void tiered_pins_add(struct tiered_pin *pins, u32 *count, struct tiered_pin range)
{
	/* A range that ends where this one begins is joined too. */
	u32 at = range.first ? tiered_pins_find(pins, *count, range.first - 1) : 0, to;

	for (to = at; to < *count && pins[to].first <= range.end; to++) {
		if (pins[to].first < range.first)
			range.first = pins[to].first;
		if (pins[to].end > range.end)
			range.end = pins[to].end;
	}
	splice(pins, count, at, to, &range, 1);
}

void tiered_pins_remove(struct tiered_pin *pins, u32 *count, struct tiered_pin range)
{
	u32 at = tiered_pins_find(pins, *count, range.first), to, left = 0;
	struct tiered_pin rest[2] = { { 0 } };

	for (to = at; to < *count && pins[to].first < range.end; to++) {
		if (pins[to].first < range.first)
			rest[left++] = (struct tiered_pin){ .first = pins[to].first, .end = range.first };
		if (pins[to].end > range.end)
			rest[left++] = (struct tiered_pin){ .first = range.end, .end = pins[to].end };
	}
	splice(pins, count, at, to, rest, left);
}
