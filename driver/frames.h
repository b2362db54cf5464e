/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fast tier in memory: which frame holds which page (the index), free frames, and frames at rest between two
 * owners.
 *
 * A *stripe* is the set of pages whose hash shares its low bits: one lock, the claim protocol's memory of it, and the
 * counters by which a fill learns that something happened to a page meanwhile. Chains of the index are changed under
 * the stripe's lock and read under RCU; a reader that found a frame may copy from it until rcu_read_unlock().
 */
#ifndef TIERED_FRAMES_H
#define TIERED_FRAMES_H

#include <linux/atomic.h>
#include <linux/percpu_counter.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "core/policy.h"
#include "core/protocol.h"
#include "fast.h"

/*
 * One frame in memory: 17 bytes with its reference mark. `word` has the claim's own layout in its low 47 bits, and
 * above them marks that never reach the medium.
 */
struct tiered_frame {
	u64 word; /* changed under the lock of the page's stripe */
	u32 next; /* the next frame of the chain; kept intact while the frame rests, readers may still be on it */
	u32 link; /* free and resting frames: the next of their list */
};

#define TIERED_FRAME_PAGE_MASK ((1ull << 40) - 1)
#define TIERED_FRAME_STATE_SHIFT 40
#define TIERED_FRAME_VERSION_SHIFT 43
/* Its contents are on their way to the home; it must not be freed until they arrived. */
#define TIERED_FRAME_CLEANING (1ull << 48)
/* A newer frame holds its page; write-back frees it. Only together with CLEANING. */
#define TIERED_FRAME_SUPERSEDED (1ull << 49)
/*
 * An older frame of its page is on its way home: were this one written back as well, the older could arrive last and stay
 * there under a clean claim.
 */
#define TIERED_FRAME_BEHIND (1ull << 51)
/* Its memory, or one of its words, cannot be read: it is retired instead of freed. */
#define TIERED_FRAME_BAD (1ull << 50)
/* Programs may have it in their page tables (mappings.h): who changes it shuts its gate first. */
#define TIERED_FRAME_MAPPED (1ull << 52)
/* They may store to it; its lines may be in the CPUs' caches alone. Only together with MAPPED, and dirty. */
#define TIERED_FRAME_STORED (1ull << 53)
/* That was allowed since its write-back began: it stays dirty. Only together with CLEANING. */
#define TIERED_FRAME_RESTORED (1ull << 54)

static inline u64 tiered_frame_page(u64 word)
{
	return word & TIERED_FRAME_PAGE_MASK;
}

static inline enum tiered_claim_state tiered_frame_state(u64 word)
{
	return word >> TIERED_FRAME_STATE_SHIFT & 7;
}

static inline u8 tiered_frame_version(u64 word)
{
	return word >> TIERED_FRAME_VERSION_SHIFT & (TIERED_VERSIONS - 1);
}

static inline struct tiered_claim tiered_frame_claim(u64 word)
{
	return (struct tiered_claim){
		.page = tiered_frame_page(word),
		.state = tiered_frame_state(word),
		.version = tiered_frame_version(word),
	};
}

/* A frame's word without marks. */
static inline u64 tiered_frame_word_of(const struct tiered_claim *claim)
{
	return claim->page | (u64)claim->state << TIERED_FRAME_STATE_SHIFT |
	       (u64)claim->version << TIERED_FRAME_VERSION_SHIFT;
}

struct tiered_stripe {
	spinlock_t lock;
	struct tiered_clear clear;
	/* Pages that came into the index or left it, and home writes begun and ended, of any page of the stripe. */
	atomic_t events;
	/* Bypassing writes on their way to a home of the stripe. */
	atomic_t home_writes;
	/* Write-back waits for them to end: no new ones begin. Under the lock. */
	bool home_wanted;
};

/* A CPU's own small stock, so that allocation rarely takes the pool's lock. Used with preemption disabled. */
#define TIERED_MAGAZINE_FRAMES 32

