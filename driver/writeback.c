// SPDX-License-Identifier: GPL-2.0-only
/* Write-back: collect a batch, sort, write, flush, mark clean. */
#include "writeback.h"

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "bad.h"
#include "volume.h"

struct tiered_writeback_page {
	u64 page;
	u32 frame;
	bool written;
	struct page *copy; /* ours for good; the others change at each batch */
};

/* Neighbours that are dirty too go along, up to this many each way: one larger write costs the disk hardly more. */
#define NEIGHBOURS 32
#define IDLE_LOOK HZ

static u32 percent_of_frames(const struct tiered_volume *volume, u8 percent)
{
	return (u64)volume->frames.words.frames * percent / 100;
}

/*----------------------------------------------------------------*/
/* Collecting */

/*
 * Claims the dirty frame of @page for write-back. Not while a bypassing write to the page's stripe is on its way: it
 * could reach the home after ours and leave older contents there.
 */
static u32 begin_page(struct tiered_volume *volume, u64 page, bool *busy)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	u32 frame;
	u64 word;

	spin_lock(&stripe->lock);
	frame = tiered_frames_lookup(frames, page);
	if (frame == TIERED_NO_FRAME)
		goto out;
	word = tiered_frame_word(frames, frame);
	if (tiered_frame_state(word) != TIERED_CLAIM_DIRTY || word & TIERED_FRAME_CLEANING) {
		frame = TIERED_NO_FRAME;
	} else if (atomic_read(&stripe->home_writes)) {
		frame = TIERED_NO_FRAME;
		*busy = true;
	} else {
		WRITE_ONCE(frames->frame[frame].word, word | TIERED_FRAME_CLEANING);
	}
out:
	spin_unlock(&stripe->lock);
	return frame;
}

/*
 * Ends what begin_page() began; @written: the home durably has what the frame had, and the fast tier is entered to say
 * so.
 */
static void end_page(struct tiered_volume *volume, const struct tiered_writeback_page *entry)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, entry->page);
	u64 word;

	spin_lock(&stripe->lock);
	word = tiered_frame_word(frames, entry->frame);
	WRITE_ONCE(frames->frame[entry->frame].word, word & ~TIERED_FRAME_CLEANING);
	/* Overwritten meanwhile: the newer frame stays dirty, and this one was kept for us. */
	if (word & TIERED_FRAME_SUPERSEDED)
		tiered_frames_rest(frames, entry->frame);
	else if (entry->written && tiered_frame_state(word) == TIERED_CLAIM_LOST)
		/* It went bad after we had copied it: nothing is lost after all. */
		tiered_frames_remove(frames, stripe, entry->frame);
	else if (entry->written)
		tiered_frames_clean(frames, entry->frame);
	spin_unlock(&stripe->lock);
}

/* The frame does not change and is not freed while it is CLEANING. */
static bool copy_frame(struct tiered_volume *volume, const struct tiered_writeback_page *entry)
{
	void *to = kmap_local_page(entry->copy);
	bool read = tiered_fast_read(&volume->fast, to, tiered_frame_data(&volume->frames, entry->frame), PAGE_SIZE);

	kunmap_local(to);
	return read;
}

struct collected {
	u32 count;
	bool busy; /* a dirty page was left because a bypassing write to its stripe was on its way */
};

/* Adds @page to the batch if it is dirty. */
static bool take(struct tiered_volume *volume, u64 page, struct collected *collected)
{
	struct tiered_writeback_page *entry = &volume->writeback.batch[collected->count];

	if (collected->count == TIERED_WRITEBACK_BATCH || page >= tiered_pages(volume))
		return false;
	entry->frame = begin_page(volume, page, &collected->busy);
	if (entry->frame == TIERED_NO_FRAME)
		return false;
	entry->page = page;
	entry->written = false;
	if (!copy_frame(volume, entry)) {
		end_page(volume, entry);
		tiered_bad_page(volume, page);
		return false;
	}
	collected->count++;
	return true;
}

static void take_with_neighbours(struct tiered_volume *volume, u64 page, struct collected *collected)
{
	u32 i;

	if (!take(volume, page, collected))
		return;
	for (i = 1; i <= NEIGHBOURS && take(volume, page + i, collected); i++)
		;
	for (i = 1; i <= NEIGHBOURS && i <= page && take(volume, page - i, collected); i++)
		;
}

