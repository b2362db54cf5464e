/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes through the fast tier (`writethrough`): a write is stored in frames, dirty, like any other, and ends only when the
 * homes of its pages have it durably. The fast tier may be lost at any moment, and no acknowledged data with it.
 */
#ifndef TIERED_THROUGH_H
#define TIERED_THROUGH_H

#include <linux/bio.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct tiered_volume;

struct tiered_throughs {
	spinlock_t lock;
	struct bio_list bios;
	struct delayed_work work;
};

void tiered_throughs_init(struct tiered_volume *volume);

/* Takes over @bio, all of which is in frames: ends it when it is at home. Never sleeps. */
void tiered_through(struct tiered_volume *volume, struct bio *bio);

#endif
