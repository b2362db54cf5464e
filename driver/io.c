// SPDX-License-Identifier: GPL-2.0-only
/* The way of a request through map(): what a frame can serve is copied here and now. */
#include "io.h"

#include <linux/bio.h>
#include <linux/highmem.h>
#include <linux/uaccess.h>

#include "bad.h"
#include "trace.h"
#include "volume.h"

static struct tiered_io *io_of(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct tiered_io));
}

static int end_with(struct bio *bio, blk_status_t status)
{
	bio->bi_status = status;
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}

static int remap_home(struct tiered_volume *volume, struct bio *bio)
{
	bio_set_dev(bio, volume->homes.bdev);
	/*
	 * A polled write ends only when its submitter polls. Write-back waits for the bypassing writes of a stripe, and
	 * others behind it: who stops polling must not stop them.
	 */
	bio->bi_opf &= ~REQ_POLLED;
	return DM_MAPIO_REMAPPED;
}

/* The part of a request that lies in one page. */
struct part {
	u64 page;
	u32 offset_bytes;
	u32 bytes;
};

static struct part part_at(const struct bvec_iter *iter)
{
	struct part part;

	part.page = iter->bi_sector / TIERED_SECTORS_PER_PAGE;
	part.offset_bytes = iter->bi_sector % TIERED_SECTORS_PER_PAGE * TIERED_SECTOR_BYTES;
	part.bytes = min_t(u32, iter->bi_size, TIERED_FRAME_BYTES - part.offset_bytes);
	return part;
}

/* Pages that @bytes from @part on touch. */
static u32 pages_touched(const struct part *part, u32 bytes)
{
	return DIV_ROUND_UP(part->offset_bytes + bytes, TIERED_FRAME_BYTES);
}

static void trace_request(const struct tiered_volume *volume, const struct bio *bio, u32 bytes,
			  enum tiered_decision decision)
{
	trace_tiered_request(volume->devt, bio->bi_iter.bi_sector, bytes, decision);
}

/* Notes the first @bytes of @bio, which are all that is done now. */
static void sample_request(struct tiered_volume *volume, const struct bio *bio, u32 bytes, bool write)
{
	tiered_sample(volume, bio->bi_iter.bi_sector, bytes, write, bytes < bio->bi_iter.bi_size);
}

/* Keeps the first @bytes of @bio; dm sends the rest again. */
static void keep_first(struct bio *bio, u32 bytes)
{
	if (bytes < bio->bi_iter.bi_size)
		dm_accept_partial_bio(bio, bytes >> TIERED_SECTOR_SHIFT);
}

static bool is_clean(const struct tiered_frames *frames, u32 frame)
{
	return tiered_frame_state(tiered_frame_word(frames, frame)) == TIERED_CLAIM_CLEAN;
}

/*----------------------------------------------------------------*/
/* Reads */

static bool copy_to_bio(const struct tiered_fast *fast, struct bio *bio, struct bvec_iter *iter, const void *from,
			u32 bytes)
{
	if (tiered_fast_is_bad(fast, from, bytes))
		return false;
	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, *iter);
		u32 step = min(bytes, bv.bv_len);
		void *to = bvec_kmap_local(&bv);
		unsigned long left = copy_mc_to_kernel(to, from, step);

		kunmap_local(to);
		flush_dcache_page(bv.bv_page);
		if (unlikely(left))
			return false;
		bio_advance_iter_single(bio, iter, step);
		from += step;
		bytes -= step;
	}
	return true;
}

enum hit {
	HIT,
	HIT_NONE,
	HIT_LOST, /* the only copy cannot be read */
	HIT_BAD,  /* the frame cannot be read, and nothing was done about it yet */
};

/*
 * Serves one part from its frame. Under RCU: a frame that we find is not written before we are done with it, whatever
 * becomes of the page.
 */
