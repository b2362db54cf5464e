/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages that stay in the fast tier until they are unpinned, and the worker that brings them there. README.md says how. */
#ifndef TIERED_PINS_H
#define TIERED_PINS_H

#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "core/pins.h"
#include "writeback.h"

struct tiered_volume;
struct tiered_pin_set;

struct tiered_pins {
	struct tiered_pin_set __rcu *set; /* NULL: nothing is pinned */
	u32 others;	   /* frames that are not kept for pinned pages */
	struct mutex lock; /* who changes the set */

	/* The rest is the filler's. */
	struct delayed_work work;
	struct tiered_pace pace;
	u64 next;	 /* the page from which its round goes on; 0: it begins */
	bool missing;	 /* the round met a page that was not resident */
	bool round_over; /* and has come to its end */
	bool again;	 /* pages may have gone behind its back: another round */
	bool failed;	 /* a home could not be read in this round ... */
	u32 read_pages;	 /* ... so that the next one reads page by page */
	unsigned long pause;
	atomic_t reads;	 /* on their way, and one for the worker that sends them */
	wait_queue_head_t idle;
};

void tiered_pins_init(struct tiered_volume *volume);
void tiered_pins_exit(struct tiered_volume *volume);

/* Ends the filler's work and waits for its reads. `started` is false. */
void tiered_pins_stop(struct tiered_volume *volume);
/* Pages may have left the fast tier, or come to be filled: has the filler look. Any context. */
void tiered_pins_poke(struct tiered_volume *volume);
/* A read of the filler has ended, and what it read is filled; @failed: the home could not be read. */
void tiered_pins_filled(struct tiered_volume *volume, bool failed);

/* Pins or unpins all of @count @ranges, or none of them. Returns 0 or a negative errno, with a sentence in the log. */
int tiered_pins_change(struct tiered_volume *volume, const struct tiered_pin *ranges, u32 count, bool pin);

/* The first pinned range that ends behind @from, without what lies before that. False: there is none. */
bool tiered_pins_next(struct tiered_volume *volume, u64 from, struct tiered_pin *pin);
/* How many pages of @range are resident; @clean: and are whole at home. */
u64 tiered_pins_resident(struct tiered_volume *volume, const struct tiered_pin *range, bool clean);
/* Clean frames that cannot be evicted, because their pages are pinned. It looks at each. */
u64 tiered_pins_clean(struct tiered_volume *volume);

/* How many pages may be pinned. */
u64 tiered_pins_limit(const struct tiered_volume *volume);
u64 tiered_pins_bytes(struct tiered_volume *volume);

/* Whether @page is pinned, and pins hold. There are some. */
bool tiered_pins_have(const struct tiered_volume *volume, u64 page);

#endif
