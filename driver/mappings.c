// SPDX-License-Identifier: GPL-2.0-only
/* Pages in page tables: faults, gates, and taking mappings away. */
#include "mappings.h"

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "bad.h"
#include "compat/compat.h"
#include "touch.h"
#include "volume.h"

/* A sequential access may jump over what is resident: so many pages. */
#define SEQUENTIAL_PAGES 32u

/*----------------------------------------------------------------*/
/* Gates */

static struct rw_semaphore *gate_of(struct tiered_mappings *mappings, u64 page)
{
	return &mappings->gate[hash_64(page >> TIERED_GATE_PAGES_SHIFT, TIERED_GATES_SHIFT)].lock;
}

u64 tiered_mappings_marks(const struct tiered_volume *volume, u64 page)
{
	const struct tiered_frames *frames = &volume->frames;
	u64 word = 0;
	u32 frame;

	rcu_read_lock();
	frame = tiered_frames_lookup(frames, page);
	if (frame != TIERED_NO_FRAME)
		word = tiered_frame_word(frames, frame);
	rcu_read_unlock();
	return word;
}

/* Writes the lines of @frame back from all CPUs' caches, durably. */
static void flush_frame(const struct tiered_frames *frames, u32 frame)
{
	preempt_disable();
	arch_wb_cache_pmem(tiered_frame_data(frames, frame), TIERED_FRAME_BYTES);
	tiered_pm_fence();
	preempt_enable();
}

/*
 * Takes the marks of @page's frame away, whose mappings are gone. The lines first: whoever finds a page without the
 * mark takes what was stored to it for durable. The frame does not change meanwhile, for it is marked.
 */
static void unmark(struct tiered_volume *volume, u64 page)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	u32 frame;

	spin_lock(&stripe->lock);
	frame = tiered_frames_lookup(frames, page);
	spin_unlock(&stripe->lock);
	if (frame == TIERED_NO_FRAME)
		return;
	if (tiered_frame_word(frames, frame) & TIERED_FRAME_STORED)
		flush_frame(frames, frame);
	spin_lock(&stripe->lock);
	if (tiered_frames_lookup(frames, page) == frame)
		tiered_frames_unmapped(frames, frame);
	spin_unlock(&stripe->lock);
}

static void unmap(struct tiered_mappings *mappings, u64 first, u64 pages)
{
	unmap_mapping_range(mappings->inode->i_mapping, first << PAGE_SHIFT, pages << PAGE_SHIFT, 1);
}

void tiered_gate_shut(struct tiered_volume *volume, u64 page)
{
	struct tiered_mappings *mappings = volume->mappings;

	down_write(gate_of(mappings, page));
	if (!(tiered_mappings_marks(volume, page) & TIERED_FRAME_MAPPED))
		return;
	unmap(mappings, page, 1);
	unmark(volume, page);
	tiered_count(&volume->stats, TIERED_MEMORY_UNMAPS, 1);
}

void tiered_gate_hold(struct tiered_volume *volume, u64 page)
{
	down_write(gate_of(volume->mappings, page));
}

void tiered_gate_open(struct tiered_volume *volume, u64 page)
{
	up_write(gate_of(volume->mappings, page));
}

void tiered_mappings_leave(struct tiered_volume *volume, u64 first, u64 end)
{
	struct tiered_mappings *mappings = volume->mappings;
	u32 i;

	/* Whoever marked a page before its stripe was passed through has said so before. */
	if (!mappings || !READ_ONCE(mappings->used))
		return;
	/* A fault that has not seen that the range is exclusive has its gate still. */
	for (i = 0; i < ARRAY_SIZE(mappings->gate); i++) {
		down_write(&mappings->gate[i].lock);
		up_write(&mappings->gate[i].lock);
	}
	unmap(mappings, first, end - first);
}

void tiered_mappings_changed(struct tiered_volume *volume)
{
	if (volume->mappings)
		wake_up_all(&volume->mappings->changed);
}

/*----------------------------------------------------------------*/
/* Frames that cannot be read */

static bool is_suspect(const struct tiered_frames *frames, u32 frame)
{
	return tiered_frame_word(frames, frame) & TIERED_FRAME_BAD || tiered_frame_is_bad(frames, frame);
}