static enum hit read_part(struct tiered_volume *volume, struct bio *bio, struct bvec_iter *iter,
			  const struct part *part)
{
	struct tiered_frames *frames = &volume->frames;
	struct bvec_iter copied = *iter;
	enum hit hit = HIT_NONE;
	u32 frame;

	rcu_read_lock();
	frame = tiered_frames_lookup(frames, part->page);
	if (frame == TIERED_NO_FRAME)
		goto out;
	if (unlikely(tiered_frame_state(tiered_frame_word(frames, frame)) == TIERED_CLAIM_LOST)) {
		hit = HIT_LOST;
		goto out;
	}
	hit = HIT_BAD;
	if (likely(copy_to_bio(&volume->fast, bio, &copied, tiered_frame_data(frames, frame) + part->offset_bytes,
			       part->bytes))) {
		tiered_frame_touch(frames, frame);
		*iter = copied;
		hit = HIT;
	}
out:
	rcu_read_unlock();
	return hit;
}

/*
 * What a miss looks like before its home is read: how many pages from @first on are not resident, and for the fill,
 * what was known of each. Under each stripe's lock in turn, so that a page that another CPU is just moving within the
 * index is not taken for missing.
 */
static u32 look_at_misses(struct tiered_volume *volume, u64 first, u32 pages, struct tiered_fill_seen *seen,
			  bool *fillable)
{
	struct tiered_frames *frames = &volume->frames;
	u32 i;

	*fillable = pages <= TIERED_FILL_PAGES;
	for (i = 0; i < pages; i++) {
		struct tiered_stripe *stripe = tiered_stripe_of(frames, first + i);
		bool resident;

		spin_lock(&stripe->lock);
		resident = tiered_frames_lookup(frames, first + i) != TIERED_NO_FRAME;
		if (atomic_read(&stripe->home_writes))
			*fillable = false;
		if (*fillable)
			seen->events[i] = atomic_read(&stripe->events);
		spin_unlock(&stripe->lock);
		if (resident)
			break;
	}
	return i;
}

static enum tiered_admission admit(struct tiered_volume *volume, const struct bio *bio)
{
	struct tiered_streams_cpu *streams = get_cpu_ptr(volume->streams);
	bool write = op_is_write(bio_op(bio));
	enum tiered_admission admission;
	u32 epoch = READ_ONCE(volume->flush_epoch);

	/*
	 * A FLUSH ends what looks like a stream of writes: a journal is written in sequence too, but somebody waits for
	 * every piece, and each that bypasses makes the next FLUSH go to the disk.
	 */
	if (write && streams->flush_epoch != epoch) {
		streams->writes = (struct tiered_streams){ 0 };
		streams->flush_epoch = epoch;
	}
	admission = tiered_admit(write ? &streams->writes : &streams->reads, volume->options.admission,
				 bio->bi_iter.bi_sector, bio->bi_iter.bi_size);
	put_cpu_ptr(volume->streams);
	return admission;
}

/* Why what was not admitted goes to the disk. */
static enum tiered_reason passed_reason(enum tiered_admission admission)
{
	switch (admission) {
	case TIERED_PASSED_LARGE:
		return TIERED_REASON_passed_large;
	case TIERED_PASSED_STREAM:
		return TIERED_REASON_passed_stream;
	case TIERED_PASSED_PRICE:
		return TIERED_REASON_passed_price;
	default:
		return TIERED_REASON_passed_option;
	}
}

int tiered_io_read_home(struct tiered_volume *volume, struct bio *bio, u64 started_ns)
{
	struct tiered_io *io = io_of(bio);

	io->kind = TIERED_IO_READ;
	io->started_ns = started_ns;
	return remap_home(volume, bio);
}

/* Reads @bio's @pages pages, which missed, and fills what pays. */
static int read_miss_thrifty(struct tiered_volume *volume, struct bio *bio, u64 page, u32 pages,
			     const struct tiered_fill_seen *seen, bool fillable, u64 started_ns)
{
	struct tiered_io *io = io_of(bio);
	struct tiered_choice choice;

	tiered_thrift_read_miss(volume, bio, pages, fillable && !volume->options.read_only, &choice);
	if (choice.wanted) {
		if (tiered_fill_read(volume, bio, page, pages, seen, started_ns, &choice))
			return DM_MAPIO_SUBMITTED;
		tiered_thrift_give_back(volume, &choice, hweight64(choice.wanted));
		tiered_why(volume, page, TIERED_REASON_dropped_memory);
	} else {
		tiered_why(volume, page, fillable ? TIERED_REASON_passed_price : TIERED_REASON_dropped_busy);
	}
	io->pages = pages;
	io->counted = true;
	io->telling = tiered_costs_begin(&volume->thrift.costs) && tiered_thrift_tells(choice.flags, pages);
	return tiered_io_read_home(volume, bio, started_ns);
}

