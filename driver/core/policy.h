/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Policy: which pages get a frame, which frames go, how wide a fill is, and whether a write is absorbed.
 *
 * What it does
 *
 * Each resident page, and twice as many that are not (ghosts), carry a *row*: what was known about the page at its last
 * use (how often it is used, decaying; how often its region misses; read or write; part of a stream or not), and when
 * that was. forecast.h learns from their next uses how much time a page of a row still saves. The frame whose page
 * promises least is the next to go (a few random ones are looked at, the least are kept as candidates). The promise of
 * such pages is the *price* of a frame. A page that misses gets one if it promises more than price and fill cost.
 *
 * A read that misses may bring its neighbours along. What those promise is learned in *trials*: a region (64 pages) that
 * misses is watched, and each of its pages that comes into use afterwards counts for the rows of neighbours (how near, how
 * much of the region is known, how hot it is, how long it was idle), whether it was brought along or not. Rows of
 * neighbours that were brought along and disappoint are trusted less.
 *
 * The bound
 *
 * Let A be the time that all requests so far would have taken without a fast tier, T the time that was spent (requests, fills
 * and write-back), and D what the dirty pages cost at most: they go home in runs of neighbours, all of a run at once, so D
 * is a seek for each run and a transfer for each page. The policy keeps
 *
 *     balance = A * TIERED_POLICY_ALLOWANCE / 1024 + A - T - D >= 0
 *
 * at every moment, on any sequence of requests: it starts at 0, and
 *   - a request served from home adds as much to A as to T;
 *   - one that the fast tier serves faster adds more to A than to T. Where it is slower (small pieces of a stream), it has
 *     to be afforded; or else what is dirty of it goes home first and it is served from home;
 *   - a fill, wide or not, adds its cost to T, and is done only if the balance covers that;
 *   - an absorbed write adds to A and T as any hit, and to D at most a seek for each new run and a transfer for each new dirty
 *     page. It is absorbed only if the balance covers that;
 *   - write-back of a run adds to T what it takes from D; evicting a clean page is free;
 *   - a write that goes home although pages of it are resident has to be afforded as well (it updates them, and may split a
 *     run in two), or else they leave before.
 * Since D >= 0, T <= A * (1 + TIERED_POLICY_ALLOWANCE / 1024), with everything written home too. In the same way bytes written
 * home and dirty pages together never exceed what the user wrote. None of this rests on forecasts: they decide only
 * how well the balance is spent. The costs are those that the caller states; where they are measured, the
 * bound is as good as they are.
 *
 * Who may call what
 *
 * request(), hit(), served() and wrote() write nothing but the CPU's own part, with preemption disabled, and take no lock: a
 * request that hits costs them some fifty instructions, whatever its length. What it means for its frames the worker finds out.
 * consider(), wants(), width(), neighbour() and absorbs() run on any CPU too: records of ghosts and regions are hints that may
 * be written by two at once, and every row or context in them is one that somebody stored. place(), moved(), gone(), dirtied() and
 * cleaned() are called by whoever changes what a frame holds, one at a time for each frame. victim(), evicted(), wrote_home(), work() and
 * rebuild() are called one at a time. Numbers that two may change are changed atomically.
 */
#ifndef TIERED_CORE_POLICY_H
#define TIERED_CORE_POLICY_H

#include "forecast.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What may be lost, in 1/1024 of the time without a fast tier: 0.9 %. The rest of a percent is for rounding. */
#define TIERED_POLICY_ALLOWANCE 9
#define TIERED_REGION_PAGES 64
/* Time goes by in steps of so many requests. */
#define TIERED_POLICY_STEP 16

#define TIERED_POLICY_HEATS 12
#define TIERED_POLICY_PAGE_ROWS (TIERED_POLICY_HEATS * 8 * 4)
#define TIERED_POLICY_CONTEXTS 60
#define TIERED_POLICY_BESIDES 6
#define TIERED_POLICY_ROWS (TIERED_POLICY_PAGE_ROWS + TIERED_POLICY_CONTEXTS * TIERED_POLICY_BESIDES)
#define TIERED_POLICY_WIDTHS 3
#define TIERED_POLICY_CANDIDATES 16
#define TIERED_POLICY_EVENTS 256
/* The heat of a page that was used once. */
#define TIERED_POLICY_HEAT_ONCE 256
/* Instead of a frame: none. */
#define TIERED_POLICY_NEW (~0u)

/* What is remembered of a resident page. */
struct tiered_policy_frame {
	u32 used_at; /* ticks; 0: the frame is empty */
	u16 heat;    /* uses, decaying, in 1/256; 0: brought along and not used yet */
	u16 row;     /* of the forecast */
};

