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
#include "io.h"
#include "volume.h"

/* A write of the page's home is on its way, or one ended while we read it: look again after so long. */
#define BUSY_PAUSE max(HZ / 1000, 1)
/* After so many attempts at a page no new writes of its stripe's homes may begin, until we had our turn ... */
#define PATIENCE 3
/* ... or so many attempts: others wait behind such writes. */
#define ATTEMPTS 8
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
 * Takes the marks of @page's frame away, whose mappings are gone. The lines first: whoever finds a page without the mark
 * takes what was stored to it for durable. The frame does not change meanwhile, for it is marked.
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
/* Filling */

/* What stands between a fault and its page. */
enum obstacle {
	OBSTACLE_NONE,
	OBSTACLE_MISSING,   /* not resident */
	OBSTACLE_BUSY,	    /* its home is being written */
	OBSTACLE_NO_FRAME,
	OBSTACLE_EXCLUDED,  /* its range is being zeroed */
	OBSTACLE_JUDGED,    /* its frame cannot be read, and a worker has to see to that */
	OBSTACLE_SUSPENDED,
	OBSTACLE_NO_MEMORY, /* for page tables */
	OBSTACLE_ERROR,	    /* nobody will ever get it */
};

/* Notes how many of @pages pages from @first on are missing, and how to tell that something happened to them. */
static enum obstacle look(struct tiered_volume *volume, u64 first, u32 *pages, struct tiered_fill_seen *seen)
{
	struct tiered_frames *frames = &volume->frames;
	bool resident, busy;
	u32 i;

	for (i = 0; i < *pages; i++) {
		struct tiered_stripe *stripe = tiered_stripe_of(frames, first + i);

		spin_lock(&stripe->lock);
		resident = tiered_frames_lookup(frames, first + i) != TIERED_NO_FRAME;
		busy = atomic_read(&stripe->home_writes);
		seen->events[i] = atomic_read(&stripe->events);
		spin_unlock(&stripe->lock);
		if (resident || busy)
			break;
	}
	if (!i)
		return resident ? OBSTACLE_NONE : OBSTACLE_BUSY;
	*pages = i;
	return OBSTACLE_MISSING;
}

/*
 * Makes @page resident with what was read of its home. Where the home is not flushed the page becomes dirty, which says
 * nothing about the home.
 */
static enum obstacle keep(struct tiered_volume *volume, u64 page, u32 seen_events, struct page *from)
{
	const struct tiered_choice unasked = { .first = page };
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	enum obstacle obstacle = OBSTACLE_NONE;
	u32 frame;

	spin_lock(&stripe->lock);
	if (tiered_frames_lookup(frames, page) != TIERED_NO_FRAME)
		goto out;
	obstacle = OBSTACLE_BUSY;
	if (!tiered_fill_holds(volume, stripe, page, seen_events))
		goto out;
	obstacle = OBSTACLE_NO_FRAME;
	frame = tiered_frames_alloc(frames, false);
	if (frame == TIERED_NO_FRAME)
		goto out;
	memcpy_flushcache(tiered_frame_data(frames, frame), page_address(from), TIERED_FRAME_BYTES);
	if (volume->thrift.policy)
		tiered_thrift_place(volume, &unasked, frame, page);
	tiered_frames_insert(frames, stripe, page, frame,
			     tiered_homes_settled(&volume->homes, page) ? TIERED_CLAIM_CLEAN : TIERED_CLAIM_DIRTY);
	/* Not to be evicted again before the fault that brought it comes back for it. */
	tiered_frame_touch(frames, frame);
	tiered_count(&volume->stats, TIERED_MEMORY_FILLS, 1);
	tiered_count(&volume->stats, TIERED_FILL_BYTES, TIERED_FRAME_BYTES);
	tiered_why(volume, page, TIERED_REASON_filled_touch);
	obstacle = OBSTACLE_NONE;
out:
	spin_unlock(&stripe->lock);
	return obstacle;
}

/* Pages on their way from their homes. */
struct reading {
	u32 pages;
	struct tiered_fill_seen seen;
	struct page *page[TIERED_FILL_PAGES];
	struct bio_vec vecs[TIERED_FILL_PAGES];
};

static void free_pages_of(struct reading *reading)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(reading->page) && reading->page[i]; i++)
		__free_page(reading->page[i]);
}

