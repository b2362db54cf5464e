// SPDX-License-Identifier: GPL-2.0-only
/* Pages that were touched and are missing: read from their homes, in the context of the fault, and kept. */
#include "touch.h"

#include <linux/bio.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "volume.h"

/* A write of the page's home is on its way, or one ended while we read it: look again after so long. */
#define BUSY_PAUSE max(HZ / 1000, 1)
/* After so many attempts at a page no new writes of its stripe's homes may begin, until we had our turn ... */
#define PATIENCE 3
/* ... or so many attempts: others wait behind such writes. */
#define ATTEMPTS 8

/* Notes how many of @pages pages from @first on are missing, and how to tell that something happened to them. */
static enum tiered_obstacle look(struct tiered_volume *volume, u64 first, u32 *pages, struct tiered_fill_seen *seen)
{
	struct tiered_frames *frames = &volume->frames;
	bool resident, busy;
	u32 i;

	for (i = 0; i < *pages; i++) {
		struct tiered_stripe *stripe = tiered_stripe_of(frames, first + i);

		spin_lock(&stripe->lock);
		resident = tiered_frames_lookup(frames, first + i) != TIERED_NO_FRAME;
		busy = atomic_read(&stripe->home_writes);
		seen->events[i] = atomic_read(&stripe->events);
		spin_unlock(&stripe->lock);
		if (resident || busy)
			break;
	}
	if (!i)
		return resident ? TIERED_OBSTACLE_NONE : TIERED_OBSTACLE_BUSY;
	*pages = i;
	return TIERED_OBSTACLE_MISSING;
}

/* Makes @page, which is missing, resident with the contents @from. Under its stripe's lock. NONE or NO_FRAME. */
static enum tiered_obstacle insert(struct tiered_volume *volume, struct tiered_stripe *stripe, u64 page, const void *from,
				   enum tiered_claim_state state)
{
	const struct tiered_choice unasked = { .first = page };
	struct tiered_frames *frames = &volume->frames;
	u32 frame = tiered_frames_alloc(frames, false);

	if (frame == TIERED_NO_FRAME)
		return TIERED_OBSTACLE_NO_FRAME;
	memcpy_flushcache(tiered_frame_data(frames, frame), from, TIERED_FRAME_BYTES);
	if (volume->thrift.policy)
		tiered_thrift_place(volume, &unasked, frame, page);
	tiered_frames_insert(frames, stripe, page, frame, state);
	/* Not to be evicted again before the fault that brought it comes back for it. */
	tiered_frame_touch(frames, frame);
	tiered_count(&volume->stats, TIERED_MEMORY_FILLS, 1);
	tiered_count(&volume->stats, TIERED_FILL_BYTES, TIERED_FRAME_BYTES);
	tiered_why(volume, page, TIERED_REASON_filled_touch);
	return TIERED_OBSTACLE_NONE;
}

/*
 * Makes @page resident with what was read of its home. Where the home is not flushed the page becomes dirty, which says
 * nothing about the home.
 */
static enum tiered_obstacle keep(struct tiered_volume *volume, u64 page, u32 seen_events, struct page *from)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	enum tiered_obstacle obstacle = TIERED_OBSTACLE_NONE;

	spin_lock(&stripe->lock);
	if (tiered_frames_lookup(frames, page) != TIERED_NO_FRAME)
		goto out;
	obstacle = TIERED_OBSTACLE_BUSY;
	if (!tiered_fill_holds(volume, stripe, page, seen_events))
		goto out;
	obstacle = insert(volume, stripe, page, page_address(from),
			  tiered_homes_settled(&volume->homes, page) ? TIERED_CLAIM_CLEAN : TIERED_CLAIM_DIRTY);
out:
	spin_unlock(&stripe->lock);
	return obstacle;
}

/* Pages on their way from their homes. */
struct reading {
	u32 pages;
	struct tiered_fill_seen seen;
	struct page *page[TIERED_FILL_PAGES];
	struct bio_vec vecs[TIERED_FILL_PAGES];
};

static void free_pages_of(struct reading *reading)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(reading->page) && reading->page[i]; i++)
		__free_page(reading->page[i]);
}

