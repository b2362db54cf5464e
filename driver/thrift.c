// SPDX-License-Identifier: GPL-2.0-only
/* Thrift: requests as the policy sees them, its victims, its worker. */
#include "thrift.h"

#include <linux/percpu.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include "io.h"
#include "trace.h"
#include "volume.h"

/* A request of so many pages is part of a stream, whatever it continues. */
#define LARGE_PAGES 16
/* Between two rebuilds of the forecasts at least. */
#define REBUILD_JIFFIES max(HZ / 10, 1)
/* Victims in a row that could not go, before reclaim looks for itself. */
#define VAIN_VICTIMS 32

/* What one CPU remembers. */
struct tiered_thrift_cpu {
	struct tiered_policy_cpu policy;
	sector_t next_sector; /* behind the last request */
	/* A request that was cut goes on here. */
	sector_t rest_sector;
	sector_t rest_end_sector;
	u32 rest_flags;
	enum tiered_take rest_take;
	u32 flush_epoch; /* when the last write was looked at */
};

/*----------------------------------------------------------------*/
/* Requests */

/* Notes that the first @bytes of @bio are served, and that its rest, if any, comes next. */
static void move_on(struct tiered_thrift_cpu *cpu, const struct bio *bio, u32 bytes)
{
	cpu->next_sector = bio->bi_iter.bi_sector + (bytes >> TIERED_SECTOR_SHIFT);
	cpu->rest_sector = cpu->next_sector;
	cpu->rest_end_sector = bytes < bio->bi_iter.bi_size ? bio_end_sector(bio) : 0;
}

/* Nothing came between; and a read that missed has been cut already. */
static bool is_rest(const struct tiered_thrift_cpu *cpu, const struct bio *bio)
{
	return bio->bi_iter.bi_sector == cpu->rest_sector && cpu->rest_sector == cpu->next_sector &&
	       bio_end_sector(bio) <= cpu->rest_end_sector;
}

/* The first @bytes of @bio, which touch @pages pages, as the policy sees them. @continues: the disk would read on. */
static void describe(const struct tiered_policy *policy, const struct bio *bio, u32 bytes, u32 pages, bool continues,
		     struct tiered_policy_io *io)
{
	const struct tiered_policy_costs *costs = &policy->costs;
	sector_t sector = bio->bi_iter.bi_sector;

	io->page = sector / TIERED_SECTORS_PER_PAGE;
	io->pages = pages;
	io->flags = op_is_write(bio_op(bio)) ? TIERED_POLICY_IO_WRITE : 0;
	if (continues || pages >= LARGE_PAGES)
		io->flags |= TIERED_POLICY_IO_STREAM;
	if (!(sector % TIERED_SECTORS_PER_PAGE || bytes % TIERED_FRAME_BYTES))
		io->flags |= TIERED_POLICY_IO_WHOLE;
	io->home_ns = min_t(u64, ((u64)bytes * costs->page_ns >> TIERED_FRAME_SHIFT) + (continues ? 0 : costs->seek_ns),
			    S32_MAX);
	io->fast_ns = ((u64)bytes * costs->fast_page_ns >> TIERED_FRAME_SHIFT) + costs->fast_ns;
}

/* Pages that the first @bytes of @bio touch. */
static u32 pages_in(const struct bio *bio, u32 bytes)
{
	u32 within = bio->bi_iter.bi_sector % TIERED_SECTORS_PER_PAGE * TIERED_SECTOR_BYTES;

	return DIV_ROUND_UP(within + bytes, TIERED_FRAME_BYTES);
}

static void poke(struct tiered_volume *volume)
{
	if (READ_ONCE(volume->started) && !delayed_work_pending(&volume->thrift.work))
		queue_delayed_work(volume->workers, &volume->thrift.work, 1);
}

/* Wakes the worker when the ring is half full. */
static void poke_when_full(struct tiered_volume *volume, const struct tiered_policy_cpu *cpu)
{
	if (unlikely(cpu->head - READ_ONCE(cpu->tail) >= TIERED_POLICY_EVENTS / 2))
		poke(volume);
}

