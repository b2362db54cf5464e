/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Thrift (`admission thrifty`): what stands between the driver and the policy core (core/policy.h), which decides what misses
 * are filled, which writes are absorbed and who is evicted. README.md says who calls what, and why no data depends on it.
 */
#ifndef TIERED_THRIFT_H
#define TIERED_THRIFT_H

#include <linux/bio.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "core/admission.h"
#include "core/policy.h"
#include "costs.h"
#include "fill.h"

struct tiered_volume;
struct tiered_thrift_cpu;

struct tiered_thrift {
	/* NULL: the table says something else. It changes while no request is in flight and no worker runs. */
	struct tiered_policy *policy;
	struct tiered_thrift_cpu __percpu *cpu;
	struct tiered_policy_cpu **cpus;
	u32 cpu_count;
	struct mutex lock; /* workers alone: one of them at a time chooses victims, learns, or counts write-back */
	struct delayed_work work;
	unsigned long rebuilt_at; /* in jiffies */
	struct tiered_costs costs;
	u64 dram_bytes;
};

/* Which pages a write may take into frames. */
enum tiered_take {
	TIERED_TAKE_RESIDENT, /* those that are resident */
	TIERED_TAKE_DIRTY,    /* those that are dirty; a clean one leaves the fast tier and goes home */
	TIERED_TAKE_ALL,
};

/* What was decided about a request. */
struct tiered_choice {
	u64 first;	       /* page */
	u64 wanted;	       /* of a read: the pages to fill, a bit each */
	enum tiered_take take; /* of a write */
	bool asked;	       /* whoever decides about what is not resident was */
	enum tiered_admission admission; /* why a write that was asked about goes home */
	u32 flags;	       /* TIERED_POLICY_IO_... */
	u32 paid_ns;	       /* for each page to fill */
	u16 known;	       /* pages that the policy was asked about, from the first on */
	struct {
		u16 row;
		u16 heat;
	} page[TIERED_FILL_PAGES];
};

void tiered_thrift_init(struct tiered_volume *volume);

/*
 * Brings the policy for a table that asks for it, every resident page seen once, and takes it away for another. While
 * no request is in flight. Returns 0 or -ENOMEM.
 */
int tiered_thrift_activate(struct tiered_volume *volume, bool wanted);
void tiered_thrift_exit(struct tiered_volume *volume);
void tiered_thrift_stop(struct tiered_volume *volume);

/* The rest is for a volume that has the policy. None of it sleeps, but for evict and wrote_home, which are for workers. */

/* A read of @bytes in @pages pages was served from frames. */
void tiered_thrift_read_hit(struct tiered_volume *volume, const struct bio *bio, u32 bytes, u32 pages);
/* A read misses all of its @pages pages: sets @choice->wanted, and pays for what is to be filled, if @fillable. */
void tiered_thrift_read_miss(struct tiered_volume *volume, const struct bio *bio, u32 pages, bool fillable,
			     struct tiered_choice *choice);
/* A page that was paid for is not filled. */
void tiered_thrift_give_back(struct tiered_volume *volume, const struct tiered_choice *choice, u32 pages);

/* The first @bytes of a small write went to frames whose pages were dirty already: nothing had to be decided. */
void tiered_thrift_rewrote(struct tiered_volume *volume, const struct bio *bio, u32 bytes);
/* A write comes in: sets @choice->take. */
void tiered_thrift_write(struct tiered_volume *volume, const struct bio *bio, struct tiered_choice *choice);
/* Its first @bytes went to frames, or home. */
void tiered_thrift_written(struct tiered_volume *volume, const struct bio *bio, u32 bytes, bool home);

/* @frame is about to hold @page, about which @choice was made. */
void tiered_thrift_place(struct tiered_volume *volume, const struct tiered_choice *choice, u32 frame, u64 page);

/* Evicts up to @wanted clean frames whose pages promise least. Returns how many. Under the lock. */
u32 tiered_thrift_evict(struct tiered_volume *volume, u32 wanted);
/* A run of @pages pages was written home. */
void tiered_thrift_wrote_home(struct tiered_volume *volume, u32 pages);

/* Whether the time of a read at home, by a request with these flags, tells what the disk takes: not when it continues another. */
static inline bool tiered_thrift_tells(u32 flags, u32 pages)
{
	return !(flags & TIERED_POLICY_IO_STREAM) || pages >= TIERED_COSTS_LARGE_PAGES;
}

/* A read of @pages pages that had the disk to itself took @ns. */
static inline void tiered_thrift_sample(struct tiered_thrift *thrift, u32 pages, u64 ns)
{
	tiered_costs_sample(&thrift->costs, pages, ns);
}

#endif
