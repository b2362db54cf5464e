// SPDX-License-Identifier: GPL-2.0-only
/* What of the volume is in the fast tier, extent by extent. */
#include "heat.h"

#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "volume.h"

#define FRAMES_A_TURN 1024u
#define PAGES_PER_EXTENT (TIERED_EXTENT_BYTES / TIERED_FRAME_BYTES)

/* The extent of the page that @frame holds, and its word; TIERED_NO_EXTENT when it holds none. */
static u64 extent_of(const struct tiered_frames *frames, u32 frame, u64 *word)
{
	u64 page;

	*word = tiered_frame_word(frames, frame);
	page = tiered_frame_page(*word);
	/* A frame at rest keeps its word: the index knows who holds the page. */
	if (tiered_frame_state(*word) == TIERED_CLAIM_FREE || tiered_frames_lookup(frames, page) != frame)
		return TIERED_NO_EXTENT;
	return page / PAGES_PER_EXTENT;
}

/* Calls for each frame that holds a page, under RCU for the index. Returns 0 or -EINTR. */
static int for_each_held(struct tiered_volume *volume, void (*look)(void *context, u64 extent, u32 frame, u64 word),
			 void *context)
{
	const struct tiered_frames *frames = &volume->frames;
	u32 frame = 0, end;
	u64 extent, word;

	while (frame < frames->words.frames) {
		end = min(frame + FRAMES_A_TURN, frames->words.frames);
		rcu_read_lock();
		for (; frame < end; frame++) {
			extent = extent_of(frames, frame, &word);
			if (extent != TIERED_NO_EXTENT)
				look(context, extent, frame, word);
		}
		rcu_read_unlock();
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

struct search {
	u64 from;
	u64 found;
};

static void look_for_first(void *context, u64 extent, u32 frame, u64 word)
{
	struct search *search = context;

	if (extent >= search->from && extent < search->found)
		search->found = extent;
}

int tiered_heat_next(struct tiered_volume *volume, u64 *extent)
{
	struct search search = { .from = *extent, .found = TIERED_NO_EXTENT };
	int r = for_each_held(volume, look_for_first, &search);

	*extent = search.found;
	return r;
}

struct window {
	const struct tiered_frames *frames;
	struct tiered_extent_heat *heat;
	u64 extent;
	u32 count;
};

static void count_frame(void *context, u64 extent, u32 frame, u64 word)
{
	struct window *window = context;
	struct tiered_extent_heat *heat;

	if (extent < window->extent || extent - window->extent >= window->count)
		return;
	heat = &window->heat[extent - window->extent];
	heat->resident++;
	heat->dirty += tiered_frame_state(word) == TIERED_CLAIM_DIRTY;
	heat->recent += READ_ONCE(window->frames->referenced[frame]);
}

int tiered_heat_count(struct tiered_volume *volume, u64 extent, struct tiered_extent_heat *heat, u32 count)
{
	struct window window = { .frames = &volume->frames, .heat = heat, .extent = extent, .count = count };

	memset(heat, 0, count * sizeof(*heat));
	return for_each_held(volume, count_frame, &window);
}