/* Whether @bio is for one whole page, as most are: that goes a shorter way. */
static bool is_page(const struct bio *bio)
{
	return bio->bi_iter.bi_size == TIERED_FRAME_BYTES && !(bio->bi_iter.bi_sector % TIERED_SECTORS_PER_PAGE);
}

/* @bio is for one whole page and hits. */
static __always_inline void page_hit(struct tiered_volume *volume, const struct bio *bio, u32 flags)
{
	struct tiered_thrift_cpu *cpu = get_cpu_ptr(volume->thrift.cpu);
	sector_t sector = bio->bi_iter.bi_sector;

	if (flags & TIERED_POLICY_IO_WRITE)
		tiered_policy_wrote(&cpu->policy, TIERED_FRAME_BYTES);
	if (unlikely(tiered_policy_page_hit(volume->thrift.policy, &cpu->policy, sector / TIERED_SECTORS_PER_PAGE, flags,
					    sector == cpu->next_sector)))
		poke(volume);
	cpu->next_sector = sector + TIERED_SECTORS_PER_PAGE;
	put_cpu_ptr(volume->thrift.cpu);
}

/* The first @bytes of @bio, in @pages pages, hit. */
static noinline void any_hit(struct tiered_volume *volume, const struct bio *bio, u32 bytes, u32 pages, u32 flags)
{
	struct tiered_policy *policy = volume->thrift.policy;
	struct tiered_thrift_cpu *cpu = get_cpu_ptr(volume->thrift.cpu);
	struct tiered_policy_io io;

	describe(policy, bio, bytes, pages, bio->bi_iter.bi_sector == cpu->next_sector, &io);
	move_on(cpu, bio, bytes);
	tiered_policy_request(policy, &cpu->policy, &io);
	tiered_policy_hit(policy, &cpu->policy, io.page, pages, flags & TIERED_POLICY_IO_REWRITES, &io);
	tiered_policy_served(&cpu->policy, &io, io.fast_ns);
	if (flags & TIERED_POLICY_IO_WRITE)
		tiered_policy_wrote(&cpu->policy, bytes);
	poke_when_full(volume, &cpu->policy);
	put_cpu_ptr(volume->thrift.cpu);
}

void tiered_thrift_read_hit(struct tiered_volume *volume, const struct bio *bio, u32 bytes, u32 pages)
{
	if (likely(is_page(bio)))
		page_hit(volume, bio, 0);
	else
		any_hit(volume, bio, bytes, pages, 0);
}

void tiered_thrift_rewrote(struct tiered_volume *volume, const struct bio *bio, u32 bytes)
{
	const u32 flags = TIERED_POLICY_IO_WRITE | TIERED_POLICY_IO_REWRITES;

	if (likely(is_page(bio)))
		page_hit(volume, bio, flags);
	else
		any_hit(volume, bio, bytes, pages_in(bio, bytes), flags);
}

/* Tells of pages that are not resident, region by region. */
static void note_missed(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 first, u32 pages,
			const struct tiered_policy_io *io)
{
	u32 step;

	for (; pages; first += step, pages -= step) {
		step = min_t(u32, pages, TIERED_REGION_PAGES - first % TIERED_REGION_PAGES);
		tiered_policy_missed(policy, cpu, first, step, io);
	}
}

static bool is_full(const struct tiered_volume *volume)
{
	return tiered_frames_pool_free(&volume->frames) < volume->frames.high_free;
}

static void keep_offer(struct tiered_choice *choice, u32 at, const struct tiered_policy_offer *offer)
{
	choice->page[at].row = offer->row;
	choice->page[at].heat = offer->heat;
	choice->known = at + 1;
}

/* Bytes of page @at of the @pages of the request that it does not cover. */
static u32 rest_of_page(const struct bio *bio, u32 at, u32 pages)
{
	u32 within = bio->bi_iter.bi_sector % TIERED_SECTORS_PER_PAGE * TIERED_SECTOR_BYTES;
	u32 rest = at ? 0 : within;

	if (at + 1 == pages)
		rest += pages * TIERED_FRAME_BYTES - within - bio->bi_iter.bi_size;
	return rest;
}

