// SPDX-License-Identifier: GPL-2.0-only
/* Read misses that become resident: bounce read, copy to the reader, copy into frames. */
#include "fill.h"

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "io.h"
#include "trace.h"
#include "volume.h"

/* A read of homes on its way, and afterwards a fill waiting for the worker. */
struct tiered_fill {
	struct llist_node node;
	struct tiered_volume *volume;
	struct bio *reader; /* NULL: nobody reads, the pages are pinned (pins.h) */
	u64 page;
	u32 pages;
	u64 started_ns;
	struct tiered_fill_seen seen;
	struct tiered_choice choice;
	bool telling; /* its time tells what the disk takes (costs.h) */
	struct bio bio; /* last: the bio_set allocates its vectors behind it */
};

/* A flush for the sake of fills is sent at most this often. */
#define SETTLE_DELAY HZ

static void free_fill(struct tiered_fill *fill)
{
	struct tiered_volume *volume = fill->volume;
	u32 pages = fill->pages, i;

	for (i = 0; i < fill->bio.bi_vcnt; i++)
		__free_page(fill->bio.bi_io_vec[i].bv_page);
	bio_put(&fill->bio);
	atomic_sub(pages, &volume->fills.pages_in_flight);
}

/*----------------------------------------------------------------*/
/* The worker */

bool tiered_fill_holds(const struct tiered_volume *volume, struct tiered_stripe *stripe, u64 page, u32 seen_events)
{
	lockdep_assert_held(&stripe->lock);
	return !atomic_read(&stripe->home_writes) && atomic_read(&stripe->events) == seen_events &&
	       !tiered_zero_excludes(volume, page);
}

static enum tiered_reason fill_locked(struct tiered_fill *fill, struct tiered_stripe *stripe, u64 page,
				      u32 seen_events, struct page *from)
{
	struct tiered_volume *volume = fill->volume;
	struct tiered_frames *frames = &volume->frames;
	void *data;
	u32 frame;

	if (!tiered_fill_holds(volume, stripe, page, seen_events))
		return TIERED_REASON_dropped_changed;
	/* A clean claim says that the home has this durably. */
	if (!tiered_homes_settled(&volume->homes, page))
		return TIERED_REASON_dropped_unflushed;
	frame = tiered_frames_alloc(frames, false);
	if (frame == TIERED_NO_FRAME)
		return TIERED_REASON_dropped_full;
	data = kmap_local_page(from);
	memcpy_flushcache(tiered_frame_data(frames, frame), data, TIERED_FRAME_BYTES);
	kunmap_local(data);
	if (volume->thrift.policy)
		tiered_thrift_place(volume, &fill->choice, frame, page);
	tiered_frames_insert(frames, stripe, page, frame, TIERED_CLAIM_CLEAN);
	return fill->reader ? TIERED_REASON_filled_read : TIERED_REASON_filled_pin;
}

void tiered_fill_own_event(const struct tiered_frames *frames, u64 first, u32 pages, u32 filled,
			   struct tiered_fill_seen *seen)
{
	const struct tiered_stripe *stripe = tiered_stripe_of(frames, first + filled);
	u32 i;

	for (i = filled + 1; i < pages; i++)
		if (tiered_stripe_of(frames, first + i) == stripe)
			seen->events[i]++;
}

static void fill_page(struct tiered_fill *fill, u32 index)
{
	struct tiered_volume *volume = fill->volume;
	u64 page = fill->page + index;
	struct tiered_stripe *stripe = tiered_stripe_of(&volume->frames, page);
	enum tiered_reason r;

	spin_lock(&stripe->lock);
	r = fill_locked(fill, stripe, page, fill->seen.events[index], fill->bio.bi_io_vec[index].bv_page);
	spin_unlock(&stripe->lock);

	tiered_why(volume, page, r);
	if (r == TIERED_REASON_filled_read || r == TIERED_REASON_filled_pin) {
		tiered_fill_own_event(&volume->frames, fill->page, fill->pages, index, &fill->seen);
		tiered_count(&volume->stats, TIERED_READ_FILLS, 1);
		tiered_count(&volume->stats, TIERED_FILL_BYTES, TIERED_FRAME_BYTES);
		trace_tiered_fill(volume->devt, page, true);
		return;
	}
	if (volume->thrift.policy)
		tiered_thrift_give_back(volume, &fill->choice, 1);
	tiered_count(&volume->stats, TIERED_FILLS_DROPPED, 1);
	trace_tiered_fill(volume->devt, page, false);
	if (r == TIERED_REASON_dropped_unflushed)
		queue_delayed_work(volume->workers, &volume->fills.settle, SETTLE_DELAY);
}

static void fill_pages(struct tiered_fill *fill)
{
	u32 i;
	int id;

	if (!tiered_fast_enter(&fill->volume->fast, &id))
		return;
	for (i = 0; i < fill->pages; i++)
		if (fill->choice.wanted >> i & 1)
			fill_page(fill, i);
	tiered_fast_leave(id);
}

/* We read more than the reader asked for; the bad sector may be none of his. */
static void read_again(struct tiered_fill *fill)
{
	if (fill->volume->thrift.policy)
		tiered_thrift_give_back(fill->volume, &fill->choice, hweight64(fill->choice.wanted));
	tiered_io_read_home(fill->volume, fill->reader, fill->started_ns);
	tiered_io_submit(fill->reader);
}

