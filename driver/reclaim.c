// SPDX-License-Identifier: GPL-2.0-only
/* Reclaim: settle, evict (what the policy names, or by second chance), and when nothing is clean, ask for write-back. */
#include "reclaim.h"

#include <linux/sched.h>

#include "trace.h"
#include "volume.h"

/* How long what is clean and pinned is believed to be all that is clean. */
#define VAIN_PAUSE max(HZ / 10, 1)

/* Evicts @frame if it is a clean one, and has no mappings or, for whoever holds its gate shut, cannot have any. */
static bool evict_frame(struct tiered_volume *volume, u32 frame)
{
	struct tiered_frames *frames = &volume->frames;
	u64 word = tiered_frame_word(frames, frame);
	struct tiered_stripe *stripe;
	bool clean;

	if (tiered_frame_state(word) != TIERED_CLAIM_CLEAN || word & TIERED_FRAME_MAPPED)
		return false;
	stripe = tiered_stripe_of(frames, tiered_frame_page(word));
	spin_lock(&stripe->lock);
	/* A frame that was superseded keeps its word while it rests: the index knows who holds the page. */
	clean = tiered_frame_word(frames, frame) == word &&
		tiered_frames_lookup(frames, tiered_frame_page(word)) == frame &&
		!tiered_pinned(volume, tiered_frame_page(word));
	if (clean && frames->policy)
		tiered_policy_evicted(frames->policy, frame, tiered_frame_page(word));
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

/*
 * Loads from a mapped frame leave no trace. One that was touched is taken out of page tables and stays: if it is used,
 * it is touched again.
 */
static bool evict_mapped(struct tiered_volume *volume, u32 frame)
{
	struct tiered_frames *frames = &volume->frames;
	u64 page = tiered_frame_page(tiered_frame_word(frames, frame));
	bool evicted = false;

	if (tiered_pinned(volume, page))
		return false;
	tiered_gate_shut(volume, page);
	if (READ_ONCE(frames->referenced[frame]))
		WRITE_ONCE(frames->referenced[frame], 0);
	else
		evicted = evict_frame(volume, frame);
	tiered_gate_open(volume, page);
	return evicted;
}

bool tiered_reclaim_evict(struct tiered_volume *volume, u32 frame)
{
	u64 word = tiered_frame_word(&volume->frames, frame);

	if (tiered_frame_state(word) == TIERED_CLAIM_CLEAN && unlikely(word & TIERED_FRAME_MAPPED))
		return evict_mapped(volume, frame);
	return evict_frame(volume, frame);
}

/* Evicts @frame if it is clean and was not used since the hand last came by. */
static bool second_chance(struct tiered_volume *volume, u32 frame)
{
	struct tiered_frames *frames = &volume->frames;
	u64 word = tiered_frame_word(frames, frame);

	if (tiered_frame_state(word) != TIERED_CLAIM_CLEAN)
		return false;
	if (READ_ONCE(frames->referenced[frame]) && !(word & TIERED_FRAME_MAPPED)) {
		WRITE_ONCE(frames->referenced[frame], 0);
		return false;
	}
	return tiered_reclaim_evict(volume, frame);
}

/* Lets the hand go round at most twice (once to take the marks away) until @wanted frames are evicted. */
static u32 evict_by_hand(struct tiered_volume *volume, u32 wanted)
{
	u32 frames = volume->frames.words.frames;
	u64 steps = 2ull * frames;
	u32 evicted = 0;

	for (; steps && evicted < wanted; steps--) {
		evicted += second_chance(volume, volume->reclaim.hand);
		volume->reclaim.hand = (volume->reclaim.hand + 1) % frames;
		if (!(steps % 1024))
			cond_resched();
	}
	return evicted;
}

/*
 * Looking through all of a large fast tier for nothing would be repeated with every batch of write-back: not while nothing
 * is clean, and not at once again where all that was clean turned out to be pinned, unless more became clean.
 */
static bool would_be_vain(const struct tiered_reclaim *reclaim, u64 clean)
{
	return !clean || (clean <= reclaim->vain_clean && time_before(jiffies, reclaim->vain_until));
}

static u32 evict(struct tiered_volume *volume, u32 wanted)
{
	u64 clean = percpu_counter_sum_positive(&volume->frames.clean);
	u32 evicted = 0;

	if (would_be_vain(&volume->reclaim, clean))
		return 0;
	mutex_lock(&volume->thrift.lock);
	if (volume->thrift.policy)
		evicted = tiered_thrift_evict(volume, wanted);
	/* What the policy named could not go, most of all when little is clean: find that. */
	if (!evicted)
		evicted = evict_by_hand(volume, wanted);
	mutex_unlock(&volume->thrift.lock);
	volume->reclaim.vain_clean = !evicted && rcu_access_pointer(volume->pins.set) ? clean : 0;
	volume->reclaim.vain_until = jiffies + VAIN_PAUSE;
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
		if (!evict(volume, wanted)) {
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
