/* SPDX-License-Identifier: GPL-2.0-only */
/* The superblocks of an open volume: reading them, holding the devices against them, and writing what changes. */
#ifndef TIERED_MEDIA_H
#define TIERED_MEDIA_H

#include "core/superblock.h"

struct dm_dev;
struct tiered_volume;

struct tiered_media {
	struct tiered_superblock_disk *sb; /* the newest, as on media */
	u32 slot;			   /* where it stands */
	bool other_bad;			   /* the other slot cannot be read, so it is not written either */
	bool other_behind;		   /* the other slot is torn, or a change of size did not reach it */
};

/*
 * Reads the superblocks of @volume, whose fast tier is mapped, and checks that @home and the @sectors of the table belong
 * to it. Fills in what the volume knows of itself. Returns 0, or a negative errno after a sentence in the log.
 */
int tiered_media_read(struct tiered_volume *volume, struct dm_dev *fast, struct dm_dev *home, sector_t sectors);
void tiered_media_exit(struct tiered_media *media);

/* Whether this driver may write to the volume. Returns 0, or -EROFS after a sentence in the log. */
int tiered_media_may_write(struct tiered_volume *volume);

/* Completes what a power cut left half done: both slots know the volume. Before the first claim. */
int tiered_media_complete(struct tiered_volume *volume);

/* Records, durably, that the volume wants a check; user space takes the mark away. Best effort: see other_bad. */
void tiered_media_need_check(struct tiered_volume *volume);

/*
 * Makes the volume @sectors long, durably in both superblocks, on a capacity device that has grown to @home_sectors.
 * Returns 0 or a negative errno after a sentence in the log.
 */
int tiered_media_grow(struct tiered_volume *volume, sector_t sectors, u64 home_sectors);

#endif