static void fill_all(struct tiered_volume *volume, struct llist_node *list)
{
	struct tiered_fill *fill, *next;

	llist_for_each_entry_safe(fill, next, llist_reverse_order(list), node) {
		bool failed = fill->bio.bi_status, for_pins = !fill->reader;

		if (!failed)
			fill_pages(fill);
		else if (!for_pins)
			read_again(fill);
		free_fill(fill);
		if (for_pins)
			tiered_pins_filled(volume, failed);
		cond_resched();
	}
}

static void fill_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(work, struct tiered_volume, fills.work);

	fill_all(volume, llist_del_all(&volume->fills.done));
	tiered_reclaim_poke(volume);
}

static void settle_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(to_delayed_work(work), struct tiered_volume, fills.settle);

	tiered_homes_flush_now(&volume->homes);
	tiered_volume_look(volume);
}

/*----------------------------------------------------------------*/
/* The read */

static void copy_to_reader(struct tiered_fill *fill)
{
	struct bio *reader = fill->reader;
	struct bvec_iter to = reader->bi_iter;
	u32 at_bytes = (to.bi_sector - tiered_home_sector(fill->page)) << TIERED_SECTOR_SHIFT;

	while (to.bi_size) {
		struct bio_vec bv = bio_iter_iovec(reader, to);
		u32 within = at_bytes % PAGE_SIZE;
		struct page *from = fill->bio.bi_io_vec[at_bytes / PAGE_SIZE].bv_page;

		bv.bv_len = min_t(u32, bv.bv_len, PAGE_SIZE - within);
		memcpy_to_bvec(&bv, page_address(from) + within);
		bio_advance_iter_single(reader, &to, bv.bv_len);
		at_bytes += bv.bv_len;
	}
}

/* In interrupt context. The reader need not wait for the fill. */
static void read_ended(struct bio *bio)
{
	struct tiered_fill *fill = container_of(bio, struct tiered_fill, bio);
	struct tiered_volume *volume = fill->volume;
	struct bio *reader = fill->reader;
	bool failed = bio->bi_status;

	if (volume->thrift.policy)
		tiered_costs_end(&volume->thrift.costs);
	if (fill->telling && !failed)
		tiered_thrift_sample(&volume->thrift, fill->pages, ktime_get_ns() - fill->started_ns);
	if (!failed && reader) {
		tiered_latency_end_home(&volume->stats, TIERED_PATH_READ_MISS, fill->started_ns);
		copy_to_reader(fill);
	}
	if (llist_add(&fill->node, &volume->fills.done))
		queue_work(volume->workers, &volume->fills.work);
	/* Last: as soon as no request is in flight the volume may go, once its fills are drained. */
	if (!failed && reader)
		bio_endio(reader);
}

static bool add_bounce_pages(struct tiered_fill *fill)
{
	u32 i;

	for (i = 0; i < fill->pages; i++) {
		struct page *page = alloc_page(GFP_NOWAIT | __GFP_NOWARN);

		if (!page)
			return false;
		__bio_add_page(&fill->bio, page, PAGE_SIZE, 0);
	}
	return true;
}

bool tiered_fill_read(struct tiered_volume *volume, struct bio *bio, u64 page, u32 pages,
		      const struct tiered_fill_seen *seen, u64 started_ns, const struct tiered_choice *choice)
{
	blk_opf_t op = REQ_OP_READ;
	struct tiered_fill *fill;
	struct bio *read;

	BUILD_BUG_ON(PAGE_SIZE != TIERED_FRAME_BYTES);
	if (atomic_read(&volume->fills.pages_in_flight) >= TIERED_FILL_PAGES_IN_FLIGHT)
		return false;
	if (bio)
		op |= bio->bi_opf & (REQ_SYNC | REQ_PRIO | REQ_NOWAIT | REQ_META);
	read = bio_alloc_bioset(volume->homes.bdev, pages, op, GFP_NOWAIT | __GFP_NOWARN, &volume->fills.bios);
	if (!read)
		return false;
	atomic_add(pages, &volume->fills.pages_in_flight);
	fill = container_of(read, struct tiered_fill, bio);
	fill->volume = volume;
	fill->reader = bio;
	fill->page = page;
	fill->pages = pages;
	fill->started_ns = started_ns;
	fill->seen = *seen;
	if (choice)
		fill->choice = *choice;
	else
		fill->choice.wanted = ~0ull;
	fill->telling = false;
	if (!add_bounce_pages(fill)) {
		free_fill(fill);
		return false;
	}
	/* Reads for pins come in batches: none has the disk to itself for long. */
	if (choice)
		fill->telling = tiered_costs_begin(&volume->thrift.costs) && bio && tiered_thrift_tells(choice->flags, pages);
	read->bi_iter.bi_sector = tiered_home_sector(page);
	read->bi_end_io = read_ended;
	submit_bio_noacct(read);
	return true;
}

/*----------------------------------------------------------------*/

int tiered_fills_init(struct tiered_volume *volume)
{
	struct tiered_fills *fills = &volume->fills;

	init_llist_head(&fills->done);
	INIT_WORK(&fills->work, fill_work);
	INIT_DELAYED_WORK(&fills->settle, settle_work);
	return bioset_init(&fills->bios, BIO_POOL_SIZE, offsetof(struct tiered_fill, bio), BIOSET_NEED_BVECS);
}

void tiered_fills_exit(struct tiered_volume *volume)
{
	bioset_exit(&volume->fills.bios);
}

void tiered_fills_drain(struct tiered_volume *volume)
{
	cancel_delayed_work_sync(&volume->fills.settle);
	flush_work(&volume->fills.work);
	/* A fill at the end of a drained list may have asked for a flush. */
	cancel_delayed_work_sync(&volume->fills.settle);
}