/* Returns false when not even one was to be had. A suspend waits for us, so we do not wait for memory. */
static bool alloc_pages_of(struct reading *reading)
{
	u32 i;

	for (i = 0; i < reading->pages; i++) {
		reading->page[i] = alloc_page(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
		if (!reading->page[i])
			break;
	}
	reading->pages = i;
	return i;
}

static int read_homes(struct tiered_volume *volume, struct reading *reading, u64 first, u32 pages)
{
	struct bio bio;
	u32 i;
	int r;

	bio_init(&bio, volume->homes.bdev, reading->vecs, pages, REQ_OP_READ | REQ_SYNC);
	bio.bi_iter.bi_sector = tiered_home_sector(first);
	for (i = 0; i < pages; i++)
		__bio_add_page(&bio, reading->page[i], PAGE_SIZE, 0);
	r = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return r;
}

/* Reads the homes of the pages that are missing, and keeps them. The first one matters. */
static enum tiered_obstacle read_and_keep(struct tiered_volume *volume, struct reading *reading, u64 first)
{
	enum tiered_obstacle obstacle;
	u32 i;
	int id;

	if (!alloc_pages_of(reading))
		return TIERED_OBSTACLE_BUSY;
	/* What is read ahead is not to fail what was asked for. */
	if (read_homes(volume, reading, first, reading->pages)) {
		reading->pages = 1;
		if (read_homes(volume, reading, first, 1))
			return TIERED_OBSTACLE_ERROR;
	}
	tiered_count(&volume->stats, TIERED_READ_MISSES, 1);
	tiered_sample(volume, tiered_home_sector(first), TIERED_FRAME_BYTES, false, false);
	if (!tiered_fast_enter(&volume->fast, &id))
		return TIERED_OBSTACLE_ERROR;
	obstacle = keep(volume, first, reading->seen.events[0], reading->page[0]);
	for (i = 1; i < reading->pages && obstacle == TIERED_OBSTACLE_NONE; i++) {
		tiered_fill_own_event(&volume->frames, first, reading->pages, i - 1, &reading->seen);
		if (keep(volume, first + i, reading->seen.events[i], reading->page[i]) != TIERED_OBSTACLE_NONE)
			break;
	}
	tiered_fast_leave(id);
	tiered_reclaim_poke(volume);
	/* Some may have come in dirty. */
	tiered_writeback_poke(volume);
	return obstacle;
}

enum tiered_obstacle tiered_touch_fill(struct tiered_volume *volume, u64 first, u32 pages)
{
	struct reading reading = { .pages = min_t(u64, pages, tiered_pages(volume) - first) };
	enum tiered_obstacle obstacle;

	/* Before the disk is read for it. */
	if (tiered_frames_pool_free(&volume->frames) <= volume->frames.reserve)
		return TIERED_OBSTACLE_NO_FRAME;
	if (tiered_zero_excludes(volume, first))
		return TIERED_OBSTACLE_EXCLUDED;
	obstacle = look(volume, first, &reading.pages, &reading.seen);
	if (obstacle == TIERED_OBSTACLE_MISSING)
		obstacle = read_and_keep(volume, &reading, first);
	free_pages_of(&reading);
	return obstacle;
}

static void hold_back_home_writes(struct tiered_volume *volume, u64 page, bool hold)
{
	struct tiered_stripe *stripe = tiered_stripe_of(&volume->frames, page);

	spin_lock(&stripe->lock);
	WRITE_ONCE(stripe->home_wanted, hold);
	spin_unlock(&stripe->lock);
	if (!hold)
		wake_up_all(&volume->frames.freed);
}

static bool goes_on(const struct tiered_mappings *mappings)
{
	return READ_ONCE(mappings->state) == TIERED_MAPPINGS_SERVED && !fatal_signal_pending(current);
}

/* The same without waiting for a frame. */
static enum tiered_obstacle bring(struct tiered_mappings *mappings, u64 page, u32 pages)
{
	struct tiered_volume *volume = mappings->volume;
	enum tiered_obstacle obstacle;
	u32 attempts = 0;

	while ((obstacle = tiered_touch_fill(volume, page, pages)) == TIERED_OBSTACLE_BUSY && ++attempts < ATTEMPTS &&
	       goes_on(mappings)) {
		if (attempts == PATIENCE)
			hold_back_home_writes(volume, page, true);
		schedule_timeout_killable(BUSY_PAUSE);
	}
	if (attempts >= PATIENCE)
		hold_back_home_writes(volume, page, false);
	return obstacle;
}

/* Waits for a frame. Returns false when that is in vain: an attempt to clean frames that began since cleaned none. */
static bool wait_for_frame(struct tiered_mappings *mappings)
{
	struct tiered_volume *volume = mappings->volume;
	struct tiered_writeback *writeback = &volume->writeback;
	struct tiered_frames *frames = &volume->frames;
	u64 began = READ_ONCE(writeback->attempts);

	tiered_reclaim_poke(volume);
	wait_event_killable(frames->freed, tiered_frames_pool_free(frames) > frames->reserve ||
			    READ_ONCE(mappings->state) != TIERED_MAPPINGS_SERVED ||
			    tiered_fast_gone(&volume->fast) || READ_ONCE(writeback->vain_attempt) > began);
	return READ_ONCE(writeback->vain_attempt) <= began || tiered_frames_pool_free(frames) > frames->reserve;
}

enum tiered_obstacle tiered_touch_bring(struct tiered_mappings *mappings, u64 page, u32 pages)
{
	enum tiered_obstacle obstacle;

	while ((obstacle = bring(mappings, page, pages)) == TIERED_OBSTACLE_NO_FRAME && goes_on(mappings))
		if (!wait_for_frame(mappings))
			return TIERED_OBSTACLE_ERROR;
	return obstacle;
}

/* The same without waiting for a frame. */
static enum tiered_obstacle put(struct tiered_volume *volume, u64 page, const void *from)
{
	struct tiered_stripe *stripe = tiered_stripe_of(&volume->frames, page);
	enum tiered_obstacle obstacle;
	int id;

	if (!tiered_fast_enter(&volume->fast, &id))
		return TIERED_OBSTACLE_ERROR;
	spin_lock(&stripe->lock);
	if (tiered_zero_excludes(volume, page))
		obstacle = TIERED_OBSTACLE_EXCLUDED;
	else if (tiered_frames_lookup(&volume->frames, page) != TIERED_NO_FRAME)
		obstacle = TIERED_OBSTACLE_BUSY;
	else
		obstacle = insert(volume, stripe, page, from, TIERED_CLAIM_DIRTY);
	spin_unlock(&stripe->lock);
	tiered_fast_leave(id);
	tiered_reclaim_poke(volume);
	tiered_writeback_poke(volume);
	return obstacle;
}

enum tiered_obstacle tiered_touch_put(struct tiered_mappings *mappings, u64 page, const void *from)
{
	enum tiered_obstacle obstacle;

	while ((obstacle = put(mappings->volume, page, from)) == TIERED_OBSTACLE_NO_FRAME && goes_on(mappings))
		if (!wait_for_frame(mappings))
			return TIERED_OBSTACLE_ERROR;
	return obstacle;
}
