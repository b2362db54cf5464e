// SPDX-License-Identifier: GPL-2.0-only
/* The volume as memory by calls: page by page through a buffer, since the user's memory may be this very volume. */
#include "calls.h"

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "bad.h"
#include "core/ioctl.h"
#include "mappings.h"
#include "touch.h"
#include "volume.h"

/* Of one page, between the volume and a buffer in the kernel. */
struct transfer {
	u64 page;
	u32 offset_bytes;
	u32 bytes;
	void *buffer;
	bool write;
	bool waits; /* for a volume that is suspended, or a range that is being discarded */
	u32 ahead;  /* pages that are worth being read with it */
};

/*----------------------------------------------------------------*/
/* One page, once */

/* As a block read that hits: under RCU a frame that was found is not given to another page. */
static enum tiered_obstacle copy_from_frame(struct tiered_volume *volume, const struct transfer *transfer)
{
	struct tiered_frames *frames = &volume->frames;
	enum tiered_obstacle obstacle = TIERED_OBSTACLE_NONE;
	const void *from;
	u32 frame;

	rcu_read_lock();
	frame = tiered_frames_lookup(frames, transfer->page);
	if (frame == TIERED_NO_FRAME) {
		obstacle = tiered_zero_excludes(volume, transfer->page) ? TIERED_OBSTACLE_EXCLUDED : TIERED_OBSTACLE_MISSING;
	} else if (tiered_frame_state(tiered_frame_word(frames, frame)) == TIERED_CLAIM_LOST) {
		obstacle = TIERED_OBSTACLE_ERROR;
	} else {
		from = tiered_frame_data(frames, frame) + transfer->offset_bytes;
		if (tiered_fast_read(&volume->fast, transfer->buffer, from, transfer->bytes))
			tiered_frame_touch(frames, frame);
		else
			obstacle = TIERED_OBSTACLE_JUDGED;
	}
	rcu_read_unlock();
	return obstacle;
}

/* Around the cache and durable. In one go: a fence is for what its own CPU has stored. */
static void store_to_frame(const struct tiered_frames *frames, u32 frame, const struct transfer *transfer)
{
	preempt_disable();
	memcpy_flushcache(tiered_frame_data(frames, frame) + transfer->offset_bytes, transfer->buffer, transfer->bytes);
	tiered_pm_fence();
	preempt_enable();
}

/* Takes away the marks that we set, since nobody else did behind the gate that we hold alone. @before: those that were there. */
static void take_marks_back(struct tiered_volume *volume, u64 page, u32 frame, u64 before)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	u64 ours = (TIERED_FRAME_MAPPED | TIERED_FRAME_STORED) & ~before;

	spin_lock(&stripe->lock);
	if (ours & TIERED_FRAME_STORED)
		percpu_counter_dec(&frames->stored);
	WRITE_ONCE(frames->frame[frame].word, tiered_frame_word(frames, frame) & ~ours);
	spin_unlock(&stripe->lock);
}

/* In place, as stores through a mapping, behind the page's gate. */
static enum tiered_obstacle copy_to_frame(struct tiered_volume *volume, const struct transfer *transfer)
{
	enum tiered_obstacle obstacle;
	u64 before;
	u32 frame;

	/* Said before the marks are set, as faults do: whoever looks for marks has to know that there may be some. */
	if (!READ_ONCE(volume->mappings->used))
		WRITE_ONCE(volume->mappings->used, true);
	tiered_gate_hold(volume, transfer->page);
	before = tiered_mappings_marks(volume, transfer->page);
	obstacle = tiered_mappings_mark(volume, transfer->page, true, &frame);
	if (obstacle == TIERED_OBSTACLE_NONE) {
		store_to_frame(&volume->frames, frame, transfer);
		take_marks_back(volume, transfer->page, frame, before);
		tiered_frame_touch(&volume->frames, frame);
	}
	tiered_gate_open(volume, transfer->page);
	tiered_writeback_poke(volume);
	return obstacle;
}

static enum tiered_obstacle copy(struct tiered_volume *volume, const struct transfer *transfer)
{
	enum tiered_obstacle obstacle;
	int id;

	if (!tiered_fast_enter(&volume->fast, &id))
		return TIERED_OBSTACLE_ERROR;
	if (transfer->write)
		obstacle = copy_to_frame(volume, transfer);
	else
		obstacle = copy_from_frame(volume, transfer);
	/* No mapping, no worker: it is judged here and now. */
	if (obstacle == TIERED_OBSTACLE_JUDGED && tiered_bad_page(volume, transfer->page) != TIERED_BAD_MAPPED)
		obstacle = TIERED_OBSTACLE_BUSY;
	tiered_fast_leave(id);
	return obstacle;
}

