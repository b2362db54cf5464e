/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All differences between kernel versions that the driver meets. Each is found by what the headers define, or by
 * compiling a probe (probes.mk), never by a version number: distributions carry changes back.
 */
#ifndef TIERED_COMPAT_H
#define TIERED_COMPAT_H

#include <linux/badblocks.h>
#include <linux/blkdev.h>
#include <linux/fs.h>

/* The mode a table was loaded with has a type of its own since block devices have their own open flags. */
#ifdef BLK_OPEN_WRITE
#define TIERED_MODE_WRITE BLK_OPEN_WRITE
#else
#define TIERED_MODE_WRITE FMODE_WRITE
#endif

/* Whether it takes a disk time to get from one sector to another. */
static inline bool tiered_bdev_turns(struct block_device *bdev)
{
#ifdef TIERED_HAVE_BDEV_ROT
	return bdev_rot(bdev);
#else
	return !bdev_nonrot(bdev);
#endif
}

/* Whether one of @sectors sectors from @sector on is listed as bad. */
static inline bool tiered_badblocks_check(struct badblocks *list, sector_t sector, unsigned int sectors)
{
#ifdef TIERED_HAVE_BADBLOCKS_SECTOR_T
	sector_t bad_sectors;
#else
	int bad_sectors;
#endif
	sector_t first_bad;

	return badblocks_check(list, sector, sectors, &first_bad, &bad_sectors) != 0;
}

/* No polled I/O, where that is a limit; elsewhere the queue's flag follows the disk, and bios lose theirs in map(). */
static inline void tiered_limit_no_polling(struct queue_limits *limits)
{
#ifdef BLK_FEAT_POLL
	limits->features &= ~BLK_FEAT_POLL;
#endif
}

/* A limit for write-zeroes that unmaps has to be the same as the plain one, or 0, where it exists. */
static inline void tiered_limit_write_zeroes(struct queue_limits *limits, unsigned int sectors)
{
	limits->max_write_zeroes_sectors = sectors;
#ifdef TIERED_HAVE_WZEROES_UNMAP
	limits->max_hw_wzeroes_unmap_sectors = min(limits->max_hw_wzeroes_unmap_sectors, sectors);
#endif
}

#endif