/* Returns false when not even one was to be had. A suspend waits for us, so we do not wait for memory. */
static bool alloc_pages_of(struct reading *reading)
{
	u32 i;

	for (i = 0; i < reading->pages; i++) {
		reading->page[i] = alloc_page(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
		if (!reading->page[i])
			break;
	}
	reading->pages = i;
	return i;
}

static int read_homes(struct tiered_volume *volume, struct reading *reading, u64 first, u32 pages)
{
	struct bio bio;
	u32 i;
	int r;

	bio_init(&bio, volume->homes.bdev, reading->vecs, pages, REQ_OP_READ | REQ_SYNC);
	bio.bi_iter.bi_sector = tiered_home_sector(first);
	for (i = 0; i < pages; i++)
		__bio_add_page(&bio, reading->page[i], PAGE_SIZE, 0);
	r = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return r;
}

/* Reads the homes of the pages that are missing, and keeps them. The first one matters. */
static enum obstacle read_and_keep(struct tiered_volume *volume, struct reading *reading, u64 first)
{
	enum obstacle obstacle;
	u32 i;
	int id;

	if (!alloc_pages_of(reading))
		return OBSTACLE_BUSY;
	/* What is read ahead is not to fail what was asked for. */
	if (read_homes(volume, reading, first, reading->pages)) {
		reading->pages = 1;
		if (read_homes(volume, reading, first, 1))
			return OBSTACLE_ERROR;
	}
	tiered_count(&volume->stats, TIERED_READ_MISSES, 1);
	if (!tiered_fast_enter(&volume->fast, &id))
		return OBSTACLE_ERROR;
	obstacle = keep(volume, first, reading->seen.events[0], reading->page[0]);
	for (i = 1; i < reading->pages && obstacle == OBSTACLE_NONE; i++) {
		tiered_fill_own_event(&volume->frames, first, reading->pages, i - 1, &reading->seen);
		if (keep(volume, first + i, reading->seen.events[i], reading->page[i]) != OBSTACLE_NONE)
			break;
	}
	tiered_fast_leave(id);
	tiered_reclaim_poke(volume);
	/* Some may have come in dirty. */
	tiered_writeback_poke(volume);
	return obstacle;
}

static enum obstacle fill(struct tiered_volume *volume, u64 first, u32 pages)
{
	struct reading reading = { .pages = min_t(u64, pages, tiered_pages(volume) - first) };
	enum obstacle obstacle;

	/* Before the disk is read for it. */
	if (tiered_frames_pool_free(&volume->frames) <= volume->frames.reserve)
		return OBSTACLE_NO_FRAME;
	if (tiered_zero_excludes(volume, first))
		return OBSTACLE_EXCLUDED;
	obstacle = look(volume, first, &reading.pages, &reading.seen);
	if (obstacle == OBSTACLE_MISSING)
		obstacle = read_and_keep(volume, &reading, first);
	free_pages_of(&reading);
	return obstacle;
}

static void hold_back_home_writes(struct tiered_volume *volume, u64 page, bool hold)
{
	struct tiered_stripe *stripe = tiered_stripe_of(&volume->frames, page);

	spin_lock(&stripe->lock);
	WRITE_ONCE(stripe->home_wanted, hold);
	spin_unlock(&stripe->lock);
	if (!hold)
		wake_up_all(&volume->frames.freed);
}

static bool goes_on(const struct tiered_mappings *mappings)
{
	return READ_ONCE(mappings->state) == TIERED_MAPPINGS_SERVED && !fatal_signal_pending(current);
}

/* Makes @page resident, against bypassing writes that are under way. They have won when it says BUSY: it may be called again. */
static enum obstacle bring(struct tiered_mappings *mappings, u64 page, u32 pages)
{
	struct tiered_volume *volume = mappings->volume;
	enum obstacle obstacle;
	u32 attempts = 0;

	while ((obstacle = fill(volume, page, pages)) == OBSTACLE_BUSY && ++attempts < ATTEMPTS && goes_on(mappings)) {
		if (attempts == PATIENCE)
			hold_back_home_writes(volume, page, true);
		schedule_timeout_killable(BUSY_PAUSE);
	}
	if (attempts >= PATIENCE)
		hold_back_home_writes(volume, page, false);
	return obstacle;
}

/* Waits for a frame. Returns false when that is in vain: an attempt to clean frames that began since cleaned none. */
static bool wait_for_frame(struct tiered_mappings *mappings)
{
	struct tiered_volume *volume = mappings->volume;
	struct tiered_writeback *writeback = &volume->writeback;
	struct tiered_frames *frames = &volume->frames;
	u64 began = READ_ONCE(writeback->attempts);

	tiered_reclaim_poke(volume);
	wait_event_killable(frames->freed, tiered_frames_pool_free(frames) > frames->reserve ||
			    READ_ONCE(mappings->state) != TIERED_MAPPINGS_SERVED ||
			    tiered_fast_gone(&volume->fast) || READ_ONCE(writeback->vain_attempt) > began);
	return READ_ONCE(writeback->vain_attempt) <= began || tiered_frames_pool_free(frames) > frames->reserve;
}

/*----------------------------------------------------------------*/
/* Faults */

/* Marks the frame of @page as mapped, and where it is stored to makes it dirty before. Its gate is held. */
static enum obstacle mark(struct tiered_volume *volume, u64 page, bool store, u32 *frame)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_stripe *stripe = tiered_stripe_of(frames, page);
	enum obstacle obstacle = OBSTACLE_NONE;
	u64 word;

	spin_lock(&stripe->lock);
	*frame = tiered_frames_lookup(frames, page);
	if (page >= tiered_pages(volume)) {
		obstacle = OBSTACLE_ERROR;
	} else if (tiered_zero_excludes(volume, page)) {
		obstacle = OBSTACLE_EXCLUDED;
	} else if (*frame == TIERED_NO_FRAME) {
		obstacle = OBSTACLE_MISSING;
	} else if (tiered_frame_state(tiered_frame_word(frames, *frame)) == TIERED_CLAIM_LOST) {
		obstacle = OBSTACLE_ERROR;
	} else if (tiered_frame_is_bad(frames, *frame)) {
		obstacle = OBSTACLE_JUDGED;
	}
	if (obstacle != OBSTACLE_NONE)
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
	enum obstacle obstacle; /* of the page that was touched */
};

