// SPDX-License-Identifier: GPL-2.0-only
/* Pinned pages: the set of ranges, and the worker that makes them resident. */
#include "pins.h"

#include <linux/blkdev.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "volume.h"

/* Pages that the filler has on their way at once. */
#define FILL_BATCH_PAGES 256u
/* After a round that met something missing. */
#define ROUND_PAUSE HZ
/* After one that could not read a home, page by page. */
#define FAILED_PAUSE (30 * HZ)
/* Nothing could be sent: no frame is free, or memory is short. */
#define ROOM_PAUSE max(HZ / 20, 1)
/* What makes pages missing comes in bursts. */
#define POKE_PAUSE max(HZ / 10, 1)
#define NEVER ULONG_MAX

struct tiered_pin_set {
	u64 pages;
	u32 count;
	struct tiered_pin pin[];
};

/*----------------------------------------------------------------*/
/* Looking */

u64 tiered_pins_limit(const struct tiered_volume *volume)
{
	const struct tiered_frames *frames = &volume->frames;
	u32 bad = atomic_read(&frames->lost) + atomic_read(&frames->retired);

	return (frames->words.frames - min(bad, frames->words.frames)) / 2;
}

bool tiered_pins_have(const struct tiered_volume *volume, u64 page)
{
	const struct tiered_pin_set *set;
	bool have = false;
	u32 at;

	rcu_read_lock();
	set = rcu_dereference(volume->pins.set);
	/* So much memory may have gone bad that the rest would be full of pinned pages. */
	if (set && set->pages <= tiered_pins_limit(volume)) {
		at = tiered_pins_find(set->pin, set->count, page);
		have = at < set->count && set->pin[at].first <= page;
	}
	rcu_read_unlock();
	return have;
}

bool tiered_pins_next(struct tiered_volume *volume, u64 from, struct tiered_pin *pin)
{
	const struct tiered_pin_set *set;
	bool found = false;
	u32 at;

	rcu_read_lock();
	set = rcu_dereference(volume->pins.set);
	if (set) {
		at = tiered_pins_find(set->pin, set->count, from);
		found = at < set->count;
	}
	if (found) {
		pin->first = max(set->pin[at].first, from);
		pin->end = set->pin[at].end;
	}
	rcu_read_unlock();
	return found;
}

/* TIERED_CLAIM_FREE when @page is not resident. */
static enum tiered_claim_state state_of(struct tiered_volume *volume, u64 page)
{
	enum tiered_claim_state state = TIERED_CLAIM_FREE;
	u32 frame;

	rcu_read_lock();
	frame = tiered_frames_lookup(&volume->frames, page);
	if (frame != TIERED_NO_FRAME)
		state = tiered_frame_state(tiered_frame_word(&volume->frames, frame));
	rcu_read_unlock();
	return state;
}

u64 tiered_pins_resident(struct tiered_volume *volume, const struct tiered_pin *range, bool clean)
{
	enum tiered_claim_state state;
	u64 resident = 0, page;

	for (page = range->first; page < range->end; page++) {
		state = state_of(volume, page);
		resident += state == TIERED_CLAIM_CLEAN || (state == TIERED_CLAIM_DIRTY && !clean);
		if (!(page % 1024))
			cond_resched();
	}
	return resident;
}

u64 tiered_pins_clean(struct tiered_volume *volume)
{
	struct tiered_pin pin = { 0 };
	u64 clean = 0;

	while (tiered_pins_next(volume, pin.end, &pin) && tiered_pins_have(volume, pin.first))
		clean += tiered_pins_resident(volume, &pin, true);
	return clean;
}

u64 tiered_pins_bytes(struct tiered_volume *volume)
{
	const struct tiered_pin_set *set;
	u64 bytes = 0;

	rcu_read_lock();
	set = rcu_dereference(volume->pins.set);
	if (set)
		bytes = struct_size(set, pin, set->count);
	rcu_read_unlock();
	return bytes;
}

/*----------------------------------------------------------------*/
/* Filling */

/* The last read of a batch, or the worker that sent it, goes on. */
static void put_read(struct tiered_volume *volume)
{
	struct tiered_pins *pins = &volume->pins;
	unsigned long pause;

	if (!atomic_dec_and_test(&pins->reads))
		return;
	pause = pins->pause;
	if (pins->round_over) {
		pause = pins->missing || READ_ONCE(pins->again) ? ROUND_PAUSE : NEVER;
		if (READ_ONCE(pins->failed) && pins->read_pages == 1)
			pause = FAILED_PAUSE;
	}
	if (pause != NEVER && READ_ONCE(volume->started))
		queue_delayed_work(volume->workers, &pins->work, pause);
	wake_up_all(&pins->idle);
}