/* Shuts the gate of each mapped frame in turn, and judges those that cannot be read. */
static void go_through(struct tiered_volume *volume, bool suspects_only)
{
	struct tiered_frames *frames = &volume->frames;
	u32 frame;

	for (frame = 0; frame < frames->words.frames; frame++) {
		u64 word = tiered_frame_word(frames, frame), page = tiered_frame_page(word);
		bool suspect = is_suspect(frames, frame);

		if (word & TIERED_FRAME_MAPPED && (suspect || !suspects_only)) {
			tiered_gate_shut(volume, page);
			if (suspect)
				tiered_bad_page(volume, page);
			tiered_gate_open(volume, page);
		}
		if (!(frame % 4096))
			cond_resched();
	}
}

static void go_through_inside(struct tiered_volume *volume, bool suspects_only)
{
	int id;

	if (!tiered_fast_enter(&volume->fast, &id))
		return;
	go_through(volume, suspects_only);
	tiered_fast_leave(id);
	tiered_reclaim_poke(volume);
}

static void judge_work(struct work_struct *work)
{
	go_through_inside(container_of(work, struct tiered_mappings, judge)->volume, true);
}

void tiered_mappings_judge(struct tiered_mappings *mappings)
{
	queue_work(mappings->volume->workers, &mappings->judge);
}

static void condemn_mapped(struct tiered_frames *frames, u32 frame)
{
	u64 page = tiered_frame_page(tiered_frame_word(frames, frame));
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);

	spin_lock(&stripe->lock);
	if (tiered_frame_word(frames, frame) & TIERED_FRAME_MAPPED && tiered_frames_lookup(frames, page) == frame)
		tiered_frames_condemn(frames, frame);
	spin_unlock(&stripe->lock);
}

void tiered_mappings_condemn(struct tiered_mappings *mappings, u64 offset_bytes, u64 bytes)
{
	const struct tiered_volume *volume = mappings->volume;
	struct tiered_frames *frames = &mappings->volume->frames;
	u64 data_bytes = frames->data - volume->fast.base + (volume->fast.first_sector << TIERED_SECTOR_SHIFT);
	u64 frame, end;

	/* The kernel lists the block as bad too, but maybe later than now. */
	if (offset_bytes >= data_bytes) {
		frame = (offset_bytes - data_bytes) >> TIERED_FRAME_SHIFT;
		end = DIV_ROUND_UP(offset_bytes - data_bytes + bytes, TIERED_FRAME_BYTES);
		for (; frame < min_t(u64, end, frames->words.frames); frame++)
			condemn_mapped(frames, frame);
	}
	tiered_mappings_judge(mappings);
}

/* What is marked without being mapped costs whoever writes it a park, and stays dirty while the disk is idle. */
static void forget_work(struct work_struct *work)
{
	go_through_inside(container_of(work, struct tiered_mappings, forget)->volume, false);
}

void tiered_mappings_forget(struct tiered_mappings *mappings)
{
	int idx = srcu_read_lock(&mappings->running);

	if (smp_load_acquire(&mappings->state) == TIERED_MAPPINGS_SERVED && READ_ONCE(mappings->used))
		queue_work(mappings->volume->workers, &mappings->forget);
	srcu_read_unlock(&mappings->running, idx);
}

/*----------------------------------------------------------------*/
/* Faults */

enum tiered_obstacle tiered_mappings_mark(struct tiered_volume *volume, u64 page, bool store, u32 *frame)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	enum tiered_obstacle obstacle = TIERED_OBSTACLE_NONE;
	u64 word;

	spin_lock(&stripe->lock);
	*frame = tiered_frames_lookup(frames, page);
	if (page >= tiered_pages(volume)) {
		obstacle = TIERED_OBSTACLE_ERROR;
	} else if (tiered_zero_excludes(volume, page)) {
		obstacle = TIERED_OBSTACLE_EXCLUDED;
	} else if (*frame == TIERED_NO_FRAME) {
		obstacle = TIERED_OBSTACLE_MISSING;
	} else if (tiered_frame_state(tiered_frame_word(frames, *frame)) == TIERED_CLAIM_LOST) {
		obstacle = TIERED_OBSTACLE_ERROR;
	} else if (tiered_frame_is_bad(frames, *frame)) {
		obstacle = TIERED_OBSTACLE_JUDGED;
	}
	if (obstacle != TIERED_OBSTACLE_NONE)
		goto out;
	if (store && tiered_frame_state(tiered_frame_word(frames, *frame)) == TIERED_CLAIM_CLEAN)
		tiered_frames_dirty(frames, stripe, *frame);
	word = tiered_frame_word(frames, *frame) | TIERED_FRAME_MAPPED;
	if (store) {
		if (word & TIERED_FRAME_CLEANING)
			word |= TIERED_FRAME_RESTORED;
		if (!(word & TIERED_FRAME_STORED))
			percpu_counter_inc(&frames->stored);
		word |= TIERED_FRAME_STORED;
	}
	WRITE_ONCE(frames->frame[*frame].word, word);
