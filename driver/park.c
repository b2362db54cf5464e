// SPDX-License-Identifier: GPL-2.0-only
/* Writes that have to wait, taken up again by a worker one after the other. */
#include "park.h"

#include "io.h"
#include "trace.h"
#include "volume.h"

void tiered_park(struct tiered_volume *volume, struct bio *bio)
{
	struct tiered_parking *parking = &volume->parking;

	tiered_count(&volume->stats, TIERED_PARKED, 1);
	trace_tiered_request(volume->devt, bio->bi_iter.bi_sector, bio->bi_iter.bi_size,
			     TIERED_DECIDED_PARKED);
	spin_lock(&parking->lock);
	bio_list_add(&parking->bios, bio);
	spin_unlock(&parking->lock);
	queue_work(volume->park_worker, &parking->work);
}

void tiered_park_zeroed(struct tiered_volume *volume)
{
	struct tiered_parking *parking = &volume->parking;

	spin_lock(&parking->lock);
	bio_list_merge(&parking->bios, &parking->aside);
	bio_list_init(&parking->aside);
	spin_unlock(&parking->lock);
	queue_work(volume->park_worker, &parking->work);
}

static void step_aside(struct tiered_volume *volume, struct bio *bio, u64 page)
{
	struct tiered_parking *parking = &volume->parking;

	spin_lock(&parking->lock);
	bio_list_add(&parking->aside, bio);
	spin_unlock(&parking->lock);
	/* The range may have ended before we were on the list. */
	smp_mb();
	if (!tiered_zero_excludes(volume, page))
		tiered_park_zeroed(volume);
}

static struct bio *next_parked(struct tiered_parking *parking)
{
	struct bio *bio;

	spin_lock(&parking->lock);
	bio = bio_list_pop(&parking->bios);
	spin_unlock(&parking->lock);
	return bio;
}

/* A write needs a frame only where its page is resident. */
static bool needs_frame(const struct tiered_frames *frames, u64 page)
{
	bool resident;

	rcu_read_lock();
	resident = tiered_frames_lookup(frames, page) != TIERED_NO_FRAME;
	rcu_read_unlock();
	return resident;
}

static bool may_go_on(const struct tiered_frames *frames, u64 page)
{
	return !READ_ONCE(tiered_stripe_of(frames, page)->home_wanted) &&
	       (tiered_frames_pool_free(frames) || !needs_frame(frames, page));
}

/*
 * Waits until a write of @page has another chance. Returns false when it is the last one: an attempt to clean frames
 * that began after the wait did was in vain, say because the disk takes no write-back. Others may take what we were
 * woken for; that alone is no reason to give up.
 */
static bool wait_for_chance(struct tiered_volume *volume, u64 page)
{
	struct tiered_writeback *writeback = &volume->writeback;
	struct tiered_frames *frames = &volume->frames;
	u64 began = READ_ONCE(writeback->attempts);

	tiered_reclaim_poke(volume);
	wait_event(frames->freed, tiered_zero_excludes(volume, page) || tiered_fast_gone(&volume->fast) ||
		   may_go_on(frames, page) || READ_ONCE(writeback->vain_attempt) > began);
	return READ_ONCE(writeback->vain_attempt) <= began || may_go_on(frames, page) || !needs_frame(frames, page);
}

static enum tiered_written try_write(struct tiered_volume *volume, struct bio *bio)
{
	const struct tiered_choice choice = TIERED_CHOICE_RESIDENT;
	u64 page = bio->bi_iter.bi_sector / TIERED_SECTORS_PER_PAGE;
	struct bvec_iter iter = bio->bi_iter;
	enum tiered_written r = TIERED_WRITE_FAILED;
	bool mapped;
	int id;

	if (!tiered_fast_enter(&volume->fast, &id))
		return r;
	mapped = tiered_mappings_of(volume, page) & TIERED_FRAME_MAPPED;
	if (mapped)
		tiered_gate_shut(volume, page);
	r = tiered_io_write_part(volume, bio, &iter, &choice);
	if (mapped)
		tiered_gate_open(volume, page);
	tiered_fast_leave(id);
	return r;
}

/* The write is one part, so that it is written whole or not at all. */
static void write_parked(struct tiered_volume *volume, struct bio *bio)
{
	u64 page = bio->bi_iter.bi_sector / TIERED_SECTORS_PER_PAGE;
	bool chance = true;

	for (;;) {
		switch (try_write(volume, bio)) {
		case TIERED_WRITTEN:
			if (volume->options.writethrough)
				tiered_through(volume, bio);
			else
				bio_endio(bio);
			return;
		case TIERED_WRITE_HOME:
			if (tiered_io_bypass(volume, bio, bio->bi_iter.bi_size, false)) {
				tiered_io_submit(bio);
				return;
			}
			break;
		case TIERED_WRITE_WAIT:
			if (tiered_zero_excludes(volume, page)) {
				step_aside(volume, bio, page);
				return;
			}
			if (chance) {
				chance = wait_for_chance(volume, page);
				/* Where there was nothing to wait for, whoever is in the way may need this CPU. */
				cond_resched();
				break;
			}
			fallthrough;
		case TIERED_WRITE_FAILED:
			bio_io_error(bio);
			return;
		}
	}
}

static void park_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(work, struct tiered_volume, parking.work);
	struct bio *bio;

	while ((bio = next_parked(&volume->parking))) {
		write_parked(volume, bio);
		cond_resched();
	}
}

void tiered_parking_init(struct tiered_volume *volume)
{
	spin_lock_init(&volume->parking.lock);
	bio_list_init(&volume->parking.bios);
	bio_list_init(&volume->parking.aside);
	INIT_WORK(&volume->parking.work, park_work);
}