/* Reads @bio's leading pages, which missed. Returns -EAGAIN when the first became resident meanwhile. */
static int read_miss(struct tiered_volume *volume, struct bio *bio, const struct part *part)
{
	u32 pages = pages_touched(part, bio->bi_iter.bi_size), bytes;
	u64 started_ns = ktime_get_ns();
	struct tiered_fill_seen seen;
	enum tiered_admission admission;
	bool fillable;

	if (part->page >= tiered_pages(volume)) /* the tail of the disk, less than a page */
		return tiered_io_read_home(volume, bio, started_ns);

	pages = min_t(u64, pages, tiered_pages(volume) - part->page);
	pages = look_at_misses(volume, part->page, pages, &seen, &fillable);
	if (!pages)
		return -EAGAIN;
	admission = volume->thrift.policy ? TIERED_ADMITTED : admit(volume, bio);
	tiered_count(&volume->stats, TIERED_READ_MISSES, pages);
	bytes = min_t(u32, bio->bi_iter.bi_size, pages * TIERED_FRAME_BYTES - part->offset_bytes);
	sample_request(volume, bio, bytes, false);
	keep_first(bio, bytes);
	trace_request(volume, bio, bio->bi_iter.bi_size, TIERED_DECIDED_READ_MISS);

	if (volume->thrift.policy)
		return read_miss_thrifty(volume, bio, part->page, pages, &seen, fillable, started_ns);
	if (admission != TIERED_ADMITTED) {
		tiered_why(volume, part->page, passed_reason(admission));
	} else if (!fillable) {
		tiered_why(volume, part->page, TIERED_REASON_dropped_busy);
	} else if (!volume->options.read_only) {
		if (tiered_fill_read(volume, bio, part->page, pages, &seen, started_ns, NULL))
			return DM_MAPIO_SUBMITTED;
		tiered_why(volume, part->page, TIERED_REASON_dropped_memory);
	}
	return tiered_io_read_home(volume, bio, started_ns);
}

static int read_lost(struct bio *bio, const struct part *part)
{
	/* What follows the page is not to suffer. */
	keep_first(bio, part->bytes);
	return end_with(bio, BLK_STS_IOERR);
}

/* The first part cannot be read from its frame, and that stays so, at least for now. -EAGAIN: it does not. */
static int read_bad_as_it_is(struct tiered_volume *volume, struct bio *bio, const struct part *part)
{
	u32 frame;
	u64 word = 0;

	rcu_read_lock();
	frame = tiered_frames_lookup(&volume->frames, part->page);
	if (frame != TIERED_NO_FRAME)
		word = tiered_frame_word(&volume->frames, frame);
	rcu_read_unlock();
	/* Somebody was quicker: the page has left. */
	if (frame == TIERED_NO_FRAME)
		return -EAGAIN;
	if (tiered_frame_state(word) != TIERED_CLAIM_CLEAN)
		return read_lost(bio, part);
	keep_first(bio, part->bytes);
	return tiered_io_read_home(volume, bio, 0);
}