out:
	spin_unlock(&stripe->lock);
	return obstacle;
}

/* A fault on its way into the page table. */
struct entering {
	struct tiered_volume *volume;
	struct vm_fault *vmf;
	bool store;
	enum tiered_obstacle obstacle; /* of the page that was touched */
};

/* Fills one place of the page table, under its lock, if there is nothing. Not with neighbours that are in the way. */
static int enter_entry(pte_t *pte, unsigned long address, void *data)
{
	struct entering *entering = data;
	struct vm_area_struct *vma = entering->vmf->vma;
	struct tiered_frames *frames = &entering->volume->frames;
	bool touched = address == (entering->vmf->address & PAGE_MASK), store = touched && entering->store;
	enum tiered_obstacle obstacle;
	unsigned long pfn;
	u32 frame;

	if (!pte_none(ptep_get(pte)))
		return 0;
	obstacle = tiered_mappings_mark(entering->volume, vma->vm_pgoff + ((address - vma->vm_start) >> PAGE_SHIFT), store, &frame);
	if (touched)
		entering->obstacle = obstacle;
	if (obstacle != TIERED_OBSTACLE_NONE)
		return 0;
	pfn = PHYS_PFN(virt_to_phys(tiered_frame_data(frames, frame)));
	/* Without write permission unless for a store: vm_page_prot has none, because there is pfn_mkwrite(). */
	set_pte_at(vma->vm_mm, address, pte,
		   pte_mkspecial(pfn_pte(pfn, store ? vm_get_page_prot(vma->vm_flags) : vma->vm_page_prot)));
	if (touched)
		tiered_frame_touch(frames, frame);
	return 0;
}

/* The pages that @vmf may bring in: the one that was touched, and for a load its neighbours behind the same gate. */
static void range_of(const struct vm_fault *vmf, bool store, u64 *first, u64 *end)
{
	const u64 pages = 1 << TIERED_GATE_PAGES_SHIFT;
	struct vm_area_struct *vma = vmf->vma;

	*first = vmf->pgoff;
	*end = vmf->pgoff + 1;
	if (store)
		return;
	*first = max_t(u64, round_down(vmf->pgoff, pages), vma->vm_pgoff);
	*end = min_t(u64, round_down(vmf->pgoff, pages) + pages, vma->vm_pgoff + vma_pages(vma));
}

/* Page tables are allocated before a gate is held: who frees memory may need that gate. */
static bool alloc_tables(struct vm_fault *vmf, u64 first, u64 end)
{
	struct vm_area_struct *vma = vmf->vma;

	return !apply_to_page_range(vma->vm_mm, vma->vm_start + ((first - vma->vm_pgoff) << PAGE_SHIFT),
				    (end - first) << PAGE_SHIFT, NULL, NULL);
}

/* The gate is held, so that nobody takes mappings away between the marks and the entries. */
static enum tiered_obstacle enter(struct tiered_volume *volume, struct vm_fault *vmf, bool store, u64 first, u64 end)
{
	struct entering entering = { .volume = volume, .vmf = vmf, .store = store };
	struct vm_area_struct *vma = vmf->vma;

	/* An entry that only allows loads would be left as it is. */
	if (vmf->flags & FAULT_FLAG_MKWRITE)
		tiered_zap_entry(vma, vmf->address & PAGE_MASK);
	if (apply_to_page_range(vma->vm_mm, vma->vm_start + ((first - vma->vm_pgoff) << PAGE_SHIFT),
				(end - first) << PAGE_SHIFT, enter_entry, &entering))
		return TIERED_OBSTACLE_NO_MEMORY;
	return entering.obstacle;
}

static enum tiered_obstacle try_fault(struct tiered_mappings *mappings, struct vm_fault *vmf, bool store)
{
	struct rw_semaphore *gate = gate_of(mappings, vmf->pgoff);
	struct tiered_volume *volume = mappings->volume;
	enum tiered_obstacle obstacle;
	u64 first, end;
	int id;

