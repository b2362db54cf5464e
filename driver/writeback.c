// SPDX-License-Identifier: GPL-2.0-only
/* Write-back: collect a batch, sort, write, flush, mark clean. */
#include "writeback.h"

#include <linux/bsearch.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "bad.h"
#include "trace.h"
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
/* Pages whose stripe was busy are looked at again after so long. */
#define BUSY_PAUSE max(HZ / 100, 1)
/* However slow the disk is for others, a batch follows the last one after so long. */
#define PACE_PAUSE_MAX_MS 100u

/* Of those that are not kept for pinned pages: others could all be dirty before, and nothing be left to evict. */
static u32 percent_of_frames(const struct tiered_volume *volume, u8 percent)
{
	return (u64)READ_ONCE(volume->pins.others) * percent / 100;
}

/*----------------------------------------------------------------*/
/* Collecting */

/*
 * Notes that @page waits for the bypassing writes to its stripe to end, and lets no new ones begin. Under the stripe's
 * lock. What does not fit in is met again when the hand comes round.
 */
static void pass_over(struct tiered_writeback *writeback, struct tiered_stripe *stripe, u64 page)
{
	u32 i;

	for (i = 0; i < writeback->passed_over_count; i++)
		if (writeback->passed_over[i] == page)
			break;
	if (i == TIERED_PASSED_OVER_MAX) {
		/* A flush has to come by again. Others meet it when they look for dirty pages the next time. */
		if (READ_ONCE(writeback->flush_total))
			WRITE_ONCE(writeback->sweep_again, true);
		return;
	}
	if (i == writeback->passed_over_count)
		writeback->passed_over[writeback->passed_over_count++] = page;
	WRITE_ONCE(stripe->home_wanted, true);
}

/*
 * Claims the dirty frame of @page for write-back. Not while a bypassing write to the page's stripe is on its way: it
 * could reach the home after ours and leave older contents there. @passed_over: the page is one that was passed over
 * for that, and no new ones were let begin for its sake.
 */
static enum tiered_through begin_page(struct tiered_volume *volume, u64 page, bool passed_over, u32 *frame)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	enum tiered_through r = TIERED_THROUGH_HOME;
	u64 word;

	spin_lock(&stripe->lock);
	if (passed_over)
		WRITE_ONCE(stripe->home_wanted, false);
	*frame = tiered_frames_lookup(frames, page);
	if (*frame == TIERED_NO_FRAME)
		goto out;
	word = tiered_frame_word(frames, *frame);
	if (tiered_frame_state(word) == TIERED_CLAIM_LOST) {
		r = TIERED_THROUGH_FAILED;
	} else if (word & TIERED_FRAME_CLEANING) {
		r = TIERED_THROUGH_TAKEN;
	} else if (tiered_frame_state(word) != TIERED_CLAIM_DIRTY) {
		r = TIERED_THROUGH_HOME;
	} else if (word & (TIERED_FRAME_BEHIND | TIERED_FRAME_STORED)) {
		/* Its turn comes with the next batch; or when its gate is shut. */
		r = TIERED_THROUGH_BUSY;
	} else if (atomic_read(&stripe->home_writes)) {
		pass_over(&volume->writeback, stripe, page);
		r = TIERED_THROUGH_BUSY;
	} else {
		WRITE_ONCE(frames->frame[*frame].word, word | TIERED_FRAME_CLEANING);
		r = TIERED_THROUGH_BEGUN;
	}
out:
	spin_unlock(&stripe->lock);
	return r;
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
	WRITE_ONCE(frames->frame[entry->frame].word, word & ~(TIERED_FRAME_CLEANING | TIERED_FRAME_RESTORED));
	/* Overwritten meanwhile: the newer frame stays dirty, and this one was kept for us. */
	if (word & TIERED_FRAME_RESTORED)
		volume->writeback.restored++;
	if (word & TIERED_FRAME_SUPERSEDED) {
		tiered_frames_rest(frames, entry->frame);
		tiered_frames_arrived(frames, stripe, entry->page);
	} else if (!entry->written || word & TIERED_FRAME_RESTORED) {
		/* The home does not have what the page is now. */
	} else if (tiered_frame_state(word) == TIERED_CLAIM_LOST) {
		/* It went bad after we had copied it: nothing is lost after all. */
		tiered_frames_remove(frames, stripe, entry->frame);
	} else {
		tiered_frames_clean(frames, entry->frame);
	}
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

