/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages of the volume in the page tables of programs: making them reachable when they are touched, and taking them away
 * from there before their frames change. The rules stand in README.md, section Memory.
 *
 * A *gate* is what faults of a page hold shared until its page table entry stands. Who shuts it holds it alone: the page
 * has no mappings then, and gets none.
 */
#ifndef TIERED_MAPPINGS_H
#define TIERED_MAPPINGS_H

#include <linux/mm_types.h>
#include <linux/rwsem.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "touch.h"

struct inode;
struct tiered_volume;

#define TIERED_GATES_SHIFT 6
/* So many neighbouring pages, in powers of two, share a gate, and are made reachable by one fault where they are resident. */
#define TIERED_GATE_PAGES_SHIFT 4

struct tiered_gate {
	struct rw_semaphore lock;
} ____cacheline_aligned_in_smp;

/* Whether faults are served. */
enum tiered_mappings_state {
	TIERED_MAPPINGS_SUSPENDED, /* later: they wait */
	TIERED_MAPPINGS_SERVED,
	TIERED_MAPPINGS_WITHHELD, /* not while the volume is as it is: SIGBUS */
	TIERED_MAPPINGS_ENDED,	  /* the volume was closed: SIGBUS */
};

struct tiered_mappings {
	struct tiered_volume *volume; /* for whoever is inside `running` while served */
	struct inode *inode;	      /* its address space knows every mapping */
	struct srcu_struct running;   /* faults that are being served */
	enum tiered_mappings_state state;
	u64 pages;		      /* of the volume, which does not shrink */
	bool used;		      /* a page was mapped since all were unmapped */
	bool unflushed;		      /* the last stop could not make durable what was stored: the fast tier is gone */
	wait_queue_head_t changed;    /* the state, or an exclusive range, or a frame that was judged */
	struct work_struct judge;     /* mapped frames that cannot be read */
	struct work_struct forget;    /* nobody has the memory open: what was mapped is not */
	struct tiered_gate gate[1 << TIERED_GATES_SHIFT];
};

/* Returns 0 or -ENOMEM. @inode is the caller's, for as long as the mappings are. */
int tiered_mappings_init(struct tiered_mappings *mappings, struct tiered_volume *volume, struct inode *inode);
void tiered_mappings_exit(struct tiered_mappings *mappings);

/* From here on faults are served, or withheld. */
void tiered_mappings_start(struct tiered_mappings *mappings, bool served);
/*
 * No fault is served any more, those that were have ended, nothing is mapped, and what was stored through mappings is
 * durable. The next state is @state.
 */
void tiered_mappings_stop(struct tiered_mappings *mappings, enum tiered_mappings_state state);

/* What one open file remembers of its faults. Threads may overwrite it for each other: hints. */
struct tiered_hints {
	u64 next;   /* the page that a sequential access touches next */
	u64 failed; /* one that nobody gets, which could not be told when that was found out */
};

#define TIERED_NO_HINTS ((struct tiered_hints){ .next = ~0ull, .failed = ~0ull })

/* A page of a mapping was touched. */
vm_fault_t tiered_mappings_fault(struct tiered_mappings *mappings, struct vm_fault *vmf, struct tiered_hints *hints);

/* A page that is mapped for loads was stored to. */
vm_fault_t tiered_mappings_upgrade(struct tiered_mappings *mappings, struct vm_fault *vmf);

/*
 * Makes what was stored to pages from @first up to @end durable. Returns 0, or a negative errno: -EAGAIN when a suspend is
 * at that.
 */
int tiered_mappings_sync(struct tiered_mappings *mappings, u64 first, u64 end);

/*
 * Pages from @first up to @end will be used soon: those that are missing are brought in, as long as there are frames and
 * nobody needs their homes. Returns 0, or -EINTR for who was killed.
 */
int tiered_mappings_will_need(struct tiered_mappings *mappings, u64 first, u64 end);
/* They will not: they are unmapped, and the first to be evicted. The same. */
int tiered_mappings_need_not(struct tiered_mappings *mappings, u64 first, u64 end);

/* What to tell a program that nobody serves any more, or that something failed for: a negative errno. */
int tiered_mappings_error(const struct tiered_mappings *mappings);

/* Nobody has the memory open any more: no page is mapped. */
void tiered_mappings_forget(struct tiered_mappings *mappings);

/* @bytes of the fast tier's DAX device from @offset_bytes on cannot be read. */
void tiered_mappings_condemn(struct tiered_mappings *mappings, u64 offset_bytes, u64 bytes);

/* The rest is for the volume's rooms. Inside the fast tier, but for judge and changed. */

/* Takes all mappings of @page away, and keeps others from coming until the gate is opened. Sleeps, but waits for no I/O. */
void tiered_gate_shut(struct tiered_volume *volume, u64 page);
void tiered_gate_open(struct tiered_volume *volume, u64 page);
/* The same without taking mappings away: who may go on storing are those who have the page mapped already. */
void tiered_gate_hold(struct tiered_volume *volume, u64 page);
/*
 * Marks the frame of @page as mapped, and where it is to be stored to makes it dirty before. Its gate is held. Returns what is in
 * the way, or NONE and the frame.
 */
enum tiered_obstacle tiered_mappings_mark(struct tiered_volume *volume, u64 page, bool store, u32 *frame);
/* NONE while the volume is served. Inside `running`. */
enum tiered_obstacle tiered_mappings_state_obstacle(struct tiered_mappings *mappings);
/* How many pages behind @page, which is wanted, are worth being read with it. */
u32 tiered_mappings_read_ahead(struct tiered_hints *hints, u64 page);
/*
 * Sees to what is in the way of @page, reading up to @ahead pages behind it, or waits until it may be tried again. Outside
 * `running`. Returns false when it need not be.
 */
bool tiered_mappings_overcome(struct tiered_mappings *mappings, enum tiered_obstacle obstacle, u64 page, u32 ahead);
/* Takes all mappings of pages from @first up to @end away, where no new ones begin because the range is exclusive. */
void tiered_mappings_leave(struct tiered_volume *volume, u64 first, u64 end);
/* The word of the frame that holds @page, 0: none does. tiered_mappings_of() is what is called. */
u64 tiered_mappings_marks(const struct tiered_volume *volume, u64 page);
/* A mapped frame cannot be read: a worker takes it out of page tables and judges it. Any context. */
void tiered_mappings_judge(struct tiered_mappings *mappings);
/* Something that faults wait for has changed. */
void tiered_mappings_changed(struct tiered_volume *volume);

#endif
