// SPDX-License-Identifier: GPL-2.0-only
/* The disk without its fast tier: requests pass through. */
#include "alone.h"

#include "io.h"
#include "volume.h"

int tiered_alone_activate(struct tiered_volume *volume, struct dm_dev *home, sector_t sectors)
{
	if (sectors > bdev_nr_sectors(home->bdev))
		return TIERED_REFUSE(volume, -EINVAL, "the table has %llu sectors but the capacity device has %llu; use at most "
				     "that length", (u64)sectors, (u64)bdev_nr_sectors(home->bdev));
	volume->homes.bdev = home->bdev;
	volume->sectors = sectors;
	return 0;
}

static void count(struct tiered_volume *volume, const struct bio *bio)
{
	u64 first = bio->bi_iter.bi_sector / TIERED_SECTORS_PER_PAGE;
	u64 end = DIV_ROUND_UP_ULL(bio_end_sector(bio), TIERED_SECTORS_PER_PAGE);

	if (bio->bi_opf & REQ_PREFLUSH) {
		tiered_count(&volume->stats, TIERED_FLUSHES, 1);
		tiered_count(&volume->stats, TIERED_FLUSHES_PASSED, 1);
	} else if (bio_op(bio) == REQ_OP_READ) {
		tiered_count(&volume->stats, TIERED_READ_MISSES, end - first);
	} else if (bio_op(bio) == REQ_OP_WRITE) {
		tiered_count(&volume->stats, TIERED_WRITE_BYPASS, end - first);
	}
}

int tiered_alone_map(struct tiered_volume *volume, struct bio *bio, bool read_only)
{
	if (read_only && op_is_write(bio_op(bio)) && !(bio->bi_opf & REQ_PREFLUSH))
		return DM_MAPIO_KILL;
	count(volume, bio);
	bio_set_dev(bio, volume->homes.bdev);
	return DM_MAPIO_REMAPPED;
}