/* The page has no mappings through which it could be stored to. */
static enum tiered_through take_unstored(struct tiered_volume *volume, u64 page, bool passed_over)
{
	struct tiered_writeback *writeback = &volume->writeback;
	struct tiered_writeback_page *entry = &writeback->batch[writeback->count];
	enum tiered_through r;

	r = begin_page(volume, page, passed_over, &entry->frame);
	if (r != TIERED_THROUGH_BEGUN)
		return r;
	entry->page = page;
	entry->written = false;
	if (!copy_frame(volume, entry)) {
		end_page(volume, entry);
		tiered_bad_page(volume, page);
		return TIERED_THROUGH_FAILED;
	}
	writeback->count++;
	return TIERED_THROUGH_TAKEN;
}

static enum tiered_through take_page(struct tiered_volume *volume, u64 page, bool passed_over)
{
	enum tiered_through r;

	if (volume->writeback.count == TIERED_WRITEBACK_BATCH)
		return TIERED_THROUGH_FULL;
	if (likely(!(tiered_mappings_of(volume, page) & TIERED_FRAME_STORED))) {
		r = take_unstored(volume, page, passed_over);
		/* Unless that became so just now: a flush must not pass it by. */
		if (r != TIERED_THROUGH_BUSY || !(tiered_mappings_of(volume, page) & TIERED_FRAME_STORED))
			return r;
	}
	tiered_gate_shut(volume, page);
	r = take_unstored(volume, page, passed_over);
	tiered_gate_open(volume, page);
	return r;
}

enum tiered_through tiered_writeback_take(struct tiered_volume *volume, u64 page)
{
	return take_page(volume, page, false);
}

/* Frames with these marks are left alone. */
static u64 marks_to_leave(const struct tiered_writeback *writeback)
{
	return TIERED_FRAME_CLEANING | TIERED_FRAME_BEHIND | (writeback->spares_stored ? TIERED_FRAME_STORED : 0);
}

/* Adds @page to the batch if it is dirty. */
static bool take(struct tiered_volume *volume, u64 page)
{
	u32 before = volume->writeback.count;

	if (page < tiered_pages(volume) && !(tiered_mappings_of(volume, page) & marks_to_leave(&volume->writeback)))
		take_page(volume, page, false);
	return volume->writeback.count > before;
}

static void take_with_neighbours(struct tiered_volume *volume, u64 page)
{
	u32 i;

	if (!take(volume, page))
		return;
	for (i = 1; i <= NEIGHBOURS && take(volume, page + i); i++)
		;
	for (i = 1; i <= NEIGHBOURS && i <= page && take(volume, page - i); i++)
		;
}

/* First those that had to wait: nobody may bypass to their stripes meanwhile. */
static void take_passed_over(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u32 count = writeback->passed_over_count, i;

	if (!count)
		return;
	writeback->passed_over_count = 0;
	/* A page that is still busy goes back to a place that was read already. */
	for (i = 0; i < count; i++)
		take_page(volume, writeback->passed_over[i], true);
	wake_up_all(&volume->frames.freed);
}

void tiered_writeback_begin(struct tiered_volume *volume)
{
	volume->writeback.count = 0;
	take_passed_over(volume);
}