/* Goes round the frame table from the hand on, at most once. Takes nothing when the fast tier is gone. */
static struct collected collect(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u32 frames = volume->frames.words.frames, looked;
	struct collected collected = { 0 };
	u64 word;
	int id;

	if (!tiered_fast_enter(&volume->fast, &id))
		return collected;
	for (looked = 0; looked < frames && collected.count < TIERED_WRITEBACK_BATCH; looked++) {
		word = tiered_frame_word(&volume->frames, writeback->hand);
		if (tiered_frame_state(word) == TIERED_CLAIM_DIRTY && !(word & TIERED_FRAME_CLEANING))
			take_with_neighbours(volume, tiered_frame_page(word), &collected);
		writeback->hand = (writeback->hand + 1) % frames;
		if (!(looked % 1024))
			cond_resched();
	}
	tiered_fast_leave(id);
	if (writeback->sweep_left && collected.busy)
		WRITE_ONCE(writeback->sweep_again, true);
	writeback->sweep_left -= min(writeback->sweep_left, looked);
	return collected;
}

/*----------------------------------------------------------------*/
/* Writing */

static int by_page(const void *a, const void *b)
{
	const struct tiered_writeback_page *x = a, *y = b;

	return x->page < y->page ? -1 : x->page > y->page;
}

static void put_bio_in_flight(struct tiered_writeback *writeback)
{
	if (atomic_dec_and_test(&writeback->bios_in_flight))
		complete(&writeback->batch_done);
}

/* A bio stands for the entries from bi_private on, one a page. */
static void write_ended(struct bio *bio)
{
	struct tiered_writeback_page *entry = bio->bi_private;
	struct tiered_volume *volume = container_of(bio->bi_pool, struct tiered_volume, writeback.bios);
	u32 i;

	for (i = 0; i < bio->bi_vcnt; i++)
		entry[i].written = !bio->bi_status;
	bio_put(bio);
	put_bio_in_flight(&volume->writeback);
}

/* Writes the run of neighbouring pages that begins at @first. Returns its length. */
static u32 write_run(struct tiered_volume *volume, u32 first, u32 count)
{
	struct tiered_writeback_page *entry = &volume->writeback.batch[first];
	struct bio *bio;
	u32 run = 1;

	while (first + run < count && entry[run].page == entry->page + run)
		run++;
	bio = bio_alloc_bioset(volume->homes.bdev, run, REQ_OP_WRITE, GFP_NOIO, &volume->writeback.bios);
	bio->bi_iter.bi_sector = tiered_home_sector(entry->page);
	bio->bi_end_io = write_ended;
	bio->bi_private = entry;
	for (first = 0; first < run; first++)
		__bio_add_page(bio, entry[first].copy, PAGE_SIZE, 0);
	atomic_inc(&volume->writeback.bios_in_flight);
	submit_bio_noacct(bio);
	return run;
}

static void write_batch(struct tiered_volume *volume, u32 count)
{
	struct tiered_writeback *writeback = &volume->writeback;
	struct blk_plug plug;
	u32 i;

	sort(writeback->batch, count, sizeof(*writeback->batch), by_page, NULL);
	reinit_completion(&writeback->batch_done);
	atomic_set(&writeback->bios_in_flight, 1);
	blk_start_plug(&plug);
	for (i = 0; i < count; )
		i += write_run(volume, i, count);
	blk_finish_plug(&plug);
	put_bio_in_flight(writeback);
	wait_for_completion_io(&writeback->batch_done);
}

/* Returns the number of pages that became durable at home. */
static u32 write_back_batch(struct tiered_volume *volume, u32 count)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u32 written = 0, i;
	bool flushed, entered;
	int id;

	write_batch(volume, count);
	flushed = !tiered_homes_flush_now(&volume->homes);
	entered = tiered_fast_enter(&volume->fast, &id);
	for (i = 0; i < count; i++) {
		writeback->batch[i].written &= flushed && entered;
		written += writeback->batch[i].written;
		end_page(volume, &writeback->batch[i]);
	}
	if (entered)
		tiered_fast_leave(id);
	tiered_count(&volume->stats, TIERED_WRITEBACK_BYTES, (u64)written * TIERED_FRAME_BYTES);
	WRITE_ONCE(writeback->failing, written < count);
	tiered_volume_look(volume);
	return written;
}

/*----------------------------------------------------------------*/
/* When */

static u64 dirty_frames(struct tiered_volume *volume)
{
	return percpu_counter_sum_positive(&volume->frames.dirty);
}

static bool wanted(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;

	if (xchg(&writeback->flush_wanted, false))
		writeback->sweep_left = volume->frames.words.frames;
	if (dirty_frames(volume) <= percent_of_frames(volume, volume->options.dirty_low_percent))
		WRITE_ONCE(writeback->running, false);
	return READ_ONCE(writeback->running) || READ_ONCE(writeback->starved) || writeback->sweep_left;
}

