// SPDX-License-Identifier: GPL-2.0-only
/* The fast tier in memory: index, allocation, rest. */
#include "frames.h"

#include <linux/cpumask.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

/* A frame's word in memory when it holds nothing. */
#define WORD_NONE 0ull

/*----------------------------------------------------------------*/
/* Set-up */

static int alloc_tables(struct tiered_frames *frames, u32 buckets, u32 stripes)
{
	u32 count = frames->words.frames, i;

	/* kvcalloc() refuses 2 GiB, which the frame table reaches at 512 GiB of fast tier. */
	frames->frame = vcalloc(count, sizeof(*frames->frame));
	frames->referenced = vcalloc(count, sizeof(*frames->referenced));
	frames->bucket = vmalloc_array(buckets, sizeof(*frames->bucket));
	frames->stripe = vcalloc(stripes, sizeof(*frames->stripe));
	frames->magazine = alloc_percpu(struct tiered_magazine);
	if (!frames->frame || !frames->referenced || !frames->bucket || !frames->stripe || !frames->magazine)
		return -ENOMEM;

	for (i = 0; i < buckets; i++)
		frames->bucket[i] = TIERED_NO_FRAME;
	for (i = 0; i < stripes; i++) {
		spin_lock_init(&frames->stripe[i].lock);
		frames->stripe[i].clear.unfenced_frame = TIERED_NO_FRAME;
	}
	frames->dram_bytes = (u64)count * (sizeof(*frames->frame) + sizeof(*frames->referenced)) +
			     buckets * sizeof(*frames->bucket) + stripes * sizeof(*frames->stripe) +
			     num_possible_cpus() * sizeof(struct tiered_magazine);
	return 0;
}

static void list_reset(struct tiered_frame_list *list)
{
	list->first = TIERED_NO_FRAME;
	list->count = 0;
}

int tiered_frames_init(struct tiered_frames *frames, const struct tiered_words *words, const struct tiered_fast *fast,
		       void *data)
{
	u32 buckets = max(rounddown_pow_of_two(words->frames), 64ul);
	u32 stripes = clamp(buckets / 16, 64u, 16384u);
	int r;

	/* Spin locks are taken where the CPU must not change: around its stock, between a flush and its fence. */
	BUILD_BUG_ON(IS_ENABLED(CONFIG_PREEMPT_RT));
	/* A word is one store. */
	BUILD_BUG_ON(BITS_PER_LONG < 64);
	memset(frames, 0, sizeof(*frames));
	frames->words = *words;
	frames->fast = fast;
	frames->data = data;
	frames->bucket_bits = ilog2(buckets);
	frames->stripe_mask = stripes - 1;
	frames->magazine_frames = clamp(words->frames / (64 * num_possible_cpus()), 1u, (u32)TIERED_MAGAZINE_FRAMES);
	frames->reserve = clamp(words->frames / 64, 4u, 4096u);
	frames->low_free = 2 * frames->reserve;
	frames->high_free = 4 * frames->reserve;
	spin_lock_init(&frames->pool_lock);
	init_waitqueue_head(&frames->freed);
	list_reset(&frames->free);
	list_reset(&frames->resting);
	list_reset(&frames->grace);

	r = percpu_counter_init(&frames->clean, 0, GFP_KERNEL);
	if (!r)
		r = percpu_counter_init(&frames->dirty, 0, GFP_KERNEL);
	if (!r)
		r = percpu_counter_init(&frames->stored, 0, GFP_KERNEL);
	if (!r)
		r = alloc_tables(frames, buckets, stripes);
	if (r)
		tiered_frames_exit(frames);
	return r;
}

void tiered_frames_exit(struct tiered_frames *frames)
{
	kvfree(frames->words.bad_primary);
	kvfree(frames->words.bad_shadow);
	free_percpu(frames->magazine);
	vfree(frames->stripe);
	vfree(frames->bucket);
	vfree(frames->referenced);
	vfree(frames->frame);
	percpu_counter_destroy(&frames->stored);
	percpu_counter_destroy(&frames->dirty);
	percpu_counter_destroy(&frames->clean);
	memset(frames, 0, sizeof(*frames));
}

/*----------------------------------------------------------------*/
/* The index */