/* Chooses what is to be filled of the pages that a read missed, and pays for it. */
static void choose_fills(struct tiered_volume *volume, struct tiered_policy_cpu *cpu, const struct bio *bio, u32 pages,
			 const struct tiered_policy_io *io, struct tiered_choice *choice)
{
	struct tiered_policy *policy = volume->thrift.policy;
	u32 access_ns = policy->costs.fast_ns, paid_ns = 0, filled = 0, i;
	bool full = is_full(volume);

	for (i = 0; i < pages; i++) {
		u32 cost_ns = access_ns + policy->costs.fast_page_ns +
			      ((u64)rest_of_page(bio, i, pages) * policy->costs.page_ns >> TIERED_FRAME_SHIFT);
		struct tiered_policy_offer offer;

		tiered_policy_consider(policy, cpu, io->page + i, io, &offer);
		keep_offer(choice, i, &offer);
		if ((full && !tiered_policy_wants(policy, &offer, cost_ns)) || !tiered_policy_afford(policy, cost_ns))
			continue;
		choice->wanted |= 1ull << i;
		access_ns = 0;
		paid_ns += cost_ns;
		filled++;
	}
	choice->paid_ns = filled ? paid_ns / filled : 0;
}

void tiered_thrift_read_miss(struct tiered_volume *volume, const struct bio *bio, u32 pages, bool fillable,
			     struct tiered_choice *choice)
{
	struct tiered_streams *reads = &get_cpu_ptr(volume->streams)->reads;
	struct tiered_policy *policy = volume->thrift.policy;
	struct tiered_thrift_cpu *cpu = this_cpu_ptr(volume->thrift.cpu);
	sector_t sector = bio->bi_iter.bi_sector;
	u32 bytes = bio->bi_iter.bi_size, extra_ns = 0;
	struct tiered_policy_io io;
	bool continues;

	continues = tiered_stream_continues(reads, sector, bytes) || sector == cpu->next_sector;
	describe(policy, bio, bytes, pages, continues, &io);
	/* What came before was in frames: it would have saved this one the seek, had it been read from the disk. */
	if (is_rest(cpu, bio) && continues)
		extra_ns = policy->costs.seek_ns;
	move_on(cpu, bio, bytes);
	tiered_policy_request(policy, &cpu->policy, &io);
	note_missed(policy, &cpu->policy, io.page, pages, &io);
	tiered_policy_served(&cpu->policy, &io, io.home_ns + extra_ns);
	*choice = (struct tiered_choice){ .first = io.page, .flags = io.flags };
	if (fillable)
		choose_fills(volume, &cpu->policy, bio, pages, &io, choice);
	put_cpu_ptr(volume->streams);
	poke(volume);
}

void tiered_thrift_give_back(struct tiered_volume *volume, const struct tiered_choice *choice, u32 pages)
{
	tiered_policy_pay(volume->thrift.policy, -(s64)choice->paid_ns * pages);
}

void tiered_thrift_place(struct tiered_volume *volume, const struct tiered_choice *choice, u32 frame, u64 page)
{
	u64 at = page - choice->first;
	struct tiered_policy_offer offer = { .page = page, .heat = TIERED_POLICY_HEAT_ONCE };

	if (at < choice->known) {
		offer.row = choice->page[at].row;
		offer.heat = choice->page[at].heat;
	} else {
		offer.row = tiered_policy_row_once(choice->flags);
	}
	tiered_policy_place(volume->thrift.policy, frame, &offer);
}

/*----------------------------------------------------------------*/
/* Writes */

/* What a write finds of its pages. */
struct found {
	u32 missing; /* pages that are not resident */
	u32 clean;
	bool partial; /* a part of a page that is not resident is written */
	bool after_dirty; /* the first page is dirty */
	u64 debt_ns;
};

enum kind {
	MISSING,
	CLEAN,
	DIRTY,
};

