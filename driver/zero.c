// SPDX-License-Identifier: GPL-2.0-only
/* Discard and write-zeroes, one after the other, on the worker that also writes back. */
#include "zero.h"

#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/sched.h>

#include "volume.h"

struct page_range {
	u64 first;
	u64 end;
};

bool tiered_zero_excludes(const struct tiered_volume *volume, u64 page)
{
	u64 end = smp_load_acquire(&volume->zeroing.exclusive_end);

	return unlikely(end) && page < end && page >= READ_ONCE(volume->zeroing.exclusive_first);
}

static void bump_stripe(struct tiered_stripe *stripe)
{
	spin_lock(&stripe->lock);
	atomic_inc(&stripe->events);
	spin_unlock(&stripe->lock);
}

/*
 * Makes fills of the range that are under way fail. Passing through each lock also sees to it that whoever takes it
 * next knows the range is exclusive.
 */
static void bump_events(struct tiered_frames *frames, const struct page_range *range)
{
	u64 page;
	u32 i;

	if (range->end - range->first <= frames->stripe_mask) {
		for (page = range->first; page < range->end; page++)
			bump_stripe(tiered_stripe_of(frames, page));
		return;
	}
	for (i = 0; i <= frames->stripe_mask; i++) {
		bump_stripe(&frames->stripe[i]);
		cond_resched();
	}
}

enum which {
	WITHDRAW_CLEAN,
	WITHDRAW_ALL,
};

static void withdraw_page(struct tiered_frames *frames, u64 page, enum which which)
{
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	u32 frame;
	int id;

	if (!tiered_fast_enter(frames->fast, &id))
		return;
	spin_lock(&stripe->lock);
	frame = tiered_frames_lookup(frames, page);
	if (frame != TIERED_NO_FRAME &&
	    (which == WITHDRAW_ALL || tiered_frame_state(tiered_frame_word(frames, frame)) == TIERED_CLAIM_CLEAN)) {
		/* They went when the range became exclusive, and no new ones began. */
		tiered_frames_unmapped(frames, frame);
		tiered_frames_remove(frames, stripe, frame);
	}
	spin_unlock(&stripe->lock);
	tiered_fast_leave(id);
}

/* By page, or by frame where there are fewer of those. */
static void withdraw_range(struct tiered_frames *frames, const struct page_range *range, enum which which)
{
	u64 page, word;
	u32 frame;

	if (range->end - range->first <= frames->words.frames) {
		for (page = range->first; page < range->end; page++) {
			withdraw_page(frames, page, which);
			if (!(page % 256))
				cond_resched();
		}
		return;
	}
	for (frame = 0; frame < frames->words.frames; frame++) {
		word = tiered_frame_word(frames, frame);
		if (tiered_frame_state(word) && tiered_frame_page(word) >= range->first &&
		    tiered_frame_page(word) < range->end)
			withdraw_page(frames, tiered_frame_page(word), which);
		if (!(frame % 256))
			cond_resched();
	}
}

static int zero_homes(struct tiered_homes *homes, const struct page_range *range, unsigned int flags)
{
	sector_t sector = tiered_home_sector(range->first);
	sector_t sectors = tiered_home_sector(range->end) - sector;
	int r = blkdev_issue_zeroout(homes->bdev, sector, sectors, GFP_NOIO, flags);

	/* Whatever came of it, the disk has unflushed writes there now. */
	tiered_homes_wrote(homes, range->first, range->end - range->first);
	return r ? r : tiered_homes_flush_now(homes);
}

static void set_exclusive(struct tiered_zeroing *zeroing, const struct page_range *range)
{
	WRITE_ONCE(zeroing->exclusive_first, range->first);
	smp_store_release(&zeroing->exclusive_end, range->end);
}

