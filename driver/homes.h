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

struct tiered_homes {
	struct block_device *bdev;
	/* Bypassing writes that ended, counted; a FLUSH covers those counted before it was sent. */
	atomic64_t writes_ended;
	atomic64_t flushed_upto;
	/*
	 * A failed flush is latched until one that was sent later succeeds: dm sends the data of a PREFLUSH write
	 * again after the flush before it failed, and that write must not be acknowledged.
	 */
	atomic64_t flushes_sent;
	atomic64_t flush_failed;    /* number of the last flush sent when one failed; 0: none did */
	atomic64_t flush_succeeded; /* number of the latest flush that succeeded */
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

/* A bypassing write of @pages pages from @page ended, well or not. @durable: it was sent with FUA. Any context. */
void tiered_homes_write_ended(struct tiered_homes *homes, struct tiered_frames *frames, u64 page, u32 pages,
			      bool durable);

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
/* The FLUSH ended, with @failed or not. Any context. */
void tiered_homes_flush_end(struct tiered_homes *homes, struct tiered_flush flush, bool failed);

/* True while writes and flushes must fail. */
static inline bool tiered_homes_flush_failed(const struct tiered_homes *homes)
{
	s64 failed = atomic64_read(&homes->flush_failed);

	return unlikely(failed) && atomic64_read(&homes->flush_succeeded) <= failed;
}

/* Flushes the disk and waits. Returns 0 or a negative errno. */
int tiered_homes_flush_now(struct tiered_homes *homes);

#endif