	if (vmf->pgoff >= tiered_pages(volume) || !tiered_fast_enter(&volume->fast, &id))
		return TIERED_OBSTACLE_ERROR;
	if (!READ_ONCE(mappings->used))
		WRITE_ONCE(mappings->used, true);
	range_of(vmf, store, &first, &end);
	down_read(gate);
	obstacle = enter(volume, vmf, store, first, end);
	up_read(gate);
	tiered_count(&volume->stats, TIERED_MEMORY_FAULTS, 1);
	if (store)
		tiered_writeback_poke(volume);
	/* No mapping, no worker: it is judged here and now. */
	if (obstacle == TIERED_OBSTACLE_JUDGED && tiered_bad_page(volume, vmf->pgoff) != TIERED_BAD_MAPPED)
		obstacle = TIERED_OBSTACLE_BUSY;
	tiered_fast_leave(id);
	return obstacle;
}

/* What there is to do for a page, with all the time it takes. Inside `running`. Returns false when nobody gets it. */
static bool overcome(struct tiered_mappings *mappings, enum tiered_obstacle obstacle, u64 page, u32 ahead)
{
	switch (obstacle) {
	case TIERED_OBSTACLE_MISSING:
		return tiered_touch_bring(mappings, page, 1 + ahead) != TIERED_OBSTACLE_ERROR;
	case TIERED_OBSTACLE_JUDGED:
		flush_work(&mappings->judge);
		return true;
	default:
		return true;
	}
}

enum tiered_obstacle tiered_mappings_state_obstacle(struct tiered_mappings *mappings)
{
	switch (smp_load_acquire(&mappings->state)) {
	case TIERED_MAPPINGS_SERVED:
		return TIERED_OBSTACLE_NONE;
	case TIERED_MAPPINGS_SUSPENDED:
		return TIERED_OBSTACLE_SUSPENDED;
	default:
		return TIERED_OBSTACLE_ERROR;
	}
}

/* Whether a fault that had to wait, for the volume to run or for a range, may try again. */
static bool may_try(struct tiered_mappings *mappings, u64 page)
{
	int idx = srcu_read_lock(&mappings->running);
	enum tiered_obstacle obstacle = tiered_mappings_state_obstacle(mappings);
	bool may = obstacle == TIERED_OBSTACLE_ERROR ||
		   (obstacle == TIERED_OBSTACLE_NONE && !tiered_zero_excludes(mappings->volume, page));

	srcu_read_unlock(&mappings->running, idx);
	return may;
}

bool tiered_mappings_overcome(struct tiered_mappings *mappings, enum tiered_obstacle obstacle, u64 page, u32 ahead)
{
	bool overcame = true;
	int idx;

	if (tiered_obstacle_is_others(obstacle)) {
		wait_event_killable(mappings->changed, may_try(mappings, page));
		return true;
	}
	idx = srcu_read_lock(&mappings->running);
	if (tiered_mappings_state_obstacle(mappings) == TIERED_OBSTACLE_NONE)
		overcame = overcome(mappings, obstacle, page, ahead);
	srcu_read_unlock(&mappings->running, idx);
	return overcame;
}

/* Lets go of mmap_lock, which others need meanwhile, and lets the kernel try again. */
static vm_fault_t retry_fault(struct tiered_mappings *mappings, struct vm_fault *vmf, enum tiered_obstacle obstacle,
			      struct tiered_hints *hints, u32 ahead)
{
	struct file *file = vmf->vma->vm_file;
	u64 page = vmf->pgoff;

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	/* The mapping may go while nobody holds it. */
	get_file(file);
	tiered_release_fault_lock(vmf);
	/* An error can only be told while the lock is held: when the kernel comes back. */
	if (!tiered_mappings_overcome(mappings, obstacle, page, ahead))
		WRITE_ONCE(hints->failed, page);
	fput(file);
	return VM_FAULT_RETRY;
}

static enum tiered_obstacle try_once(struct tiered_mappings *mappings, struct vm_fault *vmf, bool store)
{
	int idx = srcu_read_lock(&mappings->running);
	enum tiered_obstacle obstacle = tiered_mappings_state_obstacle(mappings);

	if (obstacle == TIERED_OBSTACLE_NONE)
		obstacle = try_fault(mappings, vmf, store);
	srcu_read_unlock(&mappings->running, idx);
	return obstacle;
}

u32 tiered_mappings_read_ahead(struct tiered_hints *hints, u64 page)
{
	bool sequential = page - READ_ONCE(hints->next) < SEQUENTIAL_PAGES;

	WRITE_ONCE(hints->next, page + 1);
	return sequential ? TIERED_FILL_PAGES - 1 : 0;
}