/* And of one that is not. Its heat is what its row says, which is within a fifth. */
struct tiered_policy_ghost {
	u32 tag_and_row; /* 22 bits of the page's hash and 10 of its row; 0: empty */
	u32 used_at;
};

/* Of 64 pages around misses. Masks have a bit a page. */
struct tiered_policy_region {
	u32 tag; /* 0: empty */
	u32 missed_at;
	u32 tried_at; /* when the trial began; 0: none */
	u16 heat;     /* misses, decaying, in 1/256 */
	u8 context;   /* of the trial */
	u8 next_context; /* of one that would begin with the last miss */
	u8 base;      /* the page whose miss began it */
	u64 seen;     /* used since */
	u64 missed;   /* pages that missed since */
	u64 known;    /* and those before */
};

/* Of the devices, as they are known at the moment. */
struct tiered_policy_costs {
	u32 seek_ns;	  /* of an operation at home */
	u32 page_ns;	  /* and of each page of it */
	u32 fast_ns;	  /* of a request to the fast tier */
	u32 fast_page_ns; /* and of each page of it */
};

#define TIERED_POLICY_IO_WRITE 1
#define TIERED_POLICY_IO_STREAM 2 /* it continues another, or is large */
#define TIERED_POLICY_IO_WHOLE 4  /* it has no parts of pages */
#define TIERED_POLICY_IO_REWRITES 8 /* it is a write, and its pages are dirty: where hits are noted */

/* A request, as far as the policy is concerned. */
struct tiered_policy_io {
	u64 page;
	u32 pages;
	u32 flags; /* TIERED_POLICY_IO_... */
	u32 home_ns; /* what it takes at home */
	u32 fast_ns; /* and in the fast tier */
	u32 value_ns; /* request() sets it: what it saves for each page to be resident */
};

/* A page that might get a frame. */
struct tiered_policy_offer {
	u64 page;
	u16 row;
	u16 heat;
	u32 profit_ns; /* beyond the price of the frame */
};

/* What happened to pages, on its way to the worker. */
struct tiered_policy_event {
	u64 page;
	u32 used_at;
	u32 value_ns;
	u16 pages;
	u16 row; /* of a ghost that was used again, */
	u8 age;	 /* at that age */
	u8 flags;
};

/*
 * What a CPU writes without asking anybody. A full ring loses what comes: forecasts are statistics, and the busier the CPU,
 * the more there are.
 */
struct tiered_policy_cpu {
	u32 head; /* written by the CPU ... */
	u32 requests;
	s64 earned_ns;
	s64 wrote_bytes;
	struct tiered_policy_event event[TIERED_POLICY_EVENTS];
	u32 tail; /* ... and by the worker */
	s64 collected_ns;
	s64 collected_bytes;
};

/* How the worker finds the frame of a page; TIERED_POLICY_NEW: it has none. */
struct tiered_policy_index {
	u32 (*frame_of)(void *context, u64 page);
	void *context;
};

struct tiered_policy {
	/* Read by everybody, changed rarely. */
	u32 now;
	u32 frames;
	u32 ghosts;  /* multiples of a set */
	u32 regions;
	u32 half_life_bits;
	u32 price; /* in the unit of worth */
	struct tiered_policy_costs costs;
	/* Of a request of one whole page, by whether it continues another: what it saves as a hit, and what it earns. */
	struct {
		u32 value_ns;
		s32 earned_ns;
	} page_hit[2];
	struct tiered_forecast forecast;
	struct tiered_policy_frame *frame;
	struct tiered_policy_ghost *ghost;
	struct tiered_policy_region *region;

	/* Changed by whoever moves pages. */
	s64 bank_ns; /* A * (1 + allowance) - T, as far as CPUs have handed it in */
	s64 dirty_pages;
	s64 dirty_runs;
	s64 spare_bytes; /* that the user wrote and nobody has written or will write home */

	/* The worker's. */
	u64 random;
	u32 swept_at;
	u32 rebuilt_at;
	u32 cheapest; /* worth among the last samples */
	u32 mean_run_16ths;
	s64 predicted_ns[TIERED_POLICY_WIDTHS]; /* of neighbours that anybody brought along ... */
	s64 realised_ns[TIERED_POLICY_WIDTHS];	/* ... and what became of it */
	u32 rewritten[TIERED_POLICY_PAGE_ROWS]; /* dirty pages by row that were written again ... */
	u32 cleaned[TIERED_POLICY_PAGE_ROWS];	/* ... or had to go home, in 1/256 */
	u16 parent_of[TIERED_POLICY_ROWS];
	struct {
		u32 frame;
		u32 worth;
	} candidate[TIERED_POLICY_CANDIDATES];
};

