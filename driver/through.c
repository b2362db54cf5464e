// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes through the fast tier: all that wait share a batch of write-back and its one flush of the disk. Runs on the worker
 * that also writes back and zeroes, so that a home has one writer.
 */
#include "through.h"

#include "io.h"
#include "volume.h"

static struct tiered_io *io_of(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct tiered_io));
}

void tiered_through(struct tiered_volume *volume, struct bio *bio)
{
	struct tiered_throughs *throughs = &volume->throughs;
	struct tiered_io *io = io_of(bio);
	u64 end = DIV_ROUND_UP(bio_end_sector(bio), TIERED_SECTORS_PER_PAGE);

	io->kind = TIERED_IO_DONE;
	io->page = bio->bi_iter.bi_sector / TIERED_SECTORS_PER_PAGE;
	io->pages = end - io->page;
	io->started_ns = ktime_get_ns();
	spin_lock(&throughs->lock);
	bio_list_add(&throughs->bios, bio);
	spin_unlock(&throughs->lock);
	mod_delayed_work(volume->home_worker, &throughs->work, 0);
}

/*
 * Takes the pages of @bio into the batch, as far as it goes. A page that somebody has overwritten since is as good: what
 * goes home is newer. Returns false when one of them has lost its contents.
 */
static bool take_pages(struct tiered_volume *volume, struct bio *bio)
{
	struct tiered_io *io = io_of(bio);

	while (io->pages) {
		switch (tiered_writeback_take(volume, io->page)) {
		case TIERED_THROUGH_FAILED:
			return false;
		case TIERED_THROUGH_BUSY:
		case TIERED_THROUGH_FULL:
			return true;
		default:
			io->page++;
			io->pages--;
		}
	}
	return true;
}

/* Whether all pages of @bio that were taken are at home. Pages before this batch are: else the bio had ended. */
static bool all_written(struct tiered_volume *volume, struct bio *bio)
{
	u64 page = bio->bi_iter.bi_sector / TIERED_SECTORS_PER_PAGE;

	for (; page < io_of(bio)->page; page++)
		if (!tiered_writeback_wrote(volume, page))
			return false;
	return true;
}

static void end(struct tiered_volume *volume, struct bio *bio, bool written)
{
	tiered_latency_end(&volume->stats, TIERED_PATH_WRITE_FAST, io_of(bio)->started_ns);
	bio->bi_status = written ? BLK_STS_OK : BLK_STS_IOERR;
	bio_endio(bio);
}

/* Takes what it can of all that wait, in their order. Those that cannot go on at all end here. */
static void take_all(struct tiered_volume *volume, struct bio_list *waiting)
{
	struct bio_list taken = BIO_EMPTY_LIST;
	struct bio *bio;
	int id;

	if (!tiered_fast_enter(&volume->fast, &id)) {
		while ((bio = bio_list_pop(waiting)))
			end(volume, bio, false);
		return;
	}
	tiered_writeback_begin(volume);
	while ((bio = bio_list_pop(waiting))) {
		if (take_pages(volume, bio))
			bio_list_add(&taken, bio);
		else
			end(volume, bio, false);
	}
	tiered_fast_leave(id);
	*waiting = taken;
}

/* Ends those that are at home or failed; the others keep waiting. */
static void end_all(struct tiered_volume *volume, struct bio_list *waiting)
{
	struct bio_list left = BIO_EMPTY_LIST;
	struct bio *bio;

	while ((bio = bio_list_pop(waiting))) {
		bool written = all_written(volume, bio);

		if (written && io_of(bio)->pages)
			bio_list_add(&left, bio);
		else
			end(volume, bio, written);
	}
	*waiting = left;
}

static void through_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(to_delayed_work(work), struct tiered_volume, throughs.work);
	struct tiered_throughs *throughs = &volume->throughs;
	struct bio_list waiting;
	bool stuck;

	spin_lock(&throughs->lock);
	waiting = throughs->bios;
	bio_list_init(&throughs->bios);
	spin_unlock(&throughs->lock);
	if (bio_list_empty(&waiting))
		return;

	volume->writeback.count = 0;
	take_all(volume, &waiting);
	tiered_writeback_write(volume);
	stuck = !volume->writeback.count;
	end_all(volume, &waiting);
	tiered_reclaim_poke(volume);
	if (bio_list_empty(&waiting))
		return;
	spin_lock(&throughs->lock);
	bio_list_merge_head(&throughs->bios, &waiting);
	spin_unlock(&throughs->lock);
	/* All that is left waits for bypassing writes to end, if nothing could be taken. One batch a turn. */
	mod_delayed_work(volume->home_worker, &throughs->work, stuck ? 1 : 0);
}

void tiered_throughs_init(struct tiered_volume *volume)
{
	spin_lock_init(&volume->throughs.lock);
	bio_list_init(&volume->throughs.bios);
	INIT_DELAYED_WORK(&volume->throughs.work, through_work);
}
