/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes that cannot go on in map(): they wait in a worker for a free frame or for the end of a zeroed range. */
#ifndef TIERED_PARK_H
#define TIERED_PARK_H

#include <linux/bio.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct tiered_volume;

struct tiered_parking {
	spinlock_t lock;
	struct bio_list bios;
	struct bio_list aside; /* they wait for the end of a zeroed range, and nobody else has to wait for them */
	struct work_struct work;
};

void tiered_parking_init(struct tiered_volume *volume);

/* Parks @bio, a write of at most one page. */
void tiered_park(struct tiered_volume *volume, struct bio *bio);

/* A zeroed range is not exclusive any more. */
void tiered_park_zeroed(struct tiered_volume *volume);

#endif