static int map_read(struct tiered_volume *volume, struct bio *bio)
{
	u64 started_ns = tiered_latency_start(&volume->stats);
	struct bvec_iter iter;
	struct part part;
	enum hit hit;
	u32 pages, bytes;
	int r;

again:
	iter = bio->bi_iter;
	pages = 0;
	do {
		part = part_at(&iter);
		hit = read_part(volume, bio, &iter, &part);
		if (hit != HIT)
			break;
		pages++;
	} while (iter.bi_size);

	if (likely(pages)) {
		bytes = bio->bi_iter.bi_size - (hit == HIT ? 0 : iter.bi_size);
		tiered_count(&volume->stats, TIERED_READ_HITS, pages);
		sample_request(volume, bio, bytes, false);
		if (volume->thrift.policy)
			tiered_thrift_read_hit(volume, bio, bytes, pages);
		keep_first(bio, bytes);
		trace_request(volume, bio, bio->bi_iter.bi_size, TIERED_DECIDED_READ_HIT);
		tiered_latency_end(&volume->stats, TIERED_PATH_READ_HIT, started_ns);
		return end_with(bio, BLK_STS_OK);
	}
	if (unlikely(hit == HIT_LOST))
		return read_lost(bio, &part);
	if (unlikely(hit == HIT_BAD)) {
		if (volume->options.read_only || tiered_bad_page(volume, part.page) == TIERED_BAD_MAPPED) {
			r = read_bad_as_it_is(volume, bio, &part);
			if (r != -EAGAIN)
				return r;
		}
		tiered_reclaim_poke(volume);
		goto again;
	}
	r = read_miss(volume, bio, &part);
	if (r == -EAGAIN)
		goto again;
	return r;
}

/*----------------------------------------------------------------*/
/* Writes */

/* Stores the next @bytes of @bio around the cache. */
static void store_from_bio(void *to, struct bio *bio, struct bvec_iter *iter, u32 bytes)
{
	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, *iter);
		u32 step = min(bytes, bv.bv_len);
		void *from = bvec_kmap_local(&bv);

		memcpy_flushcache(to, from, step);
		kunmap_local(from);
		bio_advance_iter_single(bio, iter, step);
		to += step;
		bytes -= step;
	}
}

/* Copies from one frame to another, by way of DRAM: the source may be poisoned. Returns false when it is. */
static bool copy_frame_part(const struct tiered_fast *fast, void *to, const void *from, u32 bytes)
{
	u8 chunk[TIERED_SECTOR_BYTES];

	for (; bytes; bytes -= sizeof(chunk)) {
		if (!tiered_fast_read(fast, chunk, from, sizeof(chunk)))
			return false;
		memcpy_flushcache(to, chunk, sizeof(chunk));
		to += sizeof(chunk);
		from += sizeof(chunk);
	}
	return true;
}

/* Makes @frame what the page becomes: the new part, and around it what the @old frame holds. False: it cannot be read. */
static bool compose(struct tiered_frames *frames, u32 frame, u32 old, struct bio *bio, struct bvec_iter iter,
		    const struct part *part)
{
	u32 offset_bytes = part->offset_bytes, end_bytes = offset_bytes + part->bytes;
	void *to = tiered_frame_data(frames, frame);
	const void *from;

	store_from_bio(to + offset_bytes, bio, &iter, part->bytes);
	if (part->bytes == TIERED_FRAME_BYTES)
		return true;
	if (tiered_frame_state(tiered_frame_word(frames, old)) == TIERED_CLAIM_LOST)
		return false;
	from = tiered_frame_data(frames, old);
	return copy_frame_part(frames->fast, to, from, offset_bytes) &&
	       copy_frame_part(frames->fast, to + end_bytes, from + end_bytes, TIERED_FRAME_BYTES - end_bytes);
}

/* A write-back of the stripe has its turn before the next bypassing write. */
static enum tiered_written home_or_wait(const struct tiered_stripe *stripe)
{
	return stripe->home_wanted ? TIERED_WRITE_WAIT : TIERED_WRITE_HOME;
}

/* Whether a page that is not resident is to become so by the write of @part. Less than a page belongs on the disk. */
static bool takes_missing(const struct tiered_volume *volume, const struct part *part, const struct tiered_choice *choice)
{
	return part->bytes == TIERED_FRAME_BYTES &&
	       (choice->take == TIERED_TAKE_ALL || tiered_pinned(volume, part->page));
}

/* Tells the policy of @frame, which is about to hold a page that was not resident. */
static void place_written(struct tiered_volume *volume, const struct tiered_choice *choice, u32 frame, u64 page)
{
	const struct tiered_choice unasked = { .first = page, .flags = TIERED_POLICY_IO_WRITE };

	/* What is pinned is taken without asking. */
	tiered_thrift_place(volume, choice->take == TIERED_TAKE_ALL ? choice : &unasked, frame, page);
}

