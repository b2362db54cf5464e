/* SPDX-License-Identifier: GPL-2.0-only */
/* An instance of the target, between its life cycle (target.c) and what it tells (status.c). */
#ifndef TIERED_TARGET_H
#define TIERED_TARGET_H

#include <linux/device-mapper.h>

#include "volume.h"

/* An instance: one per table that is loaded, active or not. */
struct tiered {
	struct dm_target *ti;
	struct dm_dev *fast; /* NULL: `-`, the disk alone */
	struct dm_dev *home;
	struct tiered_options options;
	unsigned long refused; /* bit 0: that the block device serves nobody was said */
	struct tiered_volume *volume;
};

void tiered_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result, unsigned int maxlen);
int tiered_message(struct dm_target *ti, unsigned int argc, char **argv, char *result, unsigned int maxlen);

#endif