static enum kind kind_of(const struct tiered_frames *frames, u64 page, u32 *frame)
{
	*frame = tiered_frames_lookup(frames, page);
	if (*frame == TIERED_NO_FRAME)
		return MISSING;
	return tiered_frame_state(tiered_frame_word(frames, *frame)) == TIERED_CLAIM_CLEAN ? CLEAN : DIRTY;
}

static void note_run(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 first, u32 pages, enum kind kind,
		     const struct tiered_policy_io *io)
{
	if (kind == MISSING)
		note_missed(policy, cpu, first, pages, io);
	else
		tiered_policy_hit(policy, cpu, first, pages, kind == DIRTY, io);
}

static void find_pages(struct tiered_volume *volume, struct tiered_policy_cpu *cpu, const struct bio *bio,
		       const struct tiered_policy_io *io, struct found *found)
{
	struct tiered_policy *policy = volume->thrift.policy;
	enum kind kind, run_kind = MISSING;
	u32 frame, run = 0, i;

	rcu_read_lock();
	for (i = 0; i < io->pages; i++) {
		kind = kind_of(&volume->frames, io->page + i, &frame);
		if (kind == MISSING) {
			found->missing++;
			found->partial |= rest_of_page(bio, i, io->pages) != 0;
		}
		found->clean += kind == CLEAN;
		found->after_dirty |= !i && kind == DIRTY;
		if (kind != DIRTY)
			found->debt_ns += tiered_policy_debt_ns(policy, kind == MISSING ? TIERED_POLICY_NEW : frame, io->pages);
		if (run && kind != run_kind) {
			note_run(policy, cpu, io->page + i - run, run, run_kind, io);
			run = 0;
		}
		run_kind = kind;
		run++;
	}
	rcu_read_unlock();
	note_run(policy, cpu, io->page + io->pages - run, run, run_kind, io);
}

/* Whether the pages that are not resident are worth frames, where these are scarce. */
static bool finds_frames(struct tiered_volume *volume, struct tiered_policy_cpu *cpu, const struct tiered_policy_io *io,
			 struct tiered_choice *choice)
{
	struct tiered_policy *policy = volume->thrift.policy;
	bool full = is_full(volume), wanted = true;
	struct tiered_policy_offer offer;
	u32 frame, i;

	for (i = 0; i < io->pages && i < TIERED_FILL_PAGES && wanted; i++) {
		rcu_read_lock();
		frame = tiered_frames_lookup(&volume->frames, io->page + i);
		rcu_read_unlock();
		offer.row = tiered_policy_row_once(io->flags);
		offer.heat = TIERED_POLICY_HEAT_ONCE;
		if (frame == TIERED_NO_FRAME) {
			tiered_policy_consider(policy, cpu, io->page + i, io, &offer);
			wanted = !full || tiered_policy_wants(policy, &offer, 0);
		}
		keep_offer(choice, i, &offer);
	}
	return wanted;
}

static enum tiered_take decide(struct tiered_volume *volume, struct tiered_policy_cpu *cpu, const struct bio *bio,
			       const struct tiered_policy_io *io, struct tiered_choice *choice)
{
	struct found found = { 0 };

	find_pages(volume, cpu, bio, io, &found);
	if (!found.missing && !found.clean)
		return TIERED_TAKE_RESIDENT;
	if (found.partial || !tiered_policy_absorbs(volume->thrift.policy, cpu, io, found.missing + found.clean,
						    !found.after_dirty, found.debt_ns))
		return TIERED_TAKE_DIRTY;
	if (found.missing && !finds_frames(volume, cpu, io, choice))
		return TIERED_TAKE_DIRTY;
	return TIERED_TAKE_ALL;
}

/* A FLUSH ends what looks like a stream of writes: somebody waits for every piece. */
static bool write_continues(struct tiered_volume *volume, struct tiered_thrift_cpu *cpu, sector_t sector)
{
	u32 epoch = READ_ONCE(volume->flush_epoch);
	bool flushed = epoch != cpu->flush_epoch;

	cpu->flush_epoch = epoch;
	return sector == cpu->next_sector && !flushed;
}

