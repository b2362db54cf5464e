/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Read misses that become resident. The home is read into pages of our own, copied to the reader at completion, and a
 * worker copies from there into frames: the reader's own pages may change under us as soon as it likes, and a clean
 * frame must be what the disk has.
 */
#ifndef TIERED_FILL_H
#define TIERED_FILL_H

#include <linux/bio.h>
#include <linux/llist.h>
#include <linux/workqueue.h>

struct tiered_choice;
struct tiered_frames;
struct tiered_stripe;
struct tiered_volume;

#define TIERED_FILL_PAGES 16u
/* Pages that fills may hold at once; past this, misses are read without filling. */
#define TIERED_FILL_PAGES_IN_FLIGHT 2048

struct tiered_fills {
	struct bio_set bios;
	atomic_t pages_in_flight;
	struct llist_head done;
	struct work_struct work;
	/* Fills were dropped because nothing had flushed the disk since it was written: do so. */
	struct delayed_work settle;
};

/* What a read that missed saw of each page before its home was read. */
struct tiered_fill_seen {
	u32 events[TIERED_FILL_PAGES];
};

/*
 * Whether what was read of @page's home, after @seen_events was read, is the page's contents still: no write of it began
 * or ended since, none is on its way. Under the stripe's lock.
 */
bool tiered_fill_holds(const struct tiered_volume *volume, struct tiered_stripe *stripe, u64 page, u32 seen_events);

/*
 * That page @filled, counted from @first, was filled is an event to the later pages of its stripe, but not one to drop them
 * for.
 */
void tiered_fill_own_event(const struct tiered_frames *frames, u64 first, u32 pages, u32 filled,
			   struct tiered_fill_seen *seen);

int tiered_fills_init(struct tiered_volume *volume);
void tiered_fills_exit(struct tiered_volume *volume);
/* Waits until nothing is being filled. */
void tiered_fills_drain(struct tiered_volume *volume);

/*
 * Serves @bio, which misses the @pages pages from @page, by reading their homes whole and filling them, or those that
 * @choice wants, unless it is NULL. Returns false when memory is short: the caller then reads without filling. Never sleeps.
 * @bio may be NULL: then the pages are filled because they are pinned, and tiered_pins_filled() is told of the end.
 */
bool tiered_fill_read(struct tiered_volume *volume, struct bio *bio, u64 page, u32 pages,
		      const struct tiered_fill_seen *seen, u64 started_ns, const struct tiered_choice *choice);

#endif