/* The rest of tiered_io_write_part(), under the stripe's lock. */
static enum tiered_written write_locked(struct tiered_volume *volume, struct tiered_stripe *stripe, struct bio *bio,
					struct bvec_iter *iter, const struct part *part,
					const struct tiered_choice *choice)
{
	struct tiered_frames *frames = &volume->frames;
	u32 old, frame;
	bool resident;

	if (tiered_zero_excludes(volume, part->page))
		return TIERED_WRITE_WAIT;
	old = tiered_frames_lookup(frames, part->page);
	resident = old != TIERED_NO_FRAME;
	/* Programs would go on with the old frame: a worker takes it out of their page tables first. */
	if (resident && unlikely(tiered_frame_word(frames, old) & TIERED_FRAME_MAPPED))
		return TIERED_WRITE_WAIT;
	if (!resident && !takes_missing(volume, part, choice))
		return home_or_wait(stripe);
	if (resident && choice->take == TIERED_TAKE_DIRTY && is_clean(frames, old) && !tiered_pinned(volume, part->page))
		return home_or_wait(stripe);
	frame = tiered_frames_alloc(frames, resident);
	if (frame == TIERED_NO_FRAME)
		return resident ? TIERED_WRITE_WAIT : home_or_wait(stripe);

	if (!compose(frames, frame, old, bio, *iter, part)) {
		tiered_frames_unalloc(frames, frame);
		/* The rest of the page is on the disk, or nowhere. */
		return tiered_bad_holder(volume, stripe, old) == TIERED_BAD_DROPPED ? home_or_wait(stripe) :
										       TIERED_WRITE_FAILED;
	}
	bio_advance_iter(bio, iter, part->bytes);
	if (!resident && volume->thrift.policy)
		place_written(volume, choice, frame, part->page);
	if (resident)
		tiered_frames_replace(frames, stripe, old, frame);
	else
		tiered_frames_insert(frames, stripe, part->page, frame, TIERED_CLAIM_DIRTY);
	tiered_count(&volume->stats, resident ? TIERED_WRITE_HITS : TIERED_WRITE_FILLS, 1);
	if (!resident) {
		tiered_count(&volume->stats, TIERED_FILL_BYTES, TIERED_FRAME_BYTES);
		tiered_why(volume, part->page, TIERED_REASON_filled_write);
	}
	return TIERED_WRITTEN;
}

enum tiered_written tiered_io_write_part(struct tiered_volume *volume, struct bio *bio, struct bvec_iter *iter,
					 const struct tiered_choice *choice)
{
	struct part part = part_at(iter);
	struct tiered_stripe *stripe;
	enum tiered_written r;

	if (part.page >= tiered_pages(volume)) /* the tail of the disk, less than a page */
		return TIERED_WRITE_HOME;
	stripe = tiered_stripe_of(&volume->frames, part.page);
	spin_lock(&stripe->lock);
	r = write_locked(volume, stripe, bio, iter, &part, choice);
	spin_unlock(&stripe->lock);
	return r;
}

/* A page that is clean leaves the fast tier, so that its home may be written. Under its stripe's lock. */
static void make_way(struct tiered_frames *frames, struct tiered_stripe *stripe, u64 page)
{
	u32 frame = tiered_frames_lookup(frames, page);

	if (frame == TIERED_NO_FRAME || !is_clean(frames, frame) ||
	    tiered_frame_word(frames, frame) & TIERED_FRAME_MAPPED)
		return;
	if (frames->policy)
		tiered_policy_written_around(frames->policy, frame, page);
	tiered_frames_remove(frames, stripe, frame);
}

/*
 * Registers a bypassing write of @page, unless it is resident, excluded or has to wait for a write-back. @around: being clean
 * does not keep it, being pinned does.
 */
static bool begin_home_write_page(struct tiered_volume *volume, u64 page, bool around)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	bool may;

	spin_lock(&stripe->lock);
	if (around && !tiered_zero_excludes(volume, page) && !stripe->home_wanted && !tiered_pinned(volume, page))
		make_way(frames, stripe, page);
	may = tiered_frames_lookup(frames, page) == TIERED_NO_FRAME && !tiered_zero_excludes(volume, page) &&
	      !stripe->home_wanted;
	if (may) {
		atomic_inc(&stripe->home_writes);
		atomic_inc(&stripe->events);
	}
	spin_unlock(&stripe->lock);
	return may;
}

