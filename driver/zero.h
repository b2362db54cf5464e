/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Discard and write-zeroes: the homes become zero durably, then the claims are withdrawn, so that old data never comes
 * back. Meanwhile the range is *exclusive*: writes of its pages wait and fills are dropped.
 */
#ifndef TIERED_ZERO_H
#define TIERED_ZERO_H

#include <linux/bio.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct tiered_volume;

/* One discard keeps the range it covers from being written for as long as the disk takes. */
#define TIERED_ZERO_PAGES_MAX (256u << 20 >> TIERED_FRAME_SHIFT)

struct tiered_zeroing {
	spinlock_t lock;
	struct bio_list bios;
	struct work_struct work;
	/* The range under way; end 0: none. Its end is announced to those parked. */
	u64 exclusive_first;
	u64 exclusive_end;
};

void tiered_zeroing_init(struct tiered_volume *volume);

/* Takes over a discard or write-zeroes. */
void tiered_zero(struct tiered_volume *volume, struct bio *bio);

/*
 * The same for the whole pages from @first up to @end, no more than TIERED_ZERO_PAGES_MAX, and waits for it: the volume
 * must not stop meanwhile. Returns 0 or a negative errno.
 */
int tiered_zero_pages(struct tiered_volume *volume, u64 first, u64 end);

/* True while @page may not be written or filled. Certain under the lock of the page's stripe. */
bool tiered_zero_excludes(const struct tiered_volume *volume, u64 page);

#endif