static bool failed_before(const struct vm_fault *vmf, struct tiered_hints *hints)
{
	if (!(vmf->flags & FAULT_FLAG_TRIED) || READ_ONCE(hints->failed) != vmf->pgoff)
		return false;
	WRITE_ONCE(hints->failed, ~0ull);
	return true;
}

vm_fault_t tiered_mappings_fault(struct tiered_mappings *mappings, struct vm_fault *vmf, struct tiered_hints *hints)
{
	bool store = vmf->flags & FAULT_FLAG_WRITE;
	u32 ahead = tiered_mappings_read_ahead(hints, vmf->pgoff);
	enum tiered_obstacle obstacle;
	u64 first, end;

	/* Outside `running`: a suspend, which may be in the way of freeing memory, waits for those inside. */
	range_of(vmf, store, &first, &end);
	if (!alloc_tables(vmf, first, end))
		return VM_FAULT_OOM;
	for (;;) {
		obstacle = try_once(mappings, vmf, store);
		if (obstacle == TIERED_OBSTACLE_NONE)
			return VM_FAULT_NOPAGE;
		if (obstacle == TIERED_OBSTACLE_NO_MEMORY)
			return VM_FAULT_OOM;
		if (obstacle == TIERED_OBSTACLE_ERROR || failed_before(vmf, hints))
			return VM_FAULT_SIGBUS;
		if (vmf->flags & FAULT_FLAG_ALLOW_RETRY)
			return retry_fault(mappings, vmf, obstacle, hints, ahead);
		if (!tiered_mappings_overcome(mappings, obstacle, vmf->pgoff, ahead) || fatal_signal_pending(current))
			return VM_FAULT_SIGBUS;
	}
}

vm_fault_t tiered_mappings_upgrade(struct tiered_mappings *mappings, struct vm_fault *vmf)
{
	/* The kernel does not let us wait here. Without the entry the store is a fault like any other. */
	if (try_once(mappings, vmf, true) != TIERED_OBSTACLE_NONE)
		tiered_zap_entry(vmf->vma, vmf->address & PAGE_MASK);
	return VM_FAULT_NOPAGE;
}

int tiered_mappings_error(const struct tiered_mappings *mappings)
{
	switch (READ_ONCE(mappings->state)) {
	case TIERED_MAPPINGS_WITHHELD:
		return -EROFS;
	case TIERED_MAPPINGS_ENDED:
		return -ENODEV;
	default:
		return -EIO;
	}
}

/*----------------------------------------------------------------*/
/* All at once */

static void sync_page(struct tiered_volume *volume, u64 page)
{
	if (!(tiered_mappings_marks(volume, page) & TIERED_FRAME_STORED))
		return;
	tiered_gate_shut(volume, page);
	tiered_gate_open(volume, page);
}

/* A page that is not needed is unmapped, or the hand would take it for used, and unused when the hand comes by. */
static void cool_page(struct tiered_volume *volume, u64 page)
{
	struct tiered_frames *frames = &volume->frames;
	u32 frame;

	if (tiered_mappings_marks(volume, page) & TIERED_FRAME_MAPPED) {
		tiered_gate_shut(volume, page);
		tiered_gate_open(volume, page);
	}
	rcu_read_lock();
	frame = tiered_frames_lookup(frames, page);
	if (frame != TIERED_NO_FRAME)
		WRITE_ONCE(frames->referenced[frame], 0);
	rcu_read_unlock();
}

/* Resident pages of a range in turn: by page, or by frame where there are fewer of those. Inside the fast tier. */
static int for_resident(struct tiered_volume *volume, u64 first, u64 end,
			void (*each)(struct tiered_volume *volume, u64 page))
{
	struct tiered_frames *frames = &volume->frames;
	bool by_page = end - first <= frames->words.frames;
	u64 count = by_page ? end - first : frames->words.frames, i, page;

	for (i = 0; i < count; i++) {
		page = by_page ? first + i : tiered_frame_page(tiered_frame_word(frames, i));
		if (page >= first && page < end)
			each(volume, page);
		if (!(i % 1024)) {
			cond_resched();
			if (fatal_signal_pending(current))
				return -EINTR;
		}
	}
	return 0;
}