struct tiered_magazine {
	u32 free_count;
	u32 resting_count;
	u32 free[TIERED_MAGAZINE_FRAMES];
	u32 resting[TIERED_MAGAZINE_FRAMES];
};

/* A list of frames through tiered_frame.link. */
struct tiered_frame_list {
	u32 first;
	u32 count;
};

struct tiered_frames {
	struct tiered_words words; /* on media */
	const struct tiered_fast *fast;
	void *data;		   /* frame 0, mapped */
	struct tiered_frame *frame;
	u8 *referenced; /* read since the clock hand passed; written by readers without order */
	u32 *bucket;
	struct tiered_stripe *stripe;
	u32 bucket_bits;
	u32 stripe_mask;

	struct tiered_magazine __percpu *magazine;
	u32 magazine_frames; /* at most this many of the stock's places are used */

	spinlock_t pool_lock; /* the lists below */
	struct tiered_frame_list free;
	struct tiered_frame_list resting;      /* freed since the last grace period began */
	struct tiered_frame_list grace;	       /* waiting for the grace period of grace_cookie */
	unsigned long grace_cookie;

	u32 reserve;  /* the last free frames are for pages that are resident already */
	u32 low_free; /* below this many free frames reclaim starts ... */
	u32 high_free; /* ... and goes on up to this many */

	struct percpu_counter clean;
	struct percpu_counter dirty;
	struct percpu_counter stored; /* of the dirty ones */
	atomic_t lost;
	atomic_t retired;
	bool bad_rests; /* a frame that is to be retired has been put to rest */
	u64 dram_bytes;

	/* What is told of each change, if anybody (thrift.h); it changes while nobody changes the index. */
	struct tiered_policy *policy;

	wait_queue_head_t freed; /* woken when free frames came in, and when waiting for them became vain */
};

/*
 * Allocates the index for @words->frames frames whose data begin at @data on @fast. Returns 0 or -ENOMEM. Every frame
 * starts as neither free nor held: load puts it in its place. @words->bad_primary and bad_shadow become the index's.
 */
int tiered_frames_init(struct tiered_frames *frames, const struct tiered_words *words, const struct tiered_fast *fast,
		       void *data);
void tiered_frames_exit(struct tiered_frames *frames);

static inline void *tiered_frame_data(const struct tiered_frames *frames, u32 frame)
{
	return frames->data + ((u64)frame << TIERED_FRAME_SHIFT);
}

/* Whether a known bad block lies in @frame. */
static inline bool tiered_frame_is_bad(const struct tiered_frames *frames, u32 frame)
{
	return tiered_fast_is_bad(frames->fast, tiered_frame_data(frames, frame), TIERED_FRAME_BYTES);
}

/* Whether one of the two words of @frame lies in a sector that cannot be read. */
static inline bool tiered_frame_has_bad_word(const struct tiered_frames *frames, u32 frame)
{
	return tiered_word_is_bad(frames->words.bad_primary, frame) ||
	       tiered_word_is_bad(frames->words.bad_shadow, frame);
}

struct tiered_stripe *tiered_stripe_of(const struct tiered_frames *frames, u64 page);

/* The frame that holds @page, or TIERED_NO_FRAME. Under RCU or the stripe's lock. */
u32 tiered_frames_lookup(const struct tiered_frames *frames, u64 page);

static inline u64 tiered_frame_word(const struct tiered_frames *frames, u32 frame)
{
	return READ_ONCE(frames->frame[frame].word);
}

/* Marks a frame as used since the clock hand passed; stores only when that is news. */
static inline void tiered_frame_touch(struct tiered_frames *frames, u32 frame)
{
	if (!READ_ONCE(frames->referenced[frame]))
		WRITE_ONCE(frames->referenced[frame], 1);
}

