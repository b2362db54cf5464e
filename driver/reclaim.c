// SPDX-License-Identifier: GPL-2.0-only
/* Reclaim: settle, evict by second chance, and when nothing is clean, ask for write-back. */
#include "reclaim.h"

#include <linux/sched.h>

#include "trace.h"
#include "volume.h"

/* Evicts @frame if it still is clean. */
static bool evict(struct tiered_volume *volume, u32 frame)
{
	struct tiered_frames *frames = &volume->frames;
	u64 word = tiered_frame_word(frames, frame);
	struct tiered_stripe *stripe;
	bool clean;

	if (tiered_frame_state(word) != TIERED_CLAIM_CLEAN)
		return false;
	if (READ_ONCE(frames->referenced[frame])) {
		WRITE_ONCE(frames->referenced[frame], 0);
		return false;
	}
	stripe = tiered_stripe_of(frames, tiered_frame_page(word));
	spin_lock(&stripe->lock);
	/* A frame that was superseded keeps its word while it rests: the index knows who holds the page. */
	clean = tiered_frame_word(frames, frame) == word &&
		tiered_frames_lookup(frames, tiered_frame_page(word)) == frame;
	if (clean)
		tiered_frames_remove(frames, stripe, frame);
	spin_unlock(&stripe->lock);
	if (!clean)
		return false;
	tiered_count(&volume->stats, TIERED_EVICTIONS, 1);
	tiered_why(volume, tiered_frame_page(word), TIERED_REASON_evicted);
	trace_tiered_evict(volume->devt, tiered_frame_page(word), frame);
	return true;
}

/* Lets the hand go round at most twice (once to take the marks away) until @wanted frames are evicted. */
static u32 evict_some(struct tiered_volume *volume, u32 wanted)
{
	u32 frames = volume->frames.words.frames;
	u64 steps = 2ull * frames;
	u32 evicted = 0;

	/* Looking through all of a large fast tier for nothing would be repeated with every batch of write-back. */
	if (!percpu_counter_sum_positive(&volume->frames.clean))
		return 0;

	for (; steps && evicted < wanted; steps--) {
		evicted += evict(volume, volume->reclaim.hand);
		volume->reclaim.hand = (volume->reclaim.hand + 1) % frames;
		if (!(steps % 1024))
			cond_resched();
	}
	return evicted;
}

static void reclaim(struct tiered_volume *volume)
{
	struct tiered_frames *frames = &volume->frames;

	if (xchg(&frames->bad_rests, false)) {
		/* Twice: the first may end a grace period that began before the frame was put to rest. */
		tiered_frames_settle(frames);
		tiered_frames_settle(frames);
	}
	while (tiered_frames_pool_free(frames) < frames->high_free) {
		u32 wanted = frames->high_free - tiered_frames_pool_free(frames);

		if (tiered_frames_settle(frames))
			continue;
		if (!evict_some(volume, wanted)) {
			tiered_writeback_starved(volume);
			break;
		}
	}
}

static void reclaim_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(work, struct tiered_volume, reclaim.work);
	int id;

	if (!tiered_fast_enter(&volume->fast, &id)) {
		/* Who waits for a frame waits for nothing. */
		wake_up_all(&volume->frames.freed);
		return;
	}
	reclaim(volume);
	tiered_fast_leave(id);
}

void tiered_reclaim_init(struct tiered_volume *volume)
{
	INIT_WORK(&volume->reclaim.work, reclaim_work);
}

void tiered_reclaim_poke(struct tiered_volume *volume)
{
	struct tiered_frames *frames = &volume->frames;

	if (unlikely(tiered_frames_scarce(frames) || READ_ONCE(frames->bad_rests)) && READ_ONCE(volume->started))
		queue_work(volume->workers, &volume->reclaim.work);
}