static u32 bucket_of(const struct tiered_frames *frames, u64 page)
{
	return hash_64(page, frames->bucket_bits);
}

/* A bucket lies in one stripe, so that the stripe's lock covers its chain. */
struct tiered_stripe *tiered_stripe_of(const struct tiered_frames *frames, u64 page)
{
	return &frames->stripe[bucket_of(frames, page) & frames->stripe_mask];
}

u32 tiered_frames_lookup(const struct tiered_frames *frames, u64 page)
{
	u32 frame = READ_ONCE(frames->bucket[bucket_of(frames, page)]);

	while (frame != TIERED_NO_FRAME) {
		const struct tiered_frame *f = &frames->frame[frame];

		if (tiered_frame_page(READ_ONCE(f->word)) == page)
			break;
		frame = READ_ONCE(f->next);
	}
	return frame;
}

/* The place that points to @frame, which is in the chain of @page. */
static u32 *chain_place(struct tiered_frames *frames, u64 page, u32 frame)
{
	u32 *place = &frames->bucket[bucket_of(frames, page)];

	while (*place != frame)
		place = &frames->frame[*place].next;
	return place;
}

/* Publishes @frame in a chain: readers that see it see its word and its successor. */
static void chain_point(u32 *place, u32 frame)
{
	smp_store_release(place, frame);
}

static void chain_insert(struct tiered_frames *frames, u64 page, u32 frame, u64 word)
{
	u32 *head = &frames->bucket[bucket_of(frames, page)];

	frames->frame[frame].next = *head;
	WRITE_ONCE(frames->frame[frame].word, word);
	chain_point(head, frame);
}

static void chain_replace(struct tiered_frames *frames, u32 old, u32 frame, u64 word)
{
	u32 *place = chain_place(frames, tiered_frame_page(word), old);

	frames->frame[frame].next = frames->frame[old].next;
	WRITE_ONCE(frames->frame[frame].word, word);
	chain_point(place, frame);
}

/* The removed frame keeps its successor for readers that stand on it. */
static void chain_remove(struct tiered_frames *frames, u32 frame)
{
	u32 *place = chain_place(frames, tiered_frame_page(frames->frame[frame].word), frame);

	chain_point(place, frames->frame[frame].next);
}

static void count_state(struct tiered_frames *frames, enum tiered_claim_state state, int by)
{
	if (state == TIERED_CLAIM_CLEAN)
		percpu_counter_add(&frames->clean, by);
	else if (state == TIERED_CLAIM_DIRTY)
		percpu_counter_add(&frames->dirty, by);
	else if (state == TIERED_CLAIM_LOST)
		atomic_add(by, &frames->lost);
}

static bool is_dirty(const struct tiered_frames *frames, u64 page)
{
	u32 frame = tiered_frames_lookup(frames, page);

	return frame != TIERED_NO_FRAME && tiered_frame_state(tiered_frame_word(frames, frame)) == TIERED_CLAIM_DIRTY;
}

/* By how many runs of dirty pages there are more when @page, which is not dirty now, becomes dirty. */
static int runs_by(const struct tiered_frames *frames, u64 page)
{
	int runs = 1;

	rcu_read_lock();
	runs -= is_dirty(frames, page + 1);
	if (page)
		runs -= is_dirty(frames, page - 1);
	rcu_read_unlock();
	return runs;
}

/* The policy learns that @page becomes dirty; before it is, or two neighbours at once would both think that they continue a run. */
static void tell_dirty(struct tiered_frames *frames, u64 page)
{
	if (frames->policy)
		tiered_policy_dirtied(frames->policy, 1, runs_by(frames, page));
}

/* And that it is not dirty any more, without having gone home. */
static void tell_undirtied(struct tiered_frames *frames, u64 page)
{
	if (frames->policy)
		tiered_policy_dirtied(frames->policy, -1, -runs_by(frames, page));
}

void tiered_frames_insert(struct tiered_frames *frames, struct tiered_stripe *stripe, u64 page, u32 frame,
			  enum tiered_claim_state state)
{
	/* No claim of the page is left on media once publish has fenced, so the version may start anew. */
	struct tiered_claim claim = { .page = page, .state = state, .version = 0 };

