/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The disk without its fast tier (`-` as the fast device): requests pass through to their homes. What only the missing
 * fast tier holds cannot be told from what is whole, so nothing is written unless the table vouches that there is nothing.
 */
#ifndef TIERED_ALONE_H
#define TIERED_ALONE_H

#include <linux/device-mapper.h>

struct tiered_volume;

/* Points the volume at the disk of the instance that resumes. Returns 0, or a negative errno with a sentence in the log. */
int tiered_alone_activate(struct tiered_volume *volume, struct dm_dev *home, sector_t sectors);

/* dm's map. */
int tiered_alone_map(struct tiered_volume *volume, struct bio *bio, bool read_only);

#endif