/* Fills one place of the page table, under its lock, if there is nothing. Not with neighbours that are in the way. */
static int enter_entry(pte_t *pte, unsigned long address, void *data)
{
	struct entering *entering = data;
	struct vm_area_struct *vma = entering->vmf->vma;
	struct tiered_frames *frames = &entering->volume->frames;
	bool touched = address == (entering->vmf->address & PAGE_MASK), store = touched && entering->store;
	enum obstacle obstacle;
	unsigned long pfn;
	u32 frame;

	if (!pte_none(ptep_get(pte)))
		return 0;
	obstacle = mark(entering->volume, vma->vm_pgoff + ((address - vma->vm_start) >> PAGE_SHIFT), store, &frame);
	if (touched)
		entering->obstacle = obstacle;
	if (obstacle != OBSTACLE_NONE)
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
static enum obstacle enter(struct tiered_volume *volume, struct vm_fault *vmf, bool store, u64 first, u64 end)
{
	struct entering entering = { .volume = volume, .vmf = vmf, .store = store };
	struct vm_area_struct *vma = vmf->vma;

	/* An entry that only allows loads would be left as it is. */
	if (vmf->flags & FAULT_FLAG_MKWRITE)
		tiered_zap_entry(vma, vmf->address & PAGE_MASK);
	if (apply_to_page_range(vma->vm_mm, vma->vm_start + ((first - vma->vm_pgoff) << PAGE_SHIFT),
				(end - first) << PAGE_SHIFT, enter_entry, &entering))
		return OBSTACLE_NO_MEMORY;
	return entering.obstacle;
}

static enum obstacle try_fault(struct tiered_mappings *mappings, struct vm_fault *vmf, bool store)
{
	struct rw_semaphore *gate = gate_of(mappings, vmf->pgoff);
	struct tiered_volume *volume = mappings->volume;
	enum obstacle obstacle;
	u64 first, end;
	int id;

	if (vmf->pgoff >= tiered_pages(volume) || !tiered_fast_enter(&volume->fast, &id))
		return OBSTACLE_ERROR;
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
	if (obstacle == OBSTACLE_JUDGED && tiered_bad_page(volume, vmf->pgoff) != TIERED_BAD_MAPPED)
		obstacle = OBSTACLE_BUSY;
	tiered_fast_leave(id);
	return obstacle;
}

/* What there is to do for a page, with all the time that it takes. Inside `running`. Returns false when nobody gets it. */
static bool overcome(struct tiered_mappings *mappings, enum obstacle obstacle, u64 page, u32 ahead)
{
	switch (obstacle) {
	case OBSTACLE_MISSING:
		while ((obstacle = bring(mappings, page, 1 + ahead)) == OBSTACLE_NO_FRAME && goes_on(mappings))
			if (!wait_for_frame(mappings))
				return false;
		return obstacle != OBSTACLE_ERROR;
	case OBSTACLE_JUDGED:
		flush_work(&mappings->judge);
		return true;
	default:
		return true;
	}
}

/* Inside `running`. */
static enum obstacle state_obstacle(struct tiered_mappings *mappings)
{
	switch (smp_load_acquire(&mappings->state)) {
	case TIERED_MAPPINGS_SERVED:
		return OBSTACLE_NONE;
	case TIERED_MAPPINGS_SUSPENDED:
		return OBSTACLE_SUSPENDED;
	default:
		return OBSTACLE_ERROR;
	}
}

/* Whether a fault that had to wait, for the volume to run or for a range, may try again. */
static bool may_try(struct tiered_mappings *mappings, u64 page)
{
	int idx = srcu_read_lock(&mappings->running);
	enum obstacle obstacle = state_obstacle(mappings);
	bool may = obstacle == OBSTACLE_ERROR ||
		   (obstacle == OBSTACLE_NONE && !tiered_zero_excludes(mappings->volume, page));

	srcu_read_unlock(&mappings->running, idx);
	return may;
}

static bool waits_for_others(enum obstacle obstacle)
{
	return obstacle == OBSTACLE_EXCLUDED || obstacle == OBSTACLE_SUSPENDED;
}

/* Waits for whatever it takes until the fault may be tried again. Outside `running`. Returns false when it need not be. */
static bool wait_and_overcome(struct tiered_mappings *mappings, enum obstacle obstacle, u64 page, u32 ahead)
{
	bool overcame = true;
	int idx;

	if (waits_for_others(obstacle)) {
		wait_event_killable(mappings->changed, may_try(mappings, page));
		return true;
	}
	idx = srcu_read_lock(&mappings->running);
	if (state_obstacle(mappings) == OBSTACLE_NONE)
		overcame = overcome(mappings, obstacle, page, ahead);
	srcu_read_unlock(&mappings->running, idx);
	return overcame;
}

/* Lets go of mmap_lock, which others need meanwhile, and lets the kernel try again. */
static vm_fault_t retry_fault(struct tiered_mappings *mappings, struct vm_fault *vmf, enum obstacle obstacle,
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
	if (!wait_and_overcome(mappings, obstacle, page, ahead))
		WRITE_ONCE(hints->failed, page);
	fput(file);
	return VM_FAULT_RETRY;
}

static enum obstacle try_once(struct tiered_mappings *mappings, struct vm_fault *vmf, bool store)
{
	int idx = srcu_read_lock(&mappings->running);
	enum obstacle obstacle = state_obstacle(mappings);

	if (obstacle == OBSTACLE_NONE)
		obstacle = try_fault(mappings, vmf, store);
	srcu_read_unlock(&mappings->running, idx);
	return obstacle;
}

/* How many pages behind the one that was touched are worth being read with it. */
static u32 read_ahead(struct tiered_hints *hints, u64 page)
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
	u32 ahead = read_ahead(hints, vmf->pgoff);
	enum obstacle obstacle;
	u64 first, end;

	/* Outside `running`: a suspend, which may be in the way of freeing memory, waits for those inside. */
	range_of(vmf, store, &first, &end);
	if (!alloc_tables(vmf, first, end))
		return VM_FAULT_OOM;
	for (;;) {
		obstacle = try_once(mappings, vmf, store);
		if (obstacle == OBSTACLE_NONE)
			return VM_FAULT_NOPAGE;
		if (obstacle == OBSTACLE_NO_MEMORY)
			return VM_FAULT_OOM;
		if (obstacle == OBSTACLE_ERROR || failed_before(vmf, hints))
			return VM_FAULT_SIGBUS;
		if (vmf->flags & FAULT_FLAG_ALLOW_RETRY)
			return retry_fault(mappings, vmf, obstacle, hints, ahead);
		if (!wait_and_overcome(mappings, obstacle, vmf->pgoff, ahead) || fatal_signal_pending(current))
			return VM_FAULT_SIGBUS;
	}
}