static int zero_range(struct tiered_volume *volume, const struct page_range *range, unsigned int flags)
{
	int r;

	set_exclusive(&volume->zeroing, range);
	bump_events(&volume->frames, range);
	tiered_mappings_leave(volume, range->first, range->end);
	/*
	 * Clean claims go before their homes change: a crash in between would leave a claim that calls its home the
	 * same while it is not, and the page would change when the frame is evicted. Dirty ones go after their homes
	 * are durably zero: withdrawn before, a crash would show what the home held before the claim.
	 */
	withdraw_range(&volume->frames, range, WITHDRAW_CLEAN);
	/* What a fast tier that is gone could not withdraw speaks again when it comes back: its homes must not change. */
	tiered_costs_begin(&volume->thrift.costs);
	r = tiered_fast_gone(&volume->fast) ? -EIO : zero_homes(&volume->homes, range, flags);
	tiered_costs_end(&volume->thrift.costs);
	if (!r)
		withdraw_range(&volume->frames, range, WITHDRAW_ALL);
	if (!r && tiered_fast_gone(&volume->fast))
		r = -EIO;
	/* A read that began meanwhile may have seen the old homes and would fill them once we are gone. */
	bump_events(&volume->frames, range);
	smp_store_release(&volume->zeroing.exclusive_end, 0);
	smp_mb();
	tiered_park_zeroed(volume);
	tiered_mappings_changed(volume);
	tiered_pins_poke(volume);
	tiered_volume_look(volume);
	return r;
}

/*
 * The whole pages of a request. A discard is a hint: what it covers of a page at either end is left as it is.
 * Write-zeroes is exact, so one that is not made of whole pages is not taken (the block layer then writes zeroes).
 */
static blk_status_t serve(struct tiered_volume *volume, struct bio *bio)
{
	u64 sector = bio->bi_iter.bi_sector, end = bio_end_sector(bio);
	struct page_range range = {
		.first = DIV_ROUND_UP(sector, TIERED_SECTORS_PER_PAGE),
		.end = min_t(u64, end / TIERED_SECTORS_PER_PAGE, tiered_pages(volume)),
	};

	/* Who wants the space kept (on a thin disk) does not want it unmapped. */
	unsigned int flags = bio->bi_opf & REQ_NOUNMAP ? BLKDEV_ZERO_NOUNMAP : 0;

	if (bio_op(bio) == REQ_OP_WRITE_ZEROES &&
	    (tiered_home_sector(range.first) != sector || tiered_home_sector(range.end) != end))
		return BLK_STS_NOTSUPP;
	if (range.first >= range.end)
		return BLK_STS_OK;
	return errno_to_blk_status(zero_range(volume, &range, flags));
}

/* One request a turn: write-back shares the worker, and a discard of a large disk comes in thousands. */
static void zero_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(work, struct tiered_volume, zeroing.work);
	struct tiered_zeroing *zeroing = &volume->zeroing;
	struct bio *bio;
	bool more;

	spin_lock(&zeroing->lock);
	bio = bio_list_pop(&zeroing->bios);
	more = !bio_list_empty(&zeroing->bios);
	spin_unlock(&zeroing->lock);
	if (more)
		queue_work(volume->home_worker, &zeroing->work);
	if (bio) {
		bio->bi_status = serve(volume, bio);
		bio_endio(bio);
	}
}

void tiered_zeroing_init(struct tiered_volume *volume)
{
	spin_lock_init(&volume->zeroing.lock);
	bio_list_init(&volume->zeroing.bios);
	INIT_WORK(&volume->zeroing.work, zero_work);
}

void tiered_zero(struct tiered_volume *volume, struct bio *bio)
{
	struct tiered_zeroing *zeroing = &volume->zeroing;

	spin_lock(&zeroing->lock);
	bio_list_add(&zeroing->bios, bio);
	spin_unlock(&zeroing->lock);
	queue_work(volume->home_worker, &zeroing->work);
}

static void zeroed(struct bio *bio)
{
	complete(bio->bi_private);
}

int tiered_zero_pages(struct tiered_volume *volume, u64 first, u64 end)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct bio bio;
	int r;

	if (tiered_homes_refuse_write(&volume->homes))
		return -EIO;
	/* For the worker alone, which looks at the range. */
	bio_init(&bio, volume->homes.bdev, NULL, 0, REQ_OP_DISCARD);
	bio.bi_iter.bi_sector = tiered_home_sector(first);
	bio.bi_iter.bi_size = (end - first) << TIERED_FRAME_SHIFT;
	bio.bi_private = &done;
	bio.bi_end_io = zeroed;
	tiered_zero(volume, &bio);
	wait_for_completion_io(&done);
	r = blk_status_to_errno(bio.bi_status);
	bio_uninit(&bio);
	return r;
}