void tiered_pins_filled(struct tiered_volume *volume, bool failed)
{
	if (failed)
		WRITE_ONCE(volume->pins.failed, true);
	put_read(volume);
}

static void begin_round(struct tiered_pins *pins)
{
	pins->missing = false;
	pins->read_pages = xchg(&pins->failed, false) ? 1 : TIERED_FILL_PAGES;
	/* Before anything is looked at: what goes after that is met, or asks for another round. */
	xchg(&pins->again, false);
}

/* Moves @run to the next pinned page that is not resident, from its first on, and the end of that one's range. */
static bool next_missing(struct tiered_volume *volume, struct tiered_pin *run)
{
	while (tiered_pins_next(volume, run->first, run)) {
		for (; run->first < run->end; run->first++) {
			if (state_of(volume, run->first) == TIERED_CLAIM_FREE)
				return true;
			if (!(run->first % 1024))
				cond_resched();
		}
	}
	return false;
}

/* How many pages from @run's first on are missing and have no write on its way home, and what was known of each. */
static u32 look(struct tiered_volume *volume, const struct tiered_pin *run, u32 most, struct tiered_fill_seen *seen)
{
	u32 pages = min_t(u64, most, run->end - run->first), i;

	for (i = 0; i < pages; i++) {
		struct tiered_stripe *stripe = tiered_stripe_of(&volume->frames, run->first + i);
		bool ready;

		spin_lock(&stripe->lock);
		ready = tiered_frames_lookup(&volume->frames, run->first + i) == TIERED_NO_FRAME &&
			!atomic_read(&stripe->home_writes);
		seen->events[i] = atomic_read(&stripe->events);
		spin_unlock(&stripe->lock);
		if (!ready)
			break;
	}
	return i;
}

static bool send_read(struct tiered_volume *volume, u64 page, u32 pages, const struct tiered_fill_seen *seen)
{
	/* It is not for the policy to judge, and costs it nothing. */
	const struct tiered_choice choice = { .first = page, .wanted = ~0ull, .flags = TIERED_POLICY_IO_STREAM };

	atomic_inc(&volume->pins.reads);
	if (tiered_fill_read(volume, NULL, page, pages, seen, ktime_get_ns(), volume->thrift.policy ? &choice : NULL))
		return true;
	atomic_dec(&volume->pins.reads); /* ours is left */
	return false;
}

/* Free frames that a batch may take. */
static u32 room_for_batch(const struct tiered_frames *frames)
{
	u32 free = tiered_frames_pool_free(frames);

	return free > frames->reserve ? min(free - frames->reserve, FILL_BATCH_PAGES) : 0;
}

/* Sends a batch, and sets what is to follow it. */
static void send_batch(struct tiered_volume *volume)
{
	struct tiered_pins *pins = &volume->pins;
	struct tiered_pin run = { .first = pins->next };
	u32 room = room_for_batch(&volume->frames), pages;
	struct tiered_fill_seen seen;

	if (!pins->next)
		begin_round(pins);
	pins->round_over = false;
	pins->pause = ROOM_PAUSE;
	if (!room)
		tiered_reclaim_poke(volume);
	while (next_missing(volume, &run)) {
		pins->missing = true;
		pins->next = run.first;
		if (!room)
			return;
		pages = look(volume, &run, min(room, pins->read_pages), &seen);
		if (pages && !send_read(volume, run.first, pages, &seen))
			return;
		room -= pages;
		if (!room)
			pins->pause = msecs_to_jiffies(tiered_pace(volume, &pins->pace));
		/* A page that is busy comes with the next round. */
		run.first += max(pages, 1u);
	}
	pins->next = 0;
	pins->round_over = true;
}

static void fill_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(to_delayed_work(work), struct tiered_volume, pins.work);
	struct tiered_pins *pins = &volume->pins;
	struct tiered_pin any;
	struct blk_plug plug;

	/* Reads that are on their way go on when they have ended. */
	if (!READ_ONCE(volume->started) || atomic_read(&pins->reads) || tiered_fast_gone(&volume->fast))
		return;
	if (!tiered_pins_next(volume, 0, &any) || !tiered_pins_have(volume, any.first))
		return;
	atomic_set(&pins->reads, 1);
	blk_start_plug(&plug);
	send_batch(volume);
	blk_finish_plug(&plug);
	put_read(volume);
}