static enum tiered_obstacle try_once(struct tiered_mappings *mappings, const struct transfer *transfer)
{
	int idx = srcu_read_lock(&mappings->running);
	enum tiered_obstacle obstacle = tiered_mappings_state_obstacle(mappings);

	if (obstacle == TIERED_OBSTACLE_NONE)
		obstacle = copy(mappings->volume, transfer);
	/* What the home has of a page that is written whole does not matter. */
	if (obstacle == TIERED_OBSTACLE_MISSING && transfer->write && transfer->bytes == TIERED_FRAME_BYTES)
		obstacle = tiered_touch_put(mappings, transfer->page, transfer->buffer);
	srcu_read_unlock(&mappings->running, idx);
	return obstacle;
}

/* Returns 0 or a negative errno, and then nothing was copied. */
static int do_transfer(struct tiered_mappings *mappings, const struct transfer *transfer)
{
	enum tiered_obstacle obstacle;

	for (;;) {
		obstacle = try_once(mappings, transfer);
		if (obstacle == TIERED_OBSTACLE_NONE)
			return 0;
		if (obstacle == TIERED_OBSTACLE_ERROR)
			return tiered_mappings_error(mappings);
		if (!transfer->waits && tiered_obstacle_is_others(obstacle))
			return -EAGAIN;
		if (!tiered_mappings_overcome(mappings, obstacle, transfer->page, transfer->ahead))
			return tiered_mappings_error(mappings);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}

/*----------------------------------------------------------------*/
/* read() and write() */

static u64 volume_bytes(const struct tiered_mappings *mappings)
{
	return READ_ONCE(mappings->pages) << TIERED_FRAME_SHIFT;
}

static struct transfer transfer_at(const struct kiocb *iocb, const struct iov_iter *iter, void *buffer)
{
	struct transfer transfer = {
		.page = iocb->ki_pos >> TIERED_FRAME_SHIFT,
		.offset_bytes = offset_in_page(iocb->ki_pos),
		.buffer = buffer,
		.waits = true,
	};

	transfer.bytes = min_t(size_t, iov_iter_count(iter), TIERED_FRAME_BYTES - transfer.offset_bytes);
	return transfer;
}

static int read_part(struct tiered_mappings *mappings, struct tiered_hints *hints, struct kiocb *iocb, struct iov_iter *to,
		     void *buffer)
{
	struct transfer transfer = transfer_at(iocb, to, buffer);
	u64 asked = (transfer.offset_bytes + iov_iter_count(to) - 1) >> TIERED_FRAME_SHIFT;
	size_t copied;
	int r;

	transfer.ahead = max_t(u32, min_t(u64, asked, TIERED_FILL_PAGES - 1),
			       tiered_mappings_read_ahead(hints, transfer.page));
	r = do_transfer(mappings, &transfer);
	if (r)
		return r;
	copied = copy_to_iter(buffer, transfer.bytes, to);
	iocb->ki_pos += copied;
	return copied < transfer.bytes ? -EFAULT : 0;
}

/* What could be read of the user's memory is written, though it be less than was to be. */
static int write_part(struct tiered_mappings *mappings, struct kiocb *iocb, struct iov_iter *from, void *buffer)
{
	struct transfer transfer = transfer_at(iocb, from, buffer);
	size_t copied = copy_from_iter(buffer, transfer.bytes, from);
	bool whole = copied == transfer.bytes;
	int r;

	if (!copied)
		return -EFAULT;
	transfer.bytes = copied;
	transfer.write = true;
	r = do_transfer(mappings, &transfer);
	if (r) {
		iov_iter_revert(from, copied);
		return r;
	}
	iocb->ki_pos += copied;
	return whole ? 0 : -EFAULT;
}

/* Between two pages: who is killed does not wait for the rest. */
static int pause(void)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

ssize_t tiered_calls_read(struct tiered_mappings *mappings, struct tiered_hints *hints, struct kiocb *iocb,
			  struct iov_iter *to)
{
	u64 size = volume_bytes(mappings);
	loff_t began = iocb->ki_pos;
	size_t wanted = iov_iter_count(to), beyond;
	void *buffer;
	int r = 0;

	if (!wanted || began >= size)
		return 0;
	buffer = (void *)__get_free_page(GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	iov_iter_truncate(to, size - began);
	beyond = wanted - iov_iter_count(to);
	while (!r && iov_iter_count(to)) {
		r = read_part(mappings, hints, iocb, to, buffer);
		if (!r)
			r = pause();
	}
	iov_iter_reexpand(to, iov_iter_count(to) + beyond);
	free_page((unsigned long)buffer);
	return iocb->ki_pos > began ? iocb->ki_pos - began : r;
}

ssize_t tiered_calls_write(struct tiered_mappings *mappings, struct kiocb *iocb, struct iov_iter *from)
{
	u64 size = volume_bytes(mappings);
	loff_t began = iocb->ki_pos;
	size_t wanted = iov_iter_count(from), beyond;
	void *buffer;
	int r = 0;

	if (!wanted)
		return 0;
	if (began >= size)
		return -ENOSPC;
	buffer = (void *)__get_free_page(GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	iov_iter_truncate(from, size - began);
	beyond = wanted - iov_iter_count(from);
	while (!r && iov_iter_count(from)) {
		r = write_part(mappings, iocb, from, buffer);
		if (!r)
			r = pause();
	}
	iov_iter_reexpand(from, iov_iter_count(from) + beyond);
	free_page((unsigned long)buffer);
	return iocb->ki_pos > began ? iocb->ki_pos - began : r;
}

/*----------------------------------------------------------------*/
/* Debuggers */

int tiered_calls_access(struct tiered_mappings *mappings, struct vm_area_struct *vma, unsigned long address,
			void *buffer, int bytes, bool write)
{
	struct transfer transfer = {
		.page = vma->vm_pgoff + ((address - vma->vm_start) >> PAGE_SHIFT),
		.offset_bytes = offset_in_page(address),
		.buffer = buffer,
		.write = write,
	};
	int r;

	/* The kernel leaves it to us: a breakpoint in what the program itself may not store to would be everybody's. */
	if (write && !(vma->vm_flags & VM_WRITE))
		return -EACCES;
	if (transfer.page >= READ_ONCE(mappings->pages))
		return -EFAULT;
	transfer.bytes = min_t(u32, bytes, TIERED_FRAME_BYTES - transfer.offset_bytes);
	r = do_transfer(mappings, &transfer);
	return r ? r : transfer.bytes;
}

/*----------------------------------------------------------------*/
/* Hints */

/* One range that the worker takes. -EAGAIN: the volume is suspended. */
static int discard_once(struct tiered_mappings *mappings, u64 first, u64 end)
{
	int idx = srcu_read_lock(&mappings->running), r = -EAGAIN;
	enum tiered_obstacle obstacle = tiered_mappings_state_obstacle(mappings);

	if (obstacle == TIERED_OBSTACLE_NONE)
		r = tiered_zero_pages(mappings->volume, first, end);
	else if (obstacle == TIERED_OBSTACLE_ERROR)
		r = tiered_mappings_error(mappings);
	srcu_read_unlock(&mappings->running, idx);
	return r;
}

static int discard(struct tiered_mappings *mappings, u64 first, u64 end)
{
	u64 until;
	int r = 0;

	while (first < end && !r) {
		until = min_t(u64, end, first + TIERED_ZERO_PAGES_MAX);
		r = discard_once(mappings, first, until);
		if (r == -EAGAIN) {
			tiered_mappings_overcome(mappings, TIERED_OBSTACLE_SUSPENDED, first, 0);
			until = first;
			r = 0;
		}
		first = until;
		if (!r)
			r = pause();
	}
	return r;
}

/* Whether @range is made of whole pages of the volume, one at least. */
static bool is_of_pages(const struct tiered_mappings *mappings, const struct tiered_ioc_range *range)
{
	u64 bytes = volume_bytes(mappings);

	return range->length_bytes && IS_ALIGNED(range->offset_bytes | range->length_bytes, TIERED_FRAME_BYTES) &&
	       range->offset_bytes < bytes && range->length_bytes <= bytes - range->offset_bytes;
}

long tiered_calls_ioctl(struct tiered_mappings *mappings, bool may_write, unsigned int request, unsigned long argument)
{
	struct tiered_ioc_range range;
	u64 first, end;

	if (request != TIERED_IOC_COLD && request != TIERED_IOC_DISCARD)
		return -ENOTTY;
	if (request == TIERED_IOC_DISCARD && !may_write)
		return -EBADF;
	if (copy_from_user(&range, (const void __user *)argument, sizeof(range)))
		return -EFAULT;
	if (!is_of_pages(mappings, &range))
		return -EINVAL;
	first = range.offset_bytes >> TIERED_FRAME_SHIFT;
	end = first + (range.length_bytes >> TIERED_FRAME_SHIFT);
	return request == TIERED_IOC_COLD ? tiered_mappings_need_not(mappings, first, end) : discard(mappings, first, end);
}