/* Does @each for the resident pages of a range while the volume runs. */
static int for_range(struct tiered_mappings *mappings, u64 first, u64 end,
		     void (*each)(struct tiered_volume *volume, u64 page))
{
	int idx = srcu_read_lock(&mappings->running), r = -EIO, id;
	enum tiered_obstacle obstacle = tiered_mappings_state_obstacle(mappings);

	if (obstacle == TIERED_OBSTACLE_SUSPENDED) {
		r = -EAGAIN;
	} else if (obstacle == TIERED_OBSTACLE_NONE && tiered_fast_enter(&mappings->volume->fast, &id)) {
		r = for_resident(mappings->volume, first, end, each);
		tiered_fast_leave(id);
	}
	srcu_read_unlock(&mappings->running, idx);
	return r;
}

int tiered_mappings_sync(struct tiered_mappings *mappings, u64 first, u64 end)
{
	return for_range(mappings, first, end, sync_page);
}

int tiered_mappings_need_not(struct tiered_mappings *mappings, u64 first, u64 end)
{
	int r = for_range(mappings, first, end, cool_page);

	/* Of a suspended volume nothing is mapped, and it is not worth to wait for the rest. */
	if (r == -EAGAIN)
		return 0;
	return r == -EIO ? tiered_mappings_error(mappings) : r;
}

int tiered_mappings_will_need(struct tiered_mappings *mappings, u64 first, u64 end)
{
	enum tiered_obstacle obstacle = TIERED_OBSTACLE_NONE;
	int idx;

	while (first < end && (obstacle == TIERED_OBSTACLE_NONE || obstacle == TIERED_OBSTACLE_BUSY) &&
	       !fatal_signal_pending(current)) {
		idx = srcu_read_lock(&mappings->running);
		obstacle = tiered_mappings_state_obstacle(mappings);
		if (obstacle == TIERED_OBSTACLE_NONE && first >= tiered_pages(mappings->volume))
			obstacle = TIERED_OBSTACLE_ERROR;
		if (obstacle == TIERED_OBSTACLE_NONE)
			obstacle = tiered_touch_fill(mappings->volume, first, min_t(u64, end - first, TIERED_FILL_PAGES));
		srcu_read_unlock(&mappings->running, idx);
		/* Once more over those that this brought, and each of them is a step. */
		first++;
		cond_resched();
	}
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static void unmark_all(struct tiered_volume *volume)
{
	struct tiered_frames *frames = &volume->frames;
	u32 frame;

	for (frame = 0; frame < frames->words.frames; frame++) {
		u64 word = tiered_frame_word(frames, frame);

		if (word & TIERED_FRAME_MAPPED)
			unmark(volume, tiered_frame_page(word));
		if (!(frame % 4096))
			cond_resched();
	}
}

void tiered_mappings_start(struct tiered_mappings *mappings, bool served)
{
	WRITE_ONCE(mappings->pages, tiered_pages(mappings->volume));
	smp_store_release(&mappings->state, served ? TIERED_MAPPINGS_SERVED : TIERED_MAPPINGS_WITHHELD);
	wake_up_all(&mappings->changed);
}

void tiered_mappings_stop(struct tiered_mappings *mappings, enum tiered_mappings_state state)
{
	struct tiered_volume *volume = mappings->volume;
	int id;

	smp_store_release(&mappings->state, state);
	wake_up_all(&mappings->changed);
	/* Those that wait for a frame inside `running`. */
	if (volume->loaded)
		wake_up_all(&volume->frames.freed);
	synchronize_srcu(&mappings->running);
	if (!mappings->used)
		return;
	unmap_mapping_range(mappings->inode->i_mapping, 0, 0, 1);
	mappings->unflushed = !tiered_fast_enter(&volume->fast, &id);
	if (!mappings->unflushed) {
		unmark_all(volume);
		tiered_fast_leave(id);
	}
	/* Nothing is marked any more for which somebody would queue them. */
	flush_work(&mappings->judge);
	flush_work(&mappings->forget);
	mappings->used = false;
}

int tiered_mappings_init(struct tiered_mappings *mappings, struct tiered_volume *volume, struct inode *inode)
{
	u32 i;

	mappings->volume = volume;
	mappings->pages = tiered_pages(volume);
	mappings->inode = inode;
	mappings->state = TIERED_MAPPINGS_SUSPENDED;
	init_waitqueue_head(&mappings->changed);
	INIT_WORK(&mappings->judge, judge_work);
	INIT_WORK(&mappings->forget, forget_work);
	for (i = 0; i < ARRAY_SIZE(mappings->gate); i++)
		init_rwsem(&mappings->gate[i].lock);
	return init_srcu_struct(&mappings->running);
}

void tiered_mappings_exit(struct tiered_mappings *mappings)
{
	cleanup_srcu_struct(&mappings->running);
}