	lockdep_assert_held(&stripe->lock);
	tiered_claim_publish(&frames->words, &stripe->clear, frame, claim);
	WRITE_ONCE(frames->referenced[frame], 0);
	if (state == TIERED_CLAIM_DIRTY)
		tell_dirty(frames, page);
	chain_insert(frames, page, frame, tiered_frame_word_of(&claim));
	count_state(frames, state, 1);
	atomic_inc(&stripe->events);
}

/* Frees a frame that a newer one superseded, unless write-back still needs it: then write-back does. */
static void release_superseded(struct tiered_frames *frames, u32 frame)
{
	u64 word = frames->frame[frame].word;

	if (word & TIERED_FRAME_CLEANING)
		WRITE_ONCE(frames->frame[frame].word, word | TIERED_FRAME_SUPERSEDED);
	else
		tiered_frames_rest(frames, frame);
}

void tiered_frames_replace(struct tiered_frames *frames, struct tiered_stripe *stripe, u32 old, u32 frame)
{
	struct tiered_claim former = tiered_frame_claim(frames->frame[old].word);
	struct tiered_claim claim = {
		.page = former.page,
		.state = TIERED_CLAIM_DIRTY,
		.version = tiered_version_next(former.version),
	};
	u64 marks = 0;

	lockdep_assert_held(&stripe->lock);
	WARN_ON_ONCE(frames->frame[old].word & TIERED_FRAME_MAPPED);
	tiered_claim_publish(&frames->words, &stripe->clear, frame, claim);
	WRITE_ONCE(frames->referenced[frame], 1);
	if (frames->frame[old].word & (TIERED_FRAME_CLEANING | TIERED_FRAME_BEHIND))
		marks = TIERED_FRAME_BEHIND;
	if (former.state != TIERED_CLAIM_DIRTY)
		tell_dirty(frames, former.page);
	if (frames->policy)
		tiered_policy_moved(frames->policy, old, frame);
	chain_replace(frames, old, frame, tiered_frame_word_of(&claim) | marks);
	/* The page has a newer claim, durably: only now may the older one go. */
	tiered_claim_supersede(&frames->words, &stripe->clear, old);
	count_state(frames, former.state, -1);
	count_state(frames, claim.state, 1);
	/* No event: a page that was missing, and is missing now, was not replaced in between without an insert and a remove. */
	release_superseded(frames, old);
}

void tiered_frames_arrived(struct tiered_frames *frames, struct tiered_stripe *stripe, u64 page)
{
	u32 frame = tiered_frames_lookup(frames, page);

	lockdep_assert_held(&stripe->lock);
	if (frame != TIERED_NO_FRAME)
		WRITE_ONCE(frames->frame[frame].word, frames->frame[frame].word & ~TIERED_FRAME_BEHIND);
}

void tiered_frames_remove(struct tiered_frames *frames, struct tiered_stripe *stripe, u32 frame)
{
	u64 word = frames->frame[frame].word;

	lockdep_assert_held(&stripe->lock);
	WARN_ON_ONCE(word & TIERED_FRAME_MAPPED);
	/*
	 * Before the page leaves the index: whoever misses it next may write its home, and this claim must not come
	 * back over that after a crash.
	 */
	tiered_claim_withdraw(&frames->words, &stripe->clear, frame);
	chain_remove(frames, frame);
	count_state(frames, tiered_frame_state(word), -1);
	if (tiered_frame_state(word) == TIERED_CLAIM_DIRTY)
		tell_undirtied(frames, tiered_frame_page(word));
	if (frames->policy)
		tiered_policy_gone(frames->policy, frame);
	tiered_frames_rest(frames, frame);
	atomic_inc(&stripe->events);
}

/* In memory, keeping the marks. */
static void change_state(struct tiered_frames *frames, u32 frame, enum tiered_claim_state state)
{
	u64 word = frames->frame[frame].word;

	count_state(frames, tiered_frame_state(word), -1);
	count_state(frames, state, 1);
	word &= ~(7ull << TIERED_FRAME_STATE_SHIFT);
	WRITE_ONCE(frames->frame[frame].word, word | (u64)state << TIERED_FRAME_STATE_SHIFT);
}