/* Goes round the frame table from the hand on, at most once. Takes nothing when the fast tier is gone. */
static void collect(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u32 frames = volume->frames.words.frames, looked;
	u64 word;
	int id;

	writeback->count = 0;
	if (!tiered_fast_enter(&volume->fast, &id)) {
		/* Their turn does not come any more. */
		writeback->passed_over_count = 0;
		return;
	}
	tiered_writeback_begin(volume);
	for (looked = 0; looked < frames && writeback->count < TIERED_WRITEBACK_BATCH; looked++) {
		word = tiered_frame_word(&volume->frames, writeback->hand);
		if (tiered_frame_state(word) == TIERED_CLAIM_DIRTY && !(word & marks_to_leave(writeback)))
			take_with_neighbours(volume, tiered_frame_page(word));
		writeback->hand = (writeback->hand + 1) % frames;
		if (!(looked % 1024))
			cond_resched();
	}
	tiered_fast_leave(id);
	writeback->sweep_left -= min(writeback->sweep_left, looked);
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

/* Writes the run of neighbouring pages that begins at @first, before @end. Returns its length. */
static u32 write_run(struct tiered_volume *volume, u32 first, u32 end)
{
	struct tiered_writeback_page *entry = &volume->writeback.batch[first];
	struct bio *bio;
	u32 run = 1;

	while (first + run < end && entry[run].page == entry->page + run)
		run++;
	/* Two writes of one home at once may arrive in either order. */
	WARN_ON_ONCE(first + run < end && entry[run].page < entry->page + run);
	bio = bio_alloc_bioset(volume->homes.bdev, run, REQ_OP_WRITE, GFP_NOIO, &volume->writeback.bios);
	bio->bi_iter.bi_sector = tiered_home_sector(entry->page);
	bio->bi_end_io = write_ended;
	bio->bi_private = entry;
	for (first = 0; first < run; first++)
		__bio_add_page(bio, entry[first].copy, PAGE_SIZE, 0);
	atomic_inc(&volume->writeback.bios_in_flight);
	if (volume->thrift.policy)
		tiered_thrift_wrote_home(volume, run);
	submit_bio_noacct(bio);
	return run;
}

/* Writes what of the batch the disk has not taken yet, in runs of @longest pages at most, and waits. */
static void write_runs(struct tiered_volume *volume, u32 longest)
{
	struct tiered_writeback *writeback = &volume->writeback;
	struct blk_plug plug;
	u32 i;

	reinit_completion(&writeback->batch_done);
	atomic_set(&writeback->bios_in_flight, 1);
	blk_start_plug(&plug);
	for (i = 0; i < writeback->count; )
		i += writeback->batch[i].written ? 1 : write_run(volume, i, min(i + longest, writeback->count));
	blk_finish_plug(&plug);
	put_bio_in_flight(writeback);
	wait_for_completion_io(&writeback->batch_done);
}

static bool all_written(const struct tiered_writeback *writeback)
{
	u32 i;

	for (i = 0; i < writeback->count; i++)
		if (!writeback->batch[i].written)
			return false;
	return true;
}

static void write_batch(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;

	sort(writeback->batch, writeback->count, sizeof(*writeback->batch), by_page, NULL);
	write_runs(volume, TIERED_WRITEBACK_BATCH);
	/* One sector that takes no write must not keep its neighbours from home. */
	if (!all_written(writeback))
		write_runs(volume, 1);
}

static bool is_dirty(const struct tiered_frames *frames, u64 page)
{
	u32 frame;
	bool dirty;

	rcu_read_lock();
	frame = tiered_frames_lookup(frames, page);
	dirty = frame != TIERED_NO_FRAME &&
		tiered_frame_state(tiered_frame_word(frames, frame)) == TIERED_CLAIM_DIRTY;
	rcu_read_unlock();
	return dirty;
}

/* Whether the page that failed last was in the batch, all of which was written; it may be dirty again. */
static bool went_home(const struct tiered_writeback *writeback)
{
	u32 i;

	for (i = 0; i < writeback->count; i++)
		if (writeback->batch[i].page == writeback->failed_page)
			return true;
	return false;
}

/* What the batch that was written says of the disk. A page that cannot go home is not forgotten for others that can. */
static void judge(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u32 i;

	for (i = 0; i < writeback->count; i++) {
		if (!writeback->batch[i].written) {
			writeback->failed_page = writeback->batch[i].page;
			WRITE_ONCE(writeback->failing, true);
			return;
		}
	}
	if (writeback->failing && (!is_dirty(&volume->frames, writeback->failed_page) || went_home(writeback)))
		WRITE_ONCE(writeback->failing, false);
}

void tiered_writeback_write(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u32 count = writeback->count, written = 0, i;
	bool flushed, entered;
	int id;

	writeback->restored = 0;
	if (!count)
		return;
	tiered_costs_begin(&volume->thrift.costs);
	write_batch(volume);
	flushed = !tiered_homes_flush_now(&volume->homes);
	tiered_costs_end(&volume->thrift.costs);
	entered = tiered_fast_enter(&volume->fast, &id);
	for (i = 0; i < count; i++) {
		writeback->batch[i].written &= flushed && entered;
		written += writeback->batch[i].written;
		end_page(volume, &writeback->batch[i]);
	}
	if (entered)
		tiered_fast_leave(id);
	tiered_count(&volume->stats, TIERED_WRITEBACK_BYTES, (u64)written * TIERED_FRAME_BYTES);
	trace_tiered_writeback(volume->devt, count, written);
	writeback->written = written;
	WRITE_ONCE(writeback->flush_written, writeback->flush_written + written);
	judge(volume);
	tiered_volume_look(volume);
}

bool tiered_writeback_wrote(struct tiered_volume *volume, u64 page)
{
	const struct tiered_writeback *writeback = &volume->writeback;
	struct tiered_writeback_page key = { .page = page }, *entry;

	entry = bsearch(&key, writeback->batch, writeback->count, sizeof(key), by_page);
	return !entry || entry->written;
}

/*----------------------------------------------------------------*/
/* When */

static u64 dirty_frames(struct tiered_volume *volume)
{
	return percpu_counter_sum_positive(&volume->frames.dirty);
}

static u64 stored_frames(struct tiered_volume *volume)
{
	return percpu_counter_sum_positive(&volume->frames.stored);
}

static u64 clean_frames(struct tiered_volume *volume)
{
	return percpu_counter_sum_positive(&volume->frames.clean);
}

static u64 home_uses(struct tiered_volume *volume)
{
	return tiered_stats_sum(&volume->stats, TIERED_READ_MISSES) +
	       tiered_stats_sum(&volume->stats, TIERED_WRITE_BYPASS);
}

static void begin_sweep(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;

	writeback->sweep_left = volume->frames.words.frames;
	WRITE_ONCE(writeback->flush_total, dirty_frames(volume));
	WRITE_ONCE(writeback->flush_written, 0);
	WRITE_ONCE(writeback->flush_began_ns, ktime_get_ns());
}

/* A sweep that is over ends the flush, unless something has to be looked at again. */
static bool sweeping(struct tiered_writeback *writeback)
{
	if (writeback->sweep_left || READ_ONCE(writeback->sweep_again) || writeback->passed_over_count)
		return true;
	WRITE_ONCE(writeback->flush_total, 0);
	return false;
}

static bool wanted(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;

	if (READ_ONCE(writeback->flush_wanted)) {
		begin_sweep(volume);
		/* In this order: who looks at the progress sees one of them. */
		smp_store_release(&writeback->flush_wanted, false);
	}
	if (dirty_frames(volume) <= percent_of_frames(volume, volume->options.dirty_low_percent))
		WRITE_ONCE(writeback->running, false);
	/* Somebody uses the disk again: what is dirty can wait. */
	if (writeback->cleaning_idle && home_uses(volume) != writeback->homes_used_at)
		writeback->cleaning_idle = false;
	sweeping(writeback);
	/* What programs may store to all the time would go home all the time. */
	writeback->spares_stored = !READ_ONCE(writeback->running) && !READ_ONCE(writeback->starved) &&
				   !writeback->sweep_left;
	return !writeback->spares_stored || writeback->passed_over_count ||
	       (writeback->cleaning_idle && dirty_frames(volume) > stored_frames(volume));
}

static void queue_writeback(struct tiered_volume *volume, unsigned long delay)
{
	if (READ_ONCE(volume->started))
		mod_delayed_work(volume->home_worker, &volume->writeback.work, delay);
}

/*
 * Whether nothing will ever be evicted or come out of its rest: every frame is lost, retired or one of the @pinned clean
 * ones, but for what the CPUs may have in stock.
 */
static bool used_up(struct tiered_volume *volume, u64 pinned)
{
	struct tiered_frames *frames = &volume->frames;
	u64 out_of_use = atomic_read(&frames->lost) + atomic_read(&frames->retired) + pinned;

	return !dirty_frames(volume) && clean_frames(volume) <= pinned &&
	       out_of_use + 2 * num_possible_cpus() * frames->magazine_frames >= frames->words.frames;
}

/* Nothing was cleaned. The next poke, or the next idle look, tries again. */
static void end_in_vain(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u64 pinned = tiered_pins_clean(volume);

	WRITE_ONCE(writeback->running, false);
	writeback->cleaning_idle = false;
	if (writeback->count) {
		DMERR_LIMIT("%s: the capacity tier takes no write-back; dirty pages stay in the fast tier",
			    volume->name);
		/* A flush begins again with the next idle look. */
		writeback->sweep_left = 0;
	}
	/* As long as there are clean frames to evict, or some at rest, nobody waits in vain. */
	if ((writeback->count && clean_frames(volume) <= pinned) || used_up(volume, pinned))
		WRITE_ONCE(writeback->vain_attempt, writeback->attempts);
	if (writeback->passed_over_count)
		queue_writeback(volume, BUSY_PAUSE);
	wake_up_all(&volume->frames.freed);
}

u32 tiered_pace(struct tiered_volume *volume, struct tiered_pace *pace)
{
	u64 ns = tiered_stats_sum(&volume->stats, TIERED_HOME_NS), ios = tiered_stats_sum(&volume->stats, TIERED_HOME_IOS);
	u64 mean_ns = ios > pace->ios ? div64_u64(ns - pace->ns, ios - pace->ios) : 0;

	pace->ns = ns;
	pace->ios = ios;
	if (volume->options.latency_target_us && mean_ns > volume->options.latency_target_us * (u64)NSEC_PER_USEC)
		pace->pause_ms = clamp(2 * pace->pause_ms, 1u, PACE_PAUSE_MAX_MS);
	else
		pace->pause_ms /= 2;
	return pace->pause_ms;
}

/* How long to leave the disk to others. Who waits for frames does not wait for that. */
static unsigned long pause_after_batch(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;
	unsigned long pause = msecs_to_jiffies(tiered_pace(volume, &writeback->pace));

	if (READ_ONCE(writeback->starved))
		return 0;
	/* Programs store to it faster than it goes home: no hurry. */
	if (2 * writeback->restored > writeback->count)
		pause = msecs_to_jiffies(PACE_PAUSE_MAX_MS);
	/* Stripes are closed for pages that were passed over; whoever writes there waits as well. */
	return writeback->passed_over_count ? min(pause, (unsigned long)BUSY_PAUSE) : pause;
}

static void writeback_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(to_delayed_work(work), struct tiered_volume, writeback.work);
	struct tiered_writeback *writeback = &volume->writeback;

	/* A message may have started us when the volume had just stopped. */
	if (!READ_ONCE(volume->started) || !wanted(volume))
		return;
	WRITE_ONCE(writeback->starved, false);
	WRITE_ONCE(writeback->attempts, writeback->attempts + 1);
	collect(volume);
	tiered_writeback_write(volume);
	/* A flush is not over while a page that it came by is not at home. */
	if (writeback->written < writeback->count && READ_ONCE(writeback->flush_total))
		WRITE_ONCE(writeback->sweep_again, true);
	if (!writeback->count || !writeback->written) {
		end_in_vain(volume);
		return;
	}
	tiered_reclaim_poke(volume);
	/* One batch at a time: zeroing shares the worker and gets its turn in between. */
	if (wanted(volume))
		queue_writeback(volume, pause_after_batch(volume));
}