vm_fault_t tiered_mappings_upgrade(struct tiered_mappings *mappings, struct vm_fault *vmf)
{
	/* The kernel does not let us wait here. Without the entry the store is a fault like any other. */
	if (try_once(mappings, vmf, true) != OBSTACLE_NONE)
		tiered_zap_entry(vmf->vma, vmf->address & PAGE_MASK);
	return VM_FAULT_NOPAGE;
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

/* A page that is not needed is unmapped, or the hand would take it for used, and met as unused when the hand comes by. */
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
	enum obstacle obstacle = state_obstacle(mappings);

	if (obstacle == OBSTACLE_SUSPENDED) {
		r = -EAGAIN;
	} else if (obstacle == OBSTACLE_NONE && tiered_fast_enter(&mappings->volume->fast, &id)) {
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
	return for_range(mappings, first, end, cool_page) == -EINTR ? -EINTR : 0;
}

int tiered_mappings_will_need(struct tiered_mappings *mappings, u64 first, u64 end)
{
	enum obstacle obstacle = OBSTACLE_NONE;
	int idx;

	while (first < end && (obstacle == OBSTACLE_NONE || obstacle == OBSTACLE_BUSY) && !fatal_signal_pending(current)) {
		idx = srcu_read_lock(&mappings->running);
		obstacle = state_obstacle(mappings);
		if (obstacle == OBSTACLE_NONE && first >= tiered_pages(mappings->volume))
			obstacle = OBSTACLE_ERROR;
		if (obstacle == OBSTACLE_NONE)
			obstacle = fill(mappings->volume, first, min_t(u64, end - first, TIERED_FILL_PAGES));
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