/*
 * Registers a bypassing write of @bio's leading pages with their stripes. Returns how many bytes of it may go: it ends
 * before the first page that is resident or excluded, 0 when that is the first, and before a pinned one behind the first.
 */
static u32 begin_home_write(struct tiered_volume *volume, struct bio *bio, const struct part *part, u32 bytes,
			    bool around)
{
	u32 wanted = pages_touched(part, bytes), whole = wanted, pages;
	struct tiered_io *io = io_of(bio);

	if (part->page + wanted > tiered_pages(volume)) /* the tail of the disk has no stripe */
		whole = tiered_pages(volume) > part->page ? tiered_pages(volume) - part->page : 0;
	for (pages = 0; pages < whole; pages++)
		if ((pages && tiered_pinned(volume, part->page + pages)) ||
		    !begin_home_write_page(volume, part->page + pages, around))
			break;
	io->page = part->page;
	io->pages = pages;
	if (pages == whole)
		return bytes;
	return pages ? pages * TIERED_FRAME_BYTES - part->offset_bytes : 0;
}

u32 tiered_io_bypass(struct tiered_volume *volume, struct bio *bio, u32 bytes, bool around)
{
	struct part part = part_at(&bio->bi_iter);
	struct tiered_io *io = io_of(bio);

	bytes = begin_home_write(volume, bio, &part, bytes, around);
	if (!bytes)
		return 0;
	if (volume->thrift.policy) {
		io->counted = true;
		tiered_costs_begin(&volume->thrift.costs);
	}
	io->kind = TIERED_IO_WRITE;
	io->started_ns = ktime_get_ns();
	tiered_count(&volume->stats, TIERED_WRITE_BYPASS, pages_touched(&part, bytes));
	trace_request(volume, bio, bytes, TIERED_DECIDED_WRITE_BYPASS);
	remap_home(volume, bio);
	return bytes;
}

/* Asks what is to become of a write to what is not resident. */
static void ask(struct tiered_volume *volume, const struct bio *bio, struct tiered_choice *choice)
{
	choice->asked = true;
	if (volume->thrift.policy) {
		tiered_thrift_write(volume, bio, choice);
		choice->admission = choice->take == TIERED_TAKE_DIRTY ? TIERED_PASSED_PRICE : TIERED_ADMITTED;
		return;
	}
	choice->admission = admit(volume, bio);
	if (choice->admission == TIERED_ADMITTED)
		choice->take = TIERED_TAKE_ALL;
}

/*
 * Thrift decides about a write as a whole, so it is asked first, unless the write may turn out to go to one page that is dirty
 * already. Otherwise what is resident is written where it is without asking.
 */
static void begin_choice(struct tiered_volume *volume, const struct bio *bio, struct tiered_choice *choice)
{
	choice->asked = false;
	choice->take = TIERED_TAKE_RESIDENT;
	if (!volume->thrift.policy)
		return;
	choice->take = TIERED_TAKE_DIRTY;
	if (bio->bi_iter.bi_size > TIERED_FRAME_BYTES)
		ask(volume, bio, choice);
}

/*
 * Writes what can go to frames from the start of @bio on. Returns the outcome of the first part that could not, and
 * in *@done_bytes what was written before it. @choice was asked for when that outcome is TIERED_WRITE_HOME.
 */
static enum tiered_written write_frames(struct tiered_volume *volume, struct bio *bio, u32 *done_bytes,
					struct tiered_choice *choice)
{
	struct bvec_iter iter = bio->bi_iter;
	enum tiered_written r = TIERED_WRITTEN;

	begin_choice(volume, bio, choice);
	while (iter.bi_size) {
		r = tiered_io_write_part(volume, bio, &iter, choice);
		if (r == TIERED_WRITE_HOME && !choice->asked) {
			ask(volume, bio, choice);
			continue;
		}
		if (r != TIERED_WRITTEN)
			break;
	}
	*done_bytes = bio->bi_iter.bi_size - iter.bi_size;
	return r;
}