void tiered_frames_clean(struct tiered_frames *frames, u32 frame)
{
	struct tiered_claim claim = tiered_frame_claim(frames->frame[frame].word);

	tiered_claim_mark_clean(&frames->words, frame, claim);
	change_state(frames, frame, TIERED_CLAIM_CLEAN);
	if (frames->policy)
		tiered_policy_cleaned(frames->policy, frame, -runs_by(frames, claim.page));
}

void tiered_frames_dirty(struct tiered_frames *frames, struct tiered_stripe *stripe, u32 frame)
{
	struct tiered_claim claim = tiered_frame_claim(frames->frame[frame].word);

	lockdep_assert_held(&stripe->lock);
	tell_dirty(frames, claim.page);
	tiered_claim_mark_dirty(&frames->words, frame, claim);
	change_state(frames, frame, TIERED_CLAIM_DIRTY);
}

void tiered_frames_lose(struct tiered_frames *frames, struct tiered_stripe *stripe, u32 frame)
{
	struct tiered_claim claim = tiered_frame_claim(frames->frame[frame].word);

	lockdep_assert_held(&stripe->lock);
	tiered_claim_mark_lost(&frames->words, frame, claim);
	change_state(frames, frame, TIERED_CLAIM_LOST);
	tell_undirtied(frames, claim.page);
	tiered_frames_condemn(frames, frame);
	atomic_inc(&stripe->events);
}

void tiered_frames_adopt(struct tiered_frames *frames, u32 frame, const struct tiered_claim *claim, u32 instead_of)
{
	if (instead_of == TIERED_NO_FRAME) {
		chain_insert(frames, claim->page, frame, tiered_frame_word_of(claim));
	} else {
		count_state(frames, tiered_frame_state(frames->frame[instead_of].word), -1);
		chain_replace(frames, instead_of, frame, tiered_frame_word_of(claim));
	}
	count_state(frames, claim->state, 1);
	if (claim->state == TIERED_CLAIM_LOST || tiered_frame_has_bad_word(frames, frame))
		tiered_frames_condemn(frames, frame);
}

/*----------------------------------------------------------------*/
/* Free and resting frames */

static void list_push(struct tiered_frames *frames, struct tiered_frame_list *list, u32 frame)
{
	frames->frame[frame].link = list->first;
	list->first = frame;
	WRITE_ONCE(list->count, list->count + 1);
}

static u32 list_pop(struct tiered_frames *frames, struct tiered_frame_list *list)
{
	u32 frame = list->first;

	if (frame != TIERED_NO_FRAME) {
		list->first = frames->frame[frame].link;
		WRITE_ONCE(list->count, list->count - 1);
	}
	return frame;
}

void tiered_frames_adopt_free(struct tiered_frames *frames, u32 frame)
{
	frames->frame[frame].word = WORD_NONE;
	if (tiered_frame_has_bad_word(frames, frame) || tiered_frame_is_bad(frames, frame))
		tiered_frames_adopt_retired(frames, frame);
	else
		list_push(frames, &frames->free, frame);
}

void tiered_frames_adopt_retired(struct tiered_frames *frames, u32 frame)
{
	atomic_inc(&frames->retired);
}

static void refill(struct tiered_frames *frames, struct tiered_magazine *magazine, bool may_use_reserve)
{
	u32 keep = may_use_reserve ? 0 : frames->reserve;

	spin_lock(&frames->pool_lock);
	while (magazine->free_count < frames->magazine_frames && frames->free.count > keep)
		magazine->free[magazine->free_count++] = list_pop(frames, &frames->free);
	spin_unlock(&frames->pool_lock);
}

static u32 take_free(struct tiered_frames *frames, bool may_use_reserve)
{
	struct tiered_magazine *magazine = get_cpu_ptr(frames->magazine);
	u32 frame = TIERED_NO_FRAME;

	if (!magazine->free_count)
		refill(frames, magazine, may_use_reserve);
	if (magazine->free_count)
		frame = magazine->free[--magazine->free_count];
	put_cpu_ptr(frames->magazine);
	return frame;
}

