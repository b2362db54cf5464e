/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Write-back: copies dirty frames to their homes in batches sorted by home, flushes the disk once a batch, then marks
 * clean what nobody overwrote meanwhile. One batch at a time, so a page has at most one write-back on its way.
 */
#ifndef TIERED_WRITEBACK_H
#define TIERED_WRITEBACK_H

#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/workqueue.h>

struct tiered_volume;
struct tiered_writeback_page;

#define TIERED_WRITEBACK_BATCH 256u
#define TIERED_PASSED_OVER_MAX 64u

/* How long background work leaves the disk to others between two of its batches. */
struct tiered_pace {
	u64 ns;	 /* latencies of the homes' foreground I/O, summed up to the last batch ... */
	u64 ios; /* ... and how many they were */
	u32 pause_ms;
};

struct tiered_writeback {
	struct delayed_work work;
	struct delayed_work idle; /* looks every second whether the disk has nothing better to do */
	struct work_struct stop;
	struct tiered_writeback_page *batch;
	u32 count;   /* pages in the batch ... */
	u32 written; /* ... and how many of them became durable at home, when it was written ... */
	u32 restored; /* ... and how many may have been stored to meanwhile (frames.h) */
	struct bio_set bios;
	atomic_t bios_in_flight;
	struct completion batch_done;
	u32 hand;	   /* the next frame to look at */
	bool running;	   /* between dirty_high and dirty_low */
	bool starved;	   /* reclaim found nothing clean */
	bool spares_stored; /* the disk is idle, that is all: frames that programs may store to stay dirty */
	bool failing;	   /* a page of a batch did not become durable at home, and still is dirty */
	u64 failed_page;   /* the latest one */
	bool flush_wanted; /* a flush was asked for and not begun */
	u32 sweep_left;	   /* frames that a flush still has to look at */
	bool sweep_again;  /* it passed over a dirty page whose stripe was busy, or the disk failed */
	u32 flush_total;   /* pages that were dirty when the flush was asked for ... */
	u32 flush_written; /* ... and pages written home since */
	u64 flush_began_ns;
	/* Dirty pages that were passed over for a bypassing write on its way; their stripes let no new one begin. */
	u64 passed_over[TIERED_PASSED_OVER_MAX];
	u32 passed_over_count;
	bool cleaning_idle; /* nobody else used the disk when the idle look last ran */
	u64 homes_used_at; /* home I/O counted when the idle look last ran */
	struct tiered_pace pace; /* between batches, for the sake of others */
	/*
	 * Attempts to clean frames are numbered. One that cleaned none and has no reason to do better soon is vain:
	 * who waits for a frame since before it began waits for nothing.
	 */
	u64 attempts;
	u64 vain_attempt; /* the number of the last vain one */
};

int tiered_writeback_init(struct tiered_volume *volume);
void tiered_writeback_exit(struct tiered_volume *volume);

/*
 * The pause in ms before the next batch. While the requests of others take longer than latency_target_us on average, it
 * doubles, up to a limit; when they do not, it halves.
 */
u32 tiered_pace(struct tiered_volume *volume, struct tiered_pace *pace);

/* Begins to look for idle times, and goes on with what the last stop interrupted. */
void tiered_writeback_start(struct tiered_volume *volume);
/* Starts write-back when more than dirty_high of the frames are dirty; cheap when not. */
void tiered_writeback_poke(struct tiered_volume *volume);
/* Writes back whatever there is, because reclaim found nothing to evict. */
void tiered_writeback_starved(struct tiered_volume *volume);
/* Writes back every page that is dirty now. */
void tiered_writeback_all(struct tiered_volume *volume);
/* Ends that before its time; what was begun is finished. */
void tiered_writeback_all_stop(struct tiered_volume *volume);

/* What is left of a flush that was asked for: pages (0: none is under way), and a guess of the time in ms (0: no guess). */
void tiered_writeback_progress(struct tiered_volume *volume, u64 *left_pages, u64 *eta_ms);

/* What a writer that waits for its page to be whole at home learns of it. On the home worker. */
enum tiered_through {
	TIERED_THROUGH_BEGUN,  /* inside write-back only */
	TIERED_THROUGH_HOME,   /* its home has it, durably */
	TIERED_THROUGH_TAKEN,  /* it is in the batch */
	TIERED_THROUGH_BUSY,   /* a bypassing write to its stripe is on its way */
	TIERED_THROUGH_FULL,   /* the batch is */
	TIERED_THROUGH_FAILED, /* its frame cannot be read */
};

/*
 * Write-back for writers that wait: begin, take their pages, write what was taken, and ask for each page taken whether
 * its home has it now. On the home worker, inside the fast tier for begin and take.
 */
void tiered_writeback_begin(struct tiered_volume *volume);
enum tiered_through tiered_writeback_take(struct tiered_volume *volume, u64 page);
void tiered_writeback_write(struct tiered_volume *volume);
bool tiered_writeback_wrote(struct tiered_volume *volume, u64 page);

#endif