void tiered_thrift_write(struct tiered_volume *volume, const struct bio *bio, struct tiered_choice *choice)
{
	struct tiered_policy *policy = volume->thrift.policy;
	struct tiered_thrift_cpu *cpu = get_cpu_ptr(volume->thrift.cpu);
	struct tiered_policy_io io;

	choice->first = bio->bi_iter.bi_sector / TIERED_SECTORS_PER_PAGE;
	choice->known = 0;
	if (is_rest(cpu, bio)) {
		choice->take = cpu->rest_take;
		choice->flags = cpu->rest_flags;
	} else {
		describe(policy, bio, bio->bi_iter.bi_size, pages_in(bio, bio->bi_iter.bi_size),
			 write_continues(volume, cpu, bio->bi_iter.bi_sector), &io);
		tiered_policy_request(policy, &cpu->policy, &io);
		tiered_policy_wrote(&cpu->policy, bio->bi_iter.bi_size);
		choice->flags = cpu->rest_flags = io.flags;
		choice->take = decide(volume, &cpu->policy, bio, &io, choice);
	}
	cpu->rest_take = choice->take;
	poke_when_full(volume, &cpu->policy);
	put_cpu_ptr(volume->thrift.cpu);
}

void tiered_thrift_written(struct tiered_volume *volume, const struct bio *bio, u32 bytes, bool home)
{
	struct tiered_policy *policy = volume->thrift.policy;
	struct tiered_thrift_cpu *cpu = get_cpu_ptr(volume->thrift.cpu);
	struct tiered_policy_io io;
	u32 extra_ns = 0;

	describe(policy, bio, bytes, 1, bio->bi_iter.bi_sector == cpu->next_sector, &io);
	if (home && is_rest(cpu, bio))
		extra_ns = policy->costs.seek_ns; /* as for a read */
	move_on(cpu, bio, bytes);
	tiered_policy_served(&cpu->policy, &io, home ? io.home_ns + extra_ns : io.fast_ns);
	put_cpu_ptr(volume->thrift.cpu);
	if (home)
		poke(volume);
}

/*----------------------------------------------------------------*/
/* Eviction and write-back */

static bool may_go(void *context, u32 frame)
{
	const struct tiered_volume *volume = context;

	u64 word = tiered_frame_word(&volume->frames, frame);

	return tiered_frame_state(word) == TIERED_CLAIM_CLEAN && !tiered_pinned(volume, tiered_frame_page(word));
}

u32 tiered_thrift_evict(struct tiered_volume *volume, u32 wanted)
{
	struct tiered_thrift *thrift = &volume->thrift;
	u32 evicted = 0, vain = 0, frame;

	lockdep_assert_held(&thrift->lock);
	while (evicted < wanted && vain < VAIN_VICTIMS) {
		frame = tiered_policy_victim(thrift->policy, may_go, volume);
		if (frame != TIERED_POLICY_NEW && tiered_reclaim_evict(volume, frame)) {
			evicted++;
			vain = 0;
		} else {
			vain++;
		}
		cond_resched();
	}
	return evicted;
}

void tiered_thrift_wrote_home(struct tiered_volume *volume, u32 pages)
{
	mutex_lock(&volume->thrift.lock);
	tiered_policy_wrote_home(volume->thrift.policy, pages);
	mutex_unlock(&volume->thrift.lock);
}

/*----------------------------------------------------------------*/
/* The worker */

static u32 frame_of(void *context, u64 page)
{
	const struct tiered_volume *volume = context;
	u32 frame = TIERED_NO_FRAME;

	rcu_read_lock();
	if (page < tiered_pages(volume))
		frame = tiered_frames_lookup(&volume->frames, page);
	rcu_read_unlock();
	return frame;
}

