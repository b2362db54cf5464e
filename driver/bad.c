// SPDX-License-Identifier: GPL-2.0-only
/* Frames that cannot be read: containing one bad sector to its own page. */
#include "bad.h"

#include <linux/sched.h>

#include "trace.h"
#include "volume.h"

/* Piece by piece, for the stack's sake: we hold a spin lock. */
static bool readable(struct tiered_frames *frames, u32 frame)
{
	const void *data = tiered_frame_data(frames, frame);
	u8 sector[TIERED_SECTOR_BYTES];
	u32 at;

	for (at = 0; at < TIERED_FRAME_BYTES; at += sizeof(sector))
		if (!tiered_fast_read(frames->fast, sector, data + at, sizeof(sector)))
			return false;
	return true;
}

enum tiered_bad tiered_bad_holder(struct tiered_volume *volume, struct tiered_stripe *stripe, u32 frame)
{
	struct tiered_frames *frames = &volume->frames;
	u64 word = tiered_frame_word(frames, frame), page = tiered_frame_page(word);

	lockdep_assert_held(&stripe->lock);
	if (tiered_frame_state(word) == TIERED_CLAIM_LOST)
		return TIERED_BAD_LOST;
	if (word & TIERED_FRAME_MAPPED) {
		tiered_frames_condemn(frames, frame);
		tiered_mappings_judge(volume->mappings);
		return TIERED_BAD_MAPPED;
	}
	tiered_count(&volume->stats, TIERED_MEDIA_ERRORS, 1);
	trace_tiered_bad_frame(volume->devt, page, frame,
			       tiered_frame_state(word) != TIERED_CLAIM_CLEAN);
	if (tiered_frame_state(word) == TIERED_CLAIM_CLEAN) {
		tiered_frames_condemn(frames, frame);
		tiered_frames_remove(frames, stripe, frame);
		tiered_pins_poke(volume);
		DMWARN_LIMIT("%s: frame %u went bad; its page %llu is whole on the disk", volume->name, frame, page);
		return TIERED_BAD_DROPPED;
	}
	tiered_frames_lose(frames, stripe, frame);
	DMERR_LIMIT("%s: frame %u went bad while it alone had page %llu; the page answers errors until it is overwritten",
		    volume->name, frame, page);
	tiered_volume_look(volume);
	return TIERED_BAD_LOST;
}

enum tiered_bad tiered_bad_page(struct tiered_volume *volume, u64 page)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	enum tiered_bad bad = TIERED_BAD_DROPPED;
	u32 frame;

	spin_lock(&stripe->lock);
	frame = tiered_frames_lookup(frames, page);
	if (frame != TIERED_NO_FRAME && !readable(frames, frame))
		bad = tiered_bad_holder(volume, stripe, frame);
	spin_unlock(&stripe->lock);
	return bad;
}

void tiered_bad_look(struct tiered_volume *volume)
{
	struct tiered_frames *frames = &volume->frames;
	u32 frame;

	if (!tiered_fast_has_bad(&volume->fast))
		return;
	for (frame = 0; frame < frames->words.frames; frame++) {
		u64 word = tiered_frame_word(frames, frame);

		/* A page that is not on the bad block any more is left as it is. */
		if (tiered_frame_state(word) && tiered_frame_is_bad(frames, frame))
			tiered_bad_page(volume, tiered_frame_page(word));
		if (!(frame % 4096))
			cond_resched();
	}
}

/* The page that @frame stands for when that is lost. A frame at rest keeps its word: the index knows who holds the page. */
static bool is_lost(const struct tiered_frames *frames, u32 frame, u64 *page)
{
	u64 word = tiered_frame_word(frames, frame);
	bool lost;

	*page = tiered_frame_page(word);
	rcu_read_lock();
	lost = tiered_frame_state(word) == TIERED_CLAIM_LOST && tiered_frames_lookup(frames, *page) == frame;
	rcu_read_unlock();
	return lost;
}

u32 tiered_bad_next_lost(struct tiered_volume *volume, u32 frame, u64 *page)
{
	struct tiered_frames *frames = &volume->frames;

	for (; frame < frames->words.frames; frame++) {
		if (is_lost(frames, frame, page))
			return frame;
		if (!(frame % 4096))
			cond_resched();
	}
	return TIERED_NO_FRAME;
}