/* Sends the start of @bio to the disk, the first @part of it alone if it was admitted. Returns how many bytes go. */
static u32 bypass(struct tiered_volume *volume, struct bio *bio, const struct part *part,
		  enum tiered_admission admission)
{
	enum tiered_reason reason = passed_reason(admission);
	u32 bytes = bio->bi_iter.bi_size;

	if (admission == TIERED_ADMITTED) {
		bytes = part->bytes;
		reason = bytes < TIERED_FRAME_BYTES ? TIERED_REASON_passed_partial : TIERED_REASON_dropped_full;
	}
	bytes = tiered_io_bypass(volume, bio, bytes, admission == TIERED_PASSED_PRICE);
	if (!bytes)
		return 0;
	tiered_why(volume, part->page, reason);
	sample_request(volume, bio, bytes, true);
	if (volume->thrift.policy)
		tiered_thrift_written(volume, bio, bytes, true);
	return bytes;
}

static int map_write(struct tiered_volume *volume, struct bio *bio)
{
	u64 started_ns = tiered_latency_start(&volume->stats);
	struct tiered_choice choice;
	enum tiered_written r;
	struct part part;
	u32 bytes;

	if (volume->options.read_only || tiered_homes_refuse_write(&volume->homes))
		return end_with(bio, BLK_STS_IOERR);
again:
	r = write_frames(volume, bio, &bytes, &choice);
	if (likely(bytes)) {
		sample_request(volume, bio, bytes, true);
		if (volume->thrift.policy && choice.asked)
			tiered_thrift_written(volume, bio, bytes, false);
		else if (volume->thrift.policy)
			tiered_thrift_rewrote(volume, bio, bytes);
		keep_first(bio, bytes);
		trace_request(volume, bio, bytes, TIERED_DECIDED_WRITE_FAST);
		tiered_reclaim_poke(volume);
		if (volume->options.writethrough) {
			tiered_through(volume, bio);
			return DM_MAPIO_SUBMITTED;
		}
		tiered_latency_end(&volume->stats, TIERED_PATH_WRITE_FAST, started_ns);
		tiered_writeback_poke(volume);
		return end_with(bio, BLK_STS_OK);
	}
	part = part_at(&bio->bi_iter);
	switch (r) {
	case TIERED_WRITE_HOME:
		bytes = bypass(volume, bio, &part, choice.admission);
		if (!bytes)
			goto again;
		keep_first(bio, bytes);
		return DM_MAPIO_REMAPPED;
	case TIERED_WRITE_WAIT:
		/*
		 * With NOWAIT as well: who submits does not wait for a parked write, and an earlier part of the request may
		 * be on its way, after which nobody takes EAGAIN for a reason to try again.
		 */
		sample_request(volume, bio, part.bytes, true);
		keep_first(bio, part.bytes);
		tiered_park(volume, bio);
		return DM_MAPIO_SUBMITTED;
	default:
		keep_first(bio, part.bytes);
		return end_with(bio, BLK_STS_IOERR);
	}
}

/*----------------------------------------------------------------*/
/* The rest */

static int map_flush(struct tiered_volume *volume, struct bio *bio)
{
	struct tiered_io *io = io_of(bio);

	tiered_count(&volume->stats, TIERED_FLUSHES, 1);
	WRITE_ONCE(volume->flush_epoch, volume->flush_epoch + 1);
	/* What a frame took is durable already. */
	if (!tiered_homes_need_flush(&volume->homes))
		return end_with(bio, BLK_STS_OK);
	tiered_count(&volume->stats, TIERED_FLUSHES_PASSED, 1);
	io->kind = TIERED_IO_FLUSH;
	io->counted = true;
	tiered_costs_begin(&volume->thrift.costs);
	io->flush = tiered_homes_flush_begin(&volume->homes);
	return remap_home(volume, bio);
}