/* The memory that tiered_policy_init() wants: 30 bytes a frame, and 0.6 MB. */
size_t tiered_policy_bytes(u32 frames);

/* @memory is zeroed and aligned for u64. */
void tiered_policy_init(struct tiered_policy *policy, void *memory, u32 frames, const struct tiered_policy_costs *costs);

/* The costs are others now. That changes what the dirty pages are held to cost, but not what can be spent. */
void tiered_policy_set_costs(struct tiered_policy *policy, const struct tiered_policy_costs *costs);
/* So many pages were dirty before the policy came: what they cost is no debt of its. */
void tiered_policy_inherit(struct tiered_policy *policy, u32 dirty_pages);
/* The row of a page that was used once, by a request with these flags, and of which nothing else is known. */
u16 tiered_policy_row_once(u32 flags);

/* Time goes on. */
static inline void tiered_policy_tick(struct tiered_policy *policy, struct tiered_policy_cpu *cpu)
{
	if (++cpu->requests % TIERED_POLICY_STEP == 0)
		__atomic_fetch_add(&policy->now, TIERED_POLICY_STEP, __ATOMIC_RELAXED);
}

/* A place for an event in the CPU's ring, or NULL. */
static inline struct tiered_policy_event *tiered_policy_event_place(struct tiered_policy_cpu *cpu)
{
	if (cpu->head - __atomic_load_n(&cpu->tail, __ATOMIC_ACQUIRE) >= TIERED_POLICY_EVENTS)
		return NULL;
	return &cpu->event[cpu->head % TIERED_POLICY_EVENTS];
}

static inline void tiered_policy_note(const struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 first,
				      u32 pages, u32 flags, u32 value_ns)
{
	struct tiered_policy_event *event = tiered_policy_event_place(cpu);

	if (!event)
		return;
	event->page = first;
	event->used_at = policy->now;
	event->value_ns = value_ns;
	event->pages = pages;
	event->flags = flags;
	__atomic_store_n(&cpu->head, cpu->head + 1, __ATOMIC_RELEASE);
}

/* A request comes in. Sets io->value_ns. */
static inline void tiered_policy_request(struct tiered_policy *policy, struct tiered_policy_cpu *cpu,
					 struct tiered_policy_io *io)
{
	u32 saved = io->home_ns > io->fast_ns ? io->home_ns - io->fast_ns : 0;

	tiered_policy_tick(policy, cpu);
	io->value_ns = io->pages == 1 ? saved : saved / io->pages;
}

/* @pages of it from @first on are resident; @rewrites: they are dirty, and written. The worker sees to the rest. */
static inline void tiered_policy_hit(const struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 first,
				     u32 pages, bool rewrites, const struct tiered_policy_io *io)
{
	tiered_policy_note(policy, cpu, first, pages, io->flags | (rewrites ? TIERED_POLICY_IO_REWRITES : 0),
			   io->value_ns);
}

/*
 * All of a request for one whole page that is resident: it comes in, hits, and is served from the fast tier. Returns true while
 * the CPU's ring is more than half full: the worker should come.
 */
static inline bool tiered_policy_page_hit(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 page,
					  u32 flags, bool continues)
{
	u32 head = cpu->head, noted = head - __atomic_load_n(&cpu->tail, __ATOMIC_ACQUIRE);
	struct tiered_policy_event *event = &cpu->event[head % TIERED_POLICY_EVENTS];

	tiered_policy_tick(policy, cpu);
	cpu->earned_ns += policy->page_hit[continues].earned_ns;
	if (noted >= TIERED_POLICY_EVENTS)
		return false;
	event->page = page;
	event->used_at = policy->now;
	event->value_ns = policy->page_hit[continues].value_ns;
	event->pages = 1;
	event->flags = flags | TIERED_POLICY_IO_WHOLE | (continues ? TIERED_POLICY_IO_STREAM : 0);
	__atomic_store_n(&cpu->head, head + 1, __ATOMIC_RELEASE);
	return noted >= TIERED_POLICY_EVENTS / 2;
}

/* The page of frame @from is in frame @to now. */
static inline void tiered_policy_moved(struct tiered_policy *policy, u32 from, u32 to)
{
	policy->frame[to] = policy->frame[from];
	policy->frame[from].used_at = 0;
}
/* Some of its pages are not resident: from @first on, @pages of them in one region. Before consider() and width(). */
void tiered_policy_missed(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 first, u32 pages,
			  const struct tiered_policy_io *io);