u32 tiered_frames_alloc(struct tiered_frames *frames, bool may_use_reserve)
{
	u32 frame;

	/* A block that went bad since the frame was freed is met here; it is retired on its way through the rest. */
	while ((frame = take_free(frames, may_use_reserve)) != TIERED_NO_FRAME && tiered_frame_is_bad(frames, frame)) {
		tiered_frames_condemn(frames, frame);
		tiered_frames_rest(frames, frame);
	}
	return frame;
}

void tiered_frames_unalloc(struct tiered_frames *frames, u32 frame)
{
	spin_lock(&frames->pool_lock);
	list_push(frames, &frames->free, frame);
	spin_unlock(&frames->pool_lock);
}

void tiered_frames_rest(struct tiered_frames *frames, u32 frame)
{
	struct tiered_magazine *magazine;

	if (unlikely(frames->frame[frame].word & TIERED_FRAME_BAD)) {
		/* Not in a CPU's stock: it is to be retired soon, not when the stock is full. */
		spin_lock(&frames->pool_lock);
		list_push(frames, &frames->resting, frame);
		spin_unlock(&frames->pool_lock);
		WRITE_ONCE(frames->bad_rests, true);
		return;
	}
	magazine = get_cpu_ptr(frames->magazine);

	magazine->resting[magazine->resting_count++] = frame;
	if (magazine->resting_count >= frames->magazine_frames) {
		spin_lock(&frames->pool_lock);
		while (magazine->resting_count)
			list_push(frames, &frames->resting, magazine->resting[--magazine->resting_count]);
		spin_unlock(&frames->pool_lock);
	}
	put_cpu_ptr(frames->magazine);
}

/* Moves what rests behind a new grace period. Returns false when nothing rests. */
static bool begin_grace(struct tiered_frames *frames)
{
	spin_lock(&frames->pool_lock);
	if (!frames->grace.count) {
		frames->grace = frames->resting;
		list_reset(&frames->resting);
		frames->grace_cookie = get_state_synchronize_rcu();
	}
	spin_unlock(&frames->pool_lock);
	return frames->grace.count;
}

#define SETTLE_BATCH 64u

/* Retires the bad ones of @batch, whose clears are durable, and returns how many others remain at its front. */
static u32 retire_bad(struct tiered_frames *frames, u32 *batch, u32 count)
{
	u32 kept = 0, i;

	for (i = 0; i < count; i++) {
		u32 frame = batch[i];

		if (likely(!(frames->frame[frame].word & TIERED_FRAME_BAD))) {
			batch[kept++] = frame;
			continue;
		}
		tiered_claim_retire(&frames->words, frame);
		WRITE_ONCE(frames->frame[frame].word, WORD_NONE);
		tiered_frames_adopt_retired(frames, frame);
	}
	return kept;
}

/* Takes up to SETTLE_BATCH frames off the list whose grace period is over and completes their clears. */
static u32 settle_batch(struct tiered_frames *frames)
{
	u32 batch[SETTLE_BATCH], count = 0, i;

	while (count < SETTLE_BATCH && frames->grace.count)
		batch[count++] = list_pop(frames, &frames->grace);
	preempt_disable();
	tiered_claims_settle(&frames->words, batch, count);
	count = retire_bad(frames, batch, count);
	preempt_enable();
	for (i = 0; i < count; i++)
		WRITE_ONCE(frames->frame[batch[i]].word, WORD_NONE);

	spin_lock(&frames->pool_lock);
	for (i = 0; i < count; i++)
		list_push(frames, &frames->free, batch[i]);
	spin_unlock(&frames->pool_lock);
	return count;
}

void tiered_frames_quiesce(struct tiered_frames *frames)
{
	u32 i;

	for (i = 0; i <= frames->stripe_mask; i++) {
		struct tiered_stripe *stripe = &frames->stripe[i];

		spin_lock(&stripe->lock);
		tiered_clear_settle(&frames->words, &stripe->clear);
		spin_unlock(&stripe->lock);
	}
}

u32 tiered_frames_settle(struct tiered_frames *frames)
{
	u32 freed = 0;

	if (!begin_grace(frames))
		return 0;
	cond_synchronize_rcu(frames->grace_cookie);
	while (frames->grace.count) {
		freed += settle_batch(frames);
		cond_resched();
	}
	wake_up_all(&frames->freed);
	return freed;
}
