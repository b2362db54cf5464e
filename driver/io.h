/* SPDX-License-Identifier: GPL-2.0-only */
/* The way of a request: hits and fast writes by copy in map(), the rest to the disk or to a worker. */
#ifndef TIERED_IO_H
#define TIERED_IO_H

#include <linux/device-mapper.h>

#include "homes.h"
#include "thrift.h"

struct tiered_volume;

enum tiered_io_kind {
	TIERED_IO_DONE,		/* served without the disk, or by a worker that ends it */
	TIERED_IO_READ,		/* reads the home */
	TIERED_IO_WRITE,	/* bypasses: writes the home */
	TIERED_IO_FLUSH,
};

/* What rides with each bio. */
struct tiered_io {
	enum tiered_io_kind kind;
	bool counted; /* among the requests at the disk (costs.h) ... */
	bool telling; /* ... and its time tells what the disk takes */
	u32 pages; /* of a request to the disk; of a write through the fast tier, those not taken yet */
	u64 page;
	u64 started_ns; /* 0: not timed */
	struct tiered_flush flush;
};

/* dm's map and end_io. map never sleeps and never waits for I/O. */
int tiered_io_map(struct tiered_volume *volume, struct bio *bio);
int tiered_io_end(struct tiered_volume *volume, struct bio *bio, blk_status_t *status);

/* Points @bio, a read, at the disk; @started_ns as from tiered_latency_start(). Returns DM_MAPIO_REMAPPED. */
int tiered_io_read_home(struct tiered_volume *volume, struct bio *bio, u64 started_ns);

/* Nothing was decided about a write but that it may go where its pages are. */
#define TIERED_CHOICE_RESIDENT ((struct tiered_choice){ .take = TIERED_TAKE_RESIDENT })

/* Sends @bio, which a worker prepared, to the disk. Nobody is left who would take EAGAIN for a reason to try again. */
static inline void tiered_io_submit(struct bio *bio)
{
	bio->bi_opf &= ~REQ_NOWAIT;
	submit_bio_noacct(bio);
}

enum tiered_written {
	TIERED_WRITTEN,	     /* in a frame, durably */
	TIERED_WRITE_HOME,   /* belongs on the disk */
	TIERED_WRITE_WAIT,   /* not now: no frame, the range is exclusive, or a write-back has its turn */
	TIERED_WRITE_FAILED, /* the frame that holds the rest of the page cannot be read */
};

/*
 * Writes the next part of @bio, from @iter to the end of its page at most, to a frame if @choice takes the page.
 * Advances @iter past what was written. In process context.
 */
enum tiered_written tiered_io_write_part(struct tiered_volume *volume, struct bio *bio, struct bvec_iter *iter,
					 const struct tiered_choice *choice);

/*
 * Prepares the first @bytes of @bio to go to the disk: registered with their stripes and remapped. Returns how many
 * bytes may go, fewer when a page is resident or excluded, and 0 when that is the first. @around: clean pages leave
 * the fast tier for it, which is entered.
 */
u32 tiered_io_bypass(struct tiered_volume *volume, struct bio *bio, u32 bytes, bool around);

#endif