/* While nobody else uses the disk, dirty pages may as well go home: later they can be evicted at once. */
static void idle_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(to_delayed_work(work), struct tiered_volume, writeback.idle);
	struct tiered_writeback *writeback = &volume->writeback;
	u64 uses = home_uses(volume);

	writeback->cleaning_idle = uses == writeback->homes_used_at;
	writeback->homes_used_at = uses;
	if (writeback->failing && !dirty_frames(volume)) {
		WRITE_ONCE(writeback->failing, false);
		tiered_volume_look(volume);
	}
	if (xchg(&writeback->sweep_again, false))
		writeback->sweep_left = volume->frames.words.frames;
	if (wanted(volume))
		queue_writeback(volume, 0);
	/* An attempt that ended in vain left nobody to ask again for those who wait for frames. */
	tiered_reclaim_poke(volume);
	queue_delayed_work(volume->home_worker, &writeback->idle, IDLE_LOOK);
}

void tiered_writeback_start(struct tiered_volume *volume)
{
	queue_delayed_work(volume->home_worker, &volume->writeback.idle, IDLE_LOOK);
	/* What a suspend interrupted goes on. */
	queue_writeback(volume, 0);
}

void tiered_writeback_poke(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;

	if (READ_ONCE(writeback->running) ||
	    percpu_counter_read_positive(&volume->frames.dirty) <=
		    percent_of_frames(volume, volume->options.dirty_high_percent))
		return;
	WRITE_ONCE(writeback->running, true);
	queue_writeback(volume, 0);
}

