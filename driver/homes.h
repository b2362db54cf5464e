/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The capacity tier's promises: which bypassing writes are on their way, which are not flushed yet, and when a FLUSH
 * from above has to reach the disk. One capacity tier with identity homes: page p lives at sector 8 p.
 */
#ifndef TIERED_HOMES_H
#define TIERED_HOMES_H

#include <linux/atomic.h>
#include <linux/blkdev.h>

#include "frames.h"

/* Extents share entries by their number modulo this; sharing only drops a few more fills. */
#define TIERED_UNFLUSHED_ENTRIES 4096

/*
 * Who has yet to learn that a flush failed while bypassing writes that were acknowledged waited for it. The disk may have
 * dropped them, and tells of that once: the next flush succeeds.
 */
enum tiered_owed {
	TIERED_OWED_NOTHING,
	/*
	 * A FLUSH from above was told, but dm does not listen to that of a PREFLUSH write: it sends the write's data all
	 * the same, and that must not be acknowledged. Until the next FLUSH, or a write that failed.
	 */
	TIERED_OWED_WRITE,
	TIERED_OWED_FLUSH, /* it was a flush of our own; whoever sends the next FLUSH has to be told */
};

struct tiered_homes {
	struct block_device *bdev;
	/* Bypassing writes that ended, counted; a FLUSH covers those counted before it was sent. */
	atomic64_t writes_ended;
	atomic64_t writes_acked; /* the count at the last of them that succeeded and was not durable at once */
	atomic64_t flushed_upto;
	/* A failed flush is latched: writes and flushes fail until one that was sent later succeeds. */
	atomic64_t flushes_sent;
	atomic64_t flush_failed;    /* number of the last flush sent when one failed; 0: none did */
	atomic64_t flush_succeeded; /* number of the latest flush that succeeded and could end that */
	atomic_t failure_owed;	    /* enum tiered_owed */
	/* By extent: the count at the last write that ended there. */
	atomic64_t *unflushed;
};

int tiered_homes_init(struct tiered_homes *homes);
void tiered_homes_exit(struct tiered_homes *homes);

static inline sector_t tiered_home_sector(u64 page)
{
	return page * TIERED_SECTORS_PER_PAGE;
}

/* Pages from @page on were written and not flushed. Any context. */
void tiered_homes_wrote(struct tiered_homes *homes, u64 page, u64 pages);

/* How a bypassing write ended. */
enum tiered_write_end {
	TIERED_WRITE_END_FAILED,
	TIERED_WRITE_END_ACKED,
	TIERED_WRITE_END_DURABLE, /* it was sent with FUA */
};

/* A bypassing write of @pages pages from @page ended. Any context. */
void tiered_homes_write_ended(struct tiered_homes *homes, struct tiered_frames *frames, u64 page, u32 pages,
			      enum tiered_write_end end);

/* True when the home of @page is durably what the disk returns when it is read. */
bool tiered_homes_settled(const struct tiered_homes *homes, u64 page);

/* True when a FLUSH must be sent to the disk: something ended since the last one that succeeded. */
bool tiered_homes_need_flush(const struct tiered_homes *homes);

/* A FLUSH on its way: what it covers and its place in the order of sending. */
struct tiered_flush {
	s64 covers;
	s64 number;
};

struct tiered_flush tiered_homes_flush_begin(struct tiered_homes *homes);
/*
 * The FLUSH from above ended, with @failed or not. Returns false when it has to be reported as failed. Any context.
 */
bool tiered_homes_flush_end(struct tiered_homes *homes, struct tiered_flush flush, bool failed);

/* True while writes and flushes must fail. */
static inline bool tiered_homes_flush_failed(const struct tiered_homes *homes)
{
	s64 failed = atomic64_read(&homes->flush_failed);

	return unlikely(failed) && atomic64_read(&homes->flush_succeeded) <= failed;
}

/* True when a write has to fail for a flush that failed. */
static inline bool tiered_homes_refuse_write(struct tiered_homes *homes)
{
	if (likely(!tiered_homes_flush_failed(homes)))
		return false;
	atomic_cmpxchg(&homes->failure_owed, TIERED_OWED_WRITE, TIERED_OWED_NOTHING);
	return true;
}

/* Flushes the disk for our own sake and waits. Returns 0 or a negative errno. */
int tiered_homes_flush_now(struct tiered_homes *homes);

#endif