static void queue_writeback(struct tiered_volume *volume)
{
	if (READ_ONCE(volume->started))
		queue_work(volume->home_worker, &volume->writeback.work);
}

/* Nothing was cleaned. The next poke, or the next idle look, tries again. */
static void end_in_vain(struct tiered_volume *volume, const struct collected *collected)
{
	struct tiered_writeback *writeback = &volume->writeback;

	WRITE_ONCE(writeback->running, false);
	if (collected->count) {
		DMERR_LIMIT("%s: the capacity tier takes no write-back; dirty pages stay in the fast tier",
			    volume->name);
		writeback->sweep_left = 0;
	}
	if (collected->count || !collected->busy)
		WRITE_ONCE(writeback->vain_attempt, writeback->attempts);
	wake_up_all(&volume->frames.freed);
}

static void writeback_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(work, struct tiered_volume, writeback.work);
	struct tiered_writeback *writeback = &volume->writeback;
	struct collected collected;

	/* A message may have started us when the volume had just stopped. */
	if (!READ_ONCE(volume->started) || !wanted(volume))
		return;
	WRITE_ONCE(writeback->starved, false);
	WRITE_ONCE(writeback->attempts, writeback->attempts + 1);
	collected = collect(volume);
	if (!collected.count || !write_back_batch(volume, collected.count)) {
		end_in_vain(volume, &collected);
		return;
	}
	tiered_reclaim_poke(volume);
	/* One batch at a time: zeroing shares the worker and gets its turn in between. */
	if (wanted(volume))
		queue_writeback(volume);
}

static u64 home_uses(struct tiered_volume *volume)
{
	return tiered_stats_sum(&volume->stats, TIERED_READ_MISSES) +
	       tiered_stats_sum(&volume->stats, TIERED_WRITE_BYPASS);
}

/* While nobody else uses the disk, dirty pages may as well go home: later they can be evicted at once. */
static void idle_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(to_delayed_work(work), struct tiered_volume, writeback.idle);
	struct tiered_writeback *writeback = &volume->writeback;
	u64 uses = home_uses(volume);

	if (uses == writeback->homes_used_at && dirty_frames(volume))
		tiered_writeback_starved(volume);
	writeback->homes_used_at = uses;
	if (xchg(&writeback->sweep_again, false))
		tiered_writeback_all(volume);
	/* An attempt that ended in vain left nobody to ask again for those who wait for frames. */
	tiered_reclaim_poke(volume);
	queue_delayed_work(volume->home_worker, &writeback->idle, IDLE_LOOK);
}

void tiered_writeback_start(struct tiered_volume *volume)
{
	queue_delayed_work(volume->home_worker, &volume->writeback.idle, IDLE_LOOK);
	/* What a suspend interrupted goes on. */
	queue_writeback(volume);
}

void tiered_writeback_poke(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;

	if (READ_ONCE(writeback->running) ||
	    percpu_counter_read_positive(&volume->frames.dirty) <=
		    percent_of_frames(volume, volume->options.dirty_high_percent))
		return;
	WRITE_ONCE(writeback->running, true);
	queue_writeback(volume);
}

void tiered_writeback_starved(struct tiered_volume *volume)
{
	WRITE_ONCE(volume->writeback.starved, true);
	queue_writeback(volume);
}

void tiered_writeback_all(struct tiered_volume *volume)
{
	xchg(&volume->writeback.flush_wanted, true);
	queue_writeback(volume);
}

/*----------------------------------------------------------------*/

int tiered_writeback_init(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u32 i;
	int r;

	INIT_WORK(&writeback->work, writeback_work);
	INIT_DELAYED_WORK(&writeback->idle, idle_work);
	init_completion(&writeback->batch_done);
	r = bioset_init(&writeback->bios, BIO_POOL_SIZE, 0, BIOSET_NEED_BVECS);
	if (r)
		return r;
	writeback->batch = kvcalloc(TIERED_WRITEBACK_BATCH, sizeof(*writeback->batch), GFP_KERNEL);
	if (!writeback->batch)
		return -ENOMEM;
	for (i = 0; i < TIERED_WRITEBACK_BATCH; i++) {
		writeback->batch[i].copy = alloc_page(GFP_KERNEL);
		if (!writeback->batch[i].copy)
			return -ENOMEM;
	}
	return 0;
}

void tiered_writeback_exit(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u32 i;

	for (i = 0; writeback->batch && i < TIERED_WRITEBACK_BATCH; i++)
		if (writeback->batch[i].copy)
			__free_page(writeback->batch[i].copy);
	kvfree(writeback->batch);
	writeback->batch = NULL;
	bioset_exit(&writeback->bios);
}