void tiered_writeback_starved(struct tiered_volume *volume)
{
	WRITE_ONCE(volume->writeback.starved, true);
	queue_writeback(volume, 0);
}

void tiered_writeback_all(struct tiered_volume *volume)
{
	WRITE_ONCE(volume->writeback.flush_wanted, true);
	queue_writeback(volume, 0);
}

static void stop_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(work, struct tiered_volume, writeback.stop);
	struct tiered_writeback *writeback = &volume->writeback;

	WRITE_ONCE(writeback->flush_wanted, false);
	WRITE_ONCE(writeback->sweep_again, false);
	writeback->sweep_left = 0;
	WRITE_ONCE(writeback->flush_total, 0);
}

void tiered_writeback_all_stop(struct tiered_volume *volume)
{
	/* On the worker that sweeps. */
	queue_work(volume->home_worker, &volume->writeback.stop);
	flush_work(&volume->writeback.stop);
}

void tiered_writeback_progress(struct tiered_volume *volume, u64 *left_pages, u64 *eta_ms)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u64 total, written, elapsed_ms;

	*eta_ms = 0;
	*left_pages = max_t(u64, dirty_frames(volume), 1);
	if (smp_load_acquire(&writeback->flush_wanted))
		return;
	total = READ_ONCE(writeback->flush_total);
	written = READ_ONCE(writeback->flush_written);
	elapsed_ms = div_u64(ktime_get_ns() - READ_ONCE(writeback->flush_began_ns), NSEC_PER_MSEC);
	/* Pages that became dirty meanwhile may have gone along. */
	*left_pages = total ? max_t(s64, total - written, 1) : 0;
	*eta_ms = *left_pages && written ? div64_u64(*left_pages * elapsed_ms, written) : 0;
}

/*----------------------------------------------------------------*/

int tiered_writeback_init(struct tiered_volume *volume)
{
	struct tiered_writeback *writeback = &volume->writeback;
	u32 i;
	int r;

	INIT_DELAYED_WORK(&writeback->work, writeback_work);
	INIT_WORK(&writeback->stop, stop_work);
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