/*
 * The six changes of the index, each with its claim on media, under the stripe's lock. The first two take a @frame
 * from tiered_frames_alloc() whose data this CPU stored with non-temporal stores.
 *
 * insert: the page was not resident. replace: @old held it, its version goes up by one, the page becomes dirty.
 * remove: the page leaves the fast tier, its claim is durably cleared. clean: a dirty frame is written back. dirty: a
 * clean one is about to be stored to in place. lose: a dirty frame turned out bad, its page answers EIO until it is
 * overwritten.
 */
void tiered_frames_insert(struct tiered_frames *frames, struct tiered_stripe *stripe, u64 page, u32 frame,
			  enum tiered_claim_state state);
void tiered_frames_replace(struct tiered_frames *frames, struct tiered_stripe *stripe, u32 old, u32 frame);
void tiered_frames_remove(struct tiered_frames *frames, struct tiered_stripe *stripe, u32 frame);
void tiered_frames_clean(struct tiered_frames *frames, u32 frame);
void tiered_frames_dirty(struct tiered_frames *frames, struct tiered_stripe *stripe, u32 frame);
void tiered_frames_lose(struct tiered_frames *frames, struct tiered_stripe *stripe, u32 frame);

/* The write-back of an older frame of @page has ended. Under the stripe's lock. */
void tiered_frames_arrived(struct tiered_frames *frames, struct tiered_stripe *stripe, u64 page);

/* Takes the marks of mappings away, of which there are none any more. Under the lock of the frame's stripe. */
static inline void tiered_frames_unmapped(struct tiered_frames *frames, u32 frame)
{
	u64 word = frames->frame[frame].word;

	if (word & TIERED_FRAME_STORED)
		percpu_counter_dec(&frames->stored);
	WRITE_ONCE(frames->frame[frame].word, word & ~(TIERED_FRAME_MAPPED | TIERED_FRAME_STORED));
}

/* Marks a frame, under its stripe's lock, to be retired when it is freed. */
static inline void tiered_frames_condemn(struct tiered_frames *frames, u32 frame)
{
	WRITE_ONCE(frames->frame[frame].word, frames->frame[frame].word | TIERED_FRAME_BAD);
}

/* Load only, single-threaded: puts @frame into the index with its claim as found, or in place of @instead_of. */
void tiered_frames_adopt(struct tiered_frames *frames, u32 frame, const struct tiered_claim *claim, u32 instead_of);
/* Load only: @frame is durably free. It is taken out of use when it, or one of its words, is known to be bad. */
void tiered_frames_adopt_free(struct tiered_frames *frames, u32 frame);
/* Load only: @frame is retired. */
void tiered_frames_adopt_retired(struct tiered_frames *frames, u32 frame);

/*
 * A free frame, or TIERED_NO_FRAME. @may_use_reserve: the page is resident, so that its write cannot go elsewhere.
 * Never sleeps.
 */
u32 tiered_frames_alloc(struct tiered_frames *frames, bool may_use_reserve);
/* Gives back a frame that was allocated and whose word was not published. */
void tiered_frames_unalloc(struct tiered_frames *frames, u32 frame);
/*
 * Puts a frame whose word was cleared to rest until no reader can be on it and its clear is durable.
 */
void tiered_frames_rest(struct tiered_frames *frames, u32 frame);

/*
 * Turns rested frames into free ones; sleeps for a grace period when some are waiting for one. Returns the number of
 * frames freed. One caller at a time.
 */
u32 tiered_frames_settle(struct tiered_frames *frames);

/* Makes every clear durable that a stripe remembers, when nobody changes the index any more. */
void tiered_frames_quiesce(struct tiered_frames *frames);

/* Free frames in the pool; those in the CPUs' stocks come on top. */
static inline u32 tiered_frames_pool_free(const struct tiered_frames *frames)
{
	return READ_ONCE(frames->free.count);
}

static inline bool tiered_frames_scarce(const struct tiered_frames *frames)
{
	return tiered_frames_pool_free(frames) < frames->low_free;
}

#endif