static void thrift_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(to_delayed_work(work), struct tiered_volume, thrift.work);
	const struct tiered_policy_index index = { .frame_of = frame_of, .context = volume };
	struct tiered_thrift *thrift = &volume->thrift;
	struct tiered_policy_costs costs = tiered_costs_now(&thrift->costs, volume->homes.bdev);

	BUILD_BUG_ON(TIERED_NO_FRAME != TIERED_POLICY_NEW);
	mutex_lock(&thrift->lock);
	tiered_policy_set_costs(thrift->policy, &costs);
	tiered_policy_work(thrift->policy, thrift->cpus, thrift->cpu_count, &index);
	if (tiered_policy_is_due(thrift->policy) && time_after_eq(jiffies, thrift->rebuilt_at + REBUILD_JIFFIES)) {
		tiered_policy_rebuild(thrift->policy);
		thrift->rebuilt_at = jiffies;
	}
	mutex_unlock(&thrift->lock);
}

/*----------------------------------------------------------------*/
/* Life */

void tiered_thrift_init(struct tiered_volume *volume)
{
	mutex_init(&volume->thrift.lock);
	INIT_DELAYED_WORK(&volume->thrift.work, thrift_work);
}

void tiered_thrift_stop(struct tiered_volume *volume)
{
	cancel_delayed_work_sync(&volume->thrift.work);
}

void tiered_thrift_exit(struct tiered_volume *volume)
{
	struct tiered_thrift *thrift = &volume->thrift;

	volume->frames.policy = NULL;
	vfree(thrift->policy);
	kvfree(thrift->cpus);
	free_percpu(thrift->cpu);
	thrift->policy = NULL;
	thrift->cpus = NULL;
	thrift->cpu = NULL;
	thrift->dram_bytes = 0;
}

/* Every resident page was seen once, just now. */
static void seed(struct tiered_volume *volume)
{
	struct tiered_policy_offer offer = { .heat = TIERED_POLICY_HEAT_ONCE, .row = tiered_policy_row_once(0) };
	struct tiered_frames *frames = &volume->frames;
	u32 frame;
	u64 word;

	for (frame = 0; frame < frames->words.frames; frame++) {
		word = tiered_frame_word(frames, frame);
		if (tiered_frame_state(word) == TIERED_CLAIM_CLEAN || tiered_frame_state(word) == TIERED_CLAIM_DIRTY)
			tiered_policy_place(volume->thrift.policy, frame, &offer);
		if (!(frame % 1024))
			cond_resched();
	}
	tiered_policy_inherit(volume->thrift.policy, percpu_counter_sum_positive(&frames->dirty));
}

static int bring(struct tiered_volume *volume)
{
	struct tiered_thrift *thrift = &volume->thrift;
	size_t bytes = sizeof(*thrift->policy) + tiered_policy_bytes(volume->frames.words.frames);
	struct tiered_policy_costs costs = tiered_costs_now(&thrift->costs, volume->homes.bdev);
	int cpu;

	/* Rather none than to wait for memory that only this volume, which is suspended, could set free. */
	thrift->policy = __vmalloc(bytes, GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	thrift->cpu = alloc_percpu(struct tiered_thrift_cpu);
	thrift->cpus = kvcalloc(num_possible_cpus(), sizeof(*thrift->cpus), GFP_KERNEL);
	if (!thrift->policy || !thrift->cpu || !thrift->cpus) {
		tiered_thrift_exit(volume);
		return -ENOMEM;
	}
	thrift->dram_bytes = bytes + num_possible_cpus() * (sizeof(struct tiered_thrift_cpu) + sizeof(*thrift->cpus));
	thrift->cpu_count = 0;
	for_each_possible_cpu(cpu)
		thrift->cpus[thrift->cpu_count++] = &per_cpu_ptr(thrift->cpu, cpu)->policy;
	tiered_policy_init(thrift->policy, thrift->policy + 1, volume->frames.words.frames, &costs);
	seed(volume);
	volume->frames.policy = thrift->policy;
	return 0;
}

int tiered_thrift_activate(struct tiered_volume *volume, bool wanted)
{
	unsigned int noio;
	int r = 0;

	if (wanted == !!volume->thrift.policy)
		return 0;
	if (!wanted) {
		tiered_thrift_exit(volume);
		return 0;
	}
	/* The volume is suspended: memory must not be sought by writing to it. */
	noio = memalloc_noio_save();
	r = bring(volume);
	memalloc_noio_restore(noio);
	return r;
}
