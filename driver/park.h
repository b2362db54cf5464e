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
	struct work_struct work;
};

void tiered_parking_init(struct tiered_volume *volume);

/* Parks @bio, a write of at most one page. */
void tiered_park(struct tiered_volume *volume, struct bio *bio);

#endif
