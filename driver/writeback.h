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

struct tiered_writeback {
	struct work_struct work;
	struct delayed_work idle; /* looks every second whether the disk has nothing better to do */
	struct tiered_writeback_page *batch;
	struct bio_set bios;
	atomic_t bios_in_flight;
	struct completion batch_done;
	u32 hand;	   /* the next frame to look at */
	bool running;	   /* between dirty_high and dirty_low */
	bool starved;	   /* reclaim found nothing clean */
	bool failing;	   /* the last batch did not all become durable at home */
	bool flush_wanted; /* a flush was asked for and not begun */
	u32 sweep_left;	   /* frames that a flush still has to look at */
	bool sweep_again;  /* it passed over a dirty page whose stripe was busy */
	u64 homes_used_at; /* home I/O counted when the idle look last ran */
	/*
	 * Attempts to clean frames are numbered. One that cleaned none and has no reason to do better soon is vain:
	 * who waits for a frame since before it began waits for nothing.
	 */
	u64 attempts;
	u64 vain_attempt; /* the number of the last vain one */
};

int tiered_writeback_init(struct tiered_volume *volume);
void tiered_writeback_exit(struct tiered_volume *volume);

/* Begins to look for idle times, and goes on with what the last stop interrupted. */
void tiered_writeback_start(struct tiered_volume *volume);
/* Starts write-back when more than dirty_high of the frames are dirty; cheap when not. */
void tiered_writeback_poke(struct tiered_volume *volume);
/* Writes back whatever there is, because reclaim found nothing to evict. */
void tiered_writeback_starved(struct tiered_volume *volume);
/* Writes back every page that is dirty now. */
void tiered_writeback_all(struct tiered_volume *volume);

#endif