static int map_zero(struct tiered_volume *volume, struct bio *bio)
{
	if (volume->options.read_only || tiered_homes_refuse_write(&volume->homes))
		return end_with(bio, BLK_STS_IOERR);
	if (bio->bi_opf & REQ_NOWAIT)
		return end_with(bio, BLK_STS_AGAIN);
	tiered_zero(volume, bio);
	return DM_MAPIO_SUBMITTED;
}

static int map_any(struct tiered_volume *volume, struct bio *bio)
{
	if (unlikely(bio->bi_opf & REQ_PREFLUSH)) /* dm sends these without data */
		return map_flush(volume, bio);
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return map_read(volume, bio);
	case REQ_OP_WRITE:
		return map_write(volume, bio);
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		return map_zero(volume, bio);
	default:
		return end_with(bio, BLK_STS_NOTSUPP);
	}
}

/* Whether the home of @page has its newest contents, as far as the index knows, which stays when the fast tier goes. */
static bool whole_at_home(const struct tiered_frames *frames, u64 page)
{
	bool whole = true;
	u32 frame;

	rcu_read_lock();
	frame = tiered_frames_lookup(frames, page);
	if (frame != TIERED_NO_FRAME)
		whole = tiered_frame_state(tiered_frame_word(frames, frame)) == TIERED_CLAIM_CLEAN;
	rcu_read_unlock();
	return whole;
}

/*
 * The fast tier is gone. Its claims are not: when it comes back they speak again, so no home may change meanwhile. What
 * is whole at home can be read.
 */
static int map_without_fast(struct tiered_volume *volume, struct bio *bio)
{
	struct part part = part_at(&bio->bi_iter);
	u32 wanted = pages_touched(&part, bio->bi_iter.bi_size), pages = 0;

	tiered_volume_look(volume);
	if (bio_op(bio) != REQ_OP_READ || bio->bi_opf & REQ_PREFLUSH)
		return end_with(bio, BLK_STS_IOERR);
	while (pages < wanted && whole_at_home(&volume->frames, part.page + pages))
		pages++;
	if (!pages)
		return read_lost(bio, &part);
	tiered_count(&volume->stats, TIERED_READ_MISSES, pages);
	keep_first(bio, min_t(u32, bio->bi_iter.bi_size, pages * TIERED_FRAME_BYTES - part.offset_bytes));
	return tiered_io_read_home(volume, bio, ktime_get_ns());
}

int tiered_io_map(struct tiered_volume *volume, struct bio *bio)
{
	int r, id;

	io_of(bio)->kind = TIERED_IO_DONE;
	io_of(bio)->counted = false;
	if (unlikely(!tiered_fast_enter(&volume->fast, &id)))
		return map_without_fast(volume, bio);
	r = map_any(volume, bio);
	tiered_fast_leave(id);
	return r;
}

static enum tiered_write_end write_end(const struct bio *bio, blk_status_t status)
{
	if (status)
		return TIERED_WRITE_END_FAILED;
	return bio->bi_opf & REQ_FUA ? TIERED_WRITE_END_DURABLE : TIERED_WRITE_END_ACKED;
}

int tiered_io_end(struct tiered_volume *volume, struct bio *bio, blk_status_t *status)
{
	struct tiered_io *io = io_of(bio);

	if (io->counted)
		tiered_costs_end(&volume->thrift.costs);
	switch (io->kind) {
	case TIERED_IO_DONE:
		break;
	case TIERED_IO_READ:
		if (io->counted && io->telling && !*status)
			tiered_thrift_sample(&volume->thrift, io->pages, ktime_get_ns() - io->started_ns);
		tiered_latency_end_home(&volume->stats, TIERED_PATH_READ_MISS, io->started_ns);
		break;
	case TIERED_IO_WRITE:
		tiered_latency_end_home(&volume->stats, TIERED_PATH_WRITE_BYPASS, io->started_ns);
		tiered_homes_write_ended(&volume->homes, &volume->frames, io->page, io->pages, write_end(bio, *status));
		break;
	case TIERED_IO_FLUSH:
		if (!tiered_homes_flush_end(&volume->homes, io->flush, *status))
			*status = BLK_STS_IOERR;
		tiered_volume_look(volume);
		break;
	}
	return DM_ENDIO_DONE;
}
