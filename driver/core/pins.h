/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ranges of pages that are pinned, as an array that is sorted and whose ranges neither overlap nor touch. The caller
 * has room for one more than *count.
 */
#ifndef TIERED_CORE_PINS_H
#define TIERED_CORE_PINS_H

#include "format.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Ranges that a volume may have, after joining. */
#define TIERED_PINS_MAX 4096u

/* Pages from first on and before end. */
struct tiered_pin {
	u64 first;
	u64 end;
};

/* The place of the first range that ends behind @page; @count when there is none. */
u32 tiered_pins_find(const struct tiered_pin *pins, u32 count, u64 page);

/* Pages of all ranges. */
u64 tiered_pins_pages(const struct tiered_pin *pins, u32 count);

void tiered_pins_add(struct tiered_pin *pins, u32 *count, struct tiered_pin range);
void tiered_pins_remove(struct tiered_pin *pins, u32 *count, struct tiered_pin range);

#ifdef __cplusplus
}
#endif

#endif