/* What is expected of one of them. */
void tiered_policy_consider(struct tiered_policy *policy, struct tiered_policy_cpu *cpu, u64 page,
			    const struct tiered_policy_io *io, struct tiered_policy_offer *offer);
/* Whether it is worth a frame and @cost_ns. If not, it is remembered. */
bool tiered_policy_wants(struct tiered_policy *policy, const struct tiered_policy_offer *offer, u32 cost_ns);

/* The most that tiered_policy_width() could be for a miss of @page: who asks looks only for so many resident pages. */
u32 tiered_policy_most_width(const struct tiered_policy *policy, u64 page);
/*
 * The width of the fill around @page: 0 (nothing more), 4, 16 or 64 pages, aligned, at most @most. @resident: the pages of
 * the region that are resident or will be, a bit each.
 */
u32 tiered_policy_width(const struct tiered_policy *policy, u64 page, u32 most, u64 resident);
/* What is expected of a page that the fill for @base brings along. */
void tiered_policy_neighbour(const struct tiered_policy *policy, u64 base, u64 page, struct tiered_policy_offer *offer);

/* @frame holds the page now. */
void tiered_policy_place(struct tiered_policy *policy, u32 frame, const struct tiered_policy_offer *offer);
/*
 * The frame to empty next. @may_go, unless it is NULL, says which may be; TIERED_POLICY_NEW: none of those that were looked
 * at. A frame may have changed since it was: who empties it looks again.
 */
u32 tiered_policy_victim(struct tiered_policy *policy, bool (*may_go)(void *context, u32 frame), void *context);
/* @frame, which held @page, is about to be empty, to make room for others. */
void tiered_policy_evicted(struct tiered_policy *policy, u32 frame, u64 page);
/* A page that @frame holds is written home instead of into it, and the frame is about to be empty. Any CPU. */
void tiered_policy_written_around(struct tiered_policy *policy, u32 frame, u64 page);
/* @frame is about to be empty for another reason. */
static inline void tiered_policy_gone(struct tiered_policy *policy, u32 frame)
{
	policy->frame[frame].used_at = 0;
}

/* What can be spent; see above. */
s64 tiered_policy_balance(const struct tiered_policy *policy);
/* Takes it if it is there. */
bool tiered_policy_afford(struct tiered_policy *policy, s64 ns);
/* Takes it: it was provided for. */
void tiered_policy_pay(struct tiered_policy *policy, s64 ns);
/* A request took @spent_ns in all. What it saved (or cost, when that was afforded) counts from the next work() on. */
void tiered_policy_served(struct tiered_policy_cpu *cpu, const struct tiered_policy_io *io, u32 spent_ns);

/* What write-back will probably cost for a page of a write, in @frame or, TIERED_POLICY_NEW, in none yet. */
u32 tiered_policy_debt_ns(const struct tiered_policy *policy, u32 frame, u32 run);
/*
 * Whether to absorb a write that makes @pages pages dirty in at most @runs new runs, and will probably cost @debt_ns.
 */
bool tiered_policy_absorbs(const struct tiered_policy *policy, const struct tiered_policy_cpu *cpu,
			   const struct tiered_policy_io *io, u32 pages, u32 runs, u64 debt_ns);
/* The user wrote so much. */
static inline void tiered_policy_wrote(struct tiered_policy_cpu *cpu, u32 bytes)
{
	__atomic_store_n(&cpu->wrote_bytes, cpu->wrote_bytes + bytes, __ATOMIC_RELAXED);
}
/* Pages became dirty (or, negative, were overwritten at home), and so many more runs are there now. */
void tiered_policy_dirtied(struct tiered_policy *policy, int pages, int runs);
/* A run of so many pages was written home. */
void tiered_policy_wrote_home(struct tiered_policy *policy, u32 pages);
/* The page of @frame is clean now, because its home has it, and there are so many more runs (-1, 0, 1). */
void tiered_policy_cleaned(struct tiered_policy *policy, u32 frame, int runs);

/* Whether it is time to rebuild the forecasts, and doing it, which takes some million instructions; the worker's. */
bool tiered_policy_is_due(const struct tiered_policy *policy);
void tiered_policy_rebuild(struct tiered_policy *policy);

/* Takes in what CPUs noted and samples; the worker calls it often. */
void tiered_policy_work(struct tiered_policy *policy, struct tiered_policy_cpu *const *cpus, u32 count,
			const struct tiered_policy_index *index);

#ifdef __cplusplus
}
#endif

#endif