void tiered_pins_poke(struct tiered_volume *volume)
{
	struct tiered_pins *pins = &volume->pins;

	if (likely(!rcu_access_pointer(pins->set)))
		return;
	WRITE_ONCE(pins->again, true);
	if (READ_ONCE(volume->started))
		queue_delayed_work(volume->workers, &pins->work, POKE_PAUSE);
}

void tiered_pins_stop(struct tiered_volume *volume)
{
	struct tiered_pins *pins = &volume->pins;

	cancel_delayed_work_sync(&pins->work);
	wait_event(pins->idle, !atomic_read(&pins->reads));
	/* Who put the last read may not have ended, and may have queued another batch before `started` fell. */
	flush_work(&volume->fills.work);
	cancel_delayed_work_sync(&pins->work);
}

/*----------------------------------------------------------------*/
/* Changing */

static int check(struct tiered_volume *volume, const struct tiered_pin_set *set, u64 pinned)
{
	u64 limit = tiered_pins_limit(volume);

	if (set->count > TIERED_PINS_MAX)
		return TIERED_REFUSE(volume, -ENOSPC, "a volume has %u pinned ranges at most, and this would make %u; pin "
				     "what lies between them too, or unpin others first", TIERED_PINS_MAX, set->count);
	if (set->pages > limit)
		return TIERED_REFUSE(volume, -ENOSPC, "at most half of the frames may be kept for pinned pages, %llu; %llu are "
				     "left and this needs %llu; pin less, or unpin others first", limit,
				     limit - min(pinned, limit), set->pages - pinned);
	return 0;
}

static void publish(struct tiered_volume *volume, struct tiered_pin_set *old, struct tiered_pin_set *set)
{
	struct tiered_pins *pins = &volume->pins;

	rcu_assign_pointer(pins->set, set);
	WRITE_ONCE(pins->others, volume->frames.words.frames - (set ? set->pages : 0));
	/* Reclaim that looked at the old one has evicted what it was about to. */
	synchronize_rcu();
	kvfree(old);
}

/* Under the lock. */
static int change(struct tiered_volume *volume, const struct tiered_pin *ranges, u32 count, bool pin)
{
	struct tiered_pin_set *old = rcu_dereference_protected(volume->pins.set, lockdep_is_held(&volume->pins.lock));
	u32 had = old ? old->count : 0, i;
	struct tiered_pin_set *set;
	int r;

	/* One more than all at any time. */
	set = kvzalloc(struct_size(set, pin, (size_t)had + count + 1), GFP_KERNEL);
	if (!set)
		return -ENOMEM;
	if (old)
		memcpy(set->pin, old->pin, had * sizeof(*set->pin));
	set->count = had;
	for (i = 0; i < count; i++) {
		if (pin)
			tiered_pins_add(set->pin, &set->count, ranges[i]);
		else
			tiered_pins_remove(set->pin, &set->count, ranges[i]);
	}
	set->pages = tiered_pins_pages(set->pin, set->count);
	r = pin ? check(volume, set, old ? old->pages : 0) : 0;
	if (r || !set->count) {
		kvfree(set);
		set = NULL;
	}
	if (!r)
		publish(volume, old, set);
	return r;
}

int tiered_pins_change(struct tiered_volume *volume, const struct tiered_pin *ranges, u32 count, bool pin)
{
	struct tiered_pins *pins = &volume->pins;
	int r;

	mutex_lock(&pins->lock);
	r = change(volume, ranges, count, pin);
	mutex_unlock(&pins->lock);
	if (r)
		return r;
	WRITE_ONCE(pins->again, true);
	if (READ_ONCE(volume->started))
		mod_delayed_work(volume->workers, &pins->work, 0);
	return 0;
}

/*----------------------------------------------------------------*/

void tiered_pins_init(struct tiered_volume *volume)
{
	mutex_init(&volume->pins.lock);
	INIT_DELAYED_WORK(&volume->pins.work, fill_work);
	init_waitqueue_head(&volume->pins.idle);
}

void tiered_pins_exit(struct tiered_volume *volume)
{
	kvfree(rcu_dereference_protected(volume->pins.set, true));
}
