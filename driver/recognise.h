/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether the disk is the one that the volume left: a clean frame and its home have the same contents, or it is not. */
#ifndef TIERED_RECOGNISE_H
#define TIERED_RECOGNISE_H

#include <linux/types.h>

struct dm_dev;
struct tiered_volume;

/*
 * Compares some clean pages, spread over the fast tier, with their homes on @home. Catches a disk that was swapped and
 * most that were written without the volume, not all. A home that cannot be read says nothing. Returns 0, or -ENXIO
 * after a sentence in the log: a page differs, or nothing could be compared and the disk is not of the size it had
 * while the table of @sectors does not say that it has grown.
 */
int tiered_recognise_home(struct tiered_volume *volume, struct dm_dev *home, sector_t sectors);

#endif
