// SPDX-License-Identifier: GPL-2.0-only
/* The capacity tier's promises: unflushed writes and FLUSH. */
#include "homes.h"

#include <linux/mm.h>
#include <linux/slab.h>

int tiered_homes_init(struct tiered_homes *homes)
{
	homes->unflushed = kvcalloc(TIERED_UNFLUSHED_ENTRIES, sizeof(*homes->unflushed), GFP_KERNEL);
	if (!homes->unflushed)
		return -ENOMEM;
	return 0;
}

void tiered_homes_exit(struct tiered_homes *homes)
{
	kvfree(homes->unflushed);
	homes->unflushed = NULL;
}

static atomic64_t *unflushed_of(const struct tiered_homes *homes, u64 page)
{
	u64 extent = page / (TIERED_EXTENT_BYTES / TIERED_FRAME_BYTES);

	return &homes->unflushed[extent % TIERED_UNFLUSHED_ENTRIES];
}

static void raise(atomic64_t *value, s64 to)
{
	s64 old = atomic64_read(value);

	while (old < to && !atomic64_try_cmpxchg(value, &old, to))
		;
}

void tiered_homes_wrote(struct tiered_homes *homes, u64 page, u64 pages)
{
	const u32 pages_per_extent = TIERED_EXTENT_BYTES / TIERED_FRAME_BYTES;
	s64 ended = atomic64_inc_return(&homes->writes_ended);
	u64 p;

	for (p = page; p < page + pages; p = (p / pages_per_extent + 1) * pages_per_extent)
		raise(unflushed_of(homes, p), ended);
}

void tiered_homes_write_ended(struct tiered_homes *homes, struct tiered_frames *frames, u64 page, u32 pages,
			      enum tiered_write_end end)
{
	u64 p;

	if (end != TIERED_WRITE_END_DURABLE)
		tiered_homes_wrote(homes, page, pages);
	if (end == TIERED_WRITE_END_ACKED)
		raise(&homes->writes_acked, atomic64_read(&homes->writes_ended));
	/*
	 * In this order: a fill that sees no write on its way must also see that this one ended, and that its extent
	 * is not flushed.
	 */
	for (p = page; p < page + pages; p++) {
		struct tiered_stripe *stripe = tiered_stripe_of(frames, p);

		atomic_inc(&stripe->events);
		smp_mb__before_atomic();
		atomic_dec(&stripe->home_writes);
	}
}

bool tiered_homes_settled(const struct tiered_homes *homes, u64 page)
{
	return atomic64_read(unflushed_of(homes, page)) <= atomic64_read(&homes->flushed_upto);
}

bool tiered_homes_need_flush(const struct tiered_homes *homes)
{
	return tiered_homes_flush_failed(homes) ||
	       atomic64_read(&homes->flushed_upto) < atomic64_read(&homes->writes_ended);
}

struct tiered_flush tiered_homes_flush_begin(struct tiered_homes *homes)
{
	return (struct tiered_flush){
		.covers = atomic64_read(&homes->writes_ended),
		.number = atomic64_inc_return(&homes->flushes_sent),
	};
}

static void latch_failure(struct tiered_homes *homes, enum tiered_owed owed)
{
	atomic_set(&homes->failure_owed, owed);
	raise(&homes->flush_failed, atomic64_read(&homes->flushes_sent));
}

bool tiered_homes_flush_end(struct tiered_homes *homes, struct tiered_flush flush, bool failed)
{
	if (!failed)
		raise(&homes->flushed_upto, flush.covers);
	if (failed || atomic_read(&homes->failure_owed) == TIERED_OWED_FLUSH) {
		latch_failure(homes, TIERED_OWED_WRITE);
		return false;
	}
	atomic_set(&homes->failure_owed, TIERED_OWED_NOTHING);
	raise(&homes->flush_succeeded, flush.number);
	return true;
}

int tiered_homes_flush_now(struct tiered_homes *homes)
{
	struct tiered_flush flush = tiered_homes_flush_begin(homes);
	int r = blkdev_issue_flush(homes->bdev);

	if (r) {
		if (atomic64_read(&homes->flushed_upto) < atomic64_read(&homes->writes_acked))
			latch_failure(homes, TIERED_OWED_FLUSH);
		return r;
	}
	raise(&homes->flushed_upto, flush.covers);
	if (atomic_read(&homes->failure_owed) == TIERED_OWED_NOTHING)
		raise(&homes->flush_succeeded, flush.number);
	return 0;
}
