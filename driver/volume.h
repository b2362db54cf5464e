/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A volume: what the instances of the target share that name the same fast tier. A table reload makes the new
 * instance before the old one ends, so nothing that outlives a suspend may belong to an instance.
 */
#ifndef TIERED_VOLUME_H
#define TIERED_VOLUME_H

#include <linux/bio.h>
#include <linux/dax.h>
#include <linux/device-mapper.h>
#include <linux/workqueue.h>

#include "core/admission.h"
#include "fast.h"
#include "fill.h"
#include "frames.h"
#include "homes.h"
#include "mappings.h"
#include "media.h"
#include "park.h"
#include "pins.h"
#include "reclaim.h"
#include "samples.h"
#include "stats.h"
#include "thrift.h"
#include "through.h"
#include "why.h"
#include "words.h"
#include "writeback.h"
#include "zero.h"

/* What the table line can set. */
struct tiered_options {
	bool read_only;
	bool writethrough;
	bool memory_only; /* the block device serves nobody */
	bool nothing_dirty; /* without its fast tier the volume may be written: the user knows that it lacks nothing */
	bool latency_target_set;
	bool admission_set;
	bool dirty_high_set;
	bool dirty_low_set;
	enum tiered_admission_mode admission;
	u8 dirty_high_percent; /* write-back begins when more of the frames are dirty ... */
	u8 dirty_low_percent;  /* ... and ends here */
	u32 latency_target_us; /* write-back makes room for others while their requests to the disk take longer; 0: never */
};

/* As the status shows it (core/status.h). */
enum tiered_state {
	TIERED_VOLUME_FAIL,
	TIERED_VOLUME_RW,
	TIERED_VOLUME_RO,
	TIERED_VOLUME_DEGRADED,
};

/* What admission remembers on one CPU. */
struct tiered_streams_cpu {
	struct tiered_streams reads;
	struct tiered_streams writes;
	u32 flush_epoch; /* when the writes were last looked at */
};

struct tiered_volume {
	struct list_head registered; /* under the registry's lock, with the three below */
	dev_t fast_devt; /* 0: without its fast tier */
	dev_t home_devt;
	struct mapped_device *owner;
	dev_t devt; /* of /dev/mapper/NAME */
	u32 instances;

	bool loaded;
	bool settled; /* losers cleared, shadows restored, disk flushed */
	bool has_uuid; /* it is known, under the registry's lock */
	struct tiered_unsettled unsettled; /* until settled */
	struct tiered_fast fast;
	struct tiered_media media;
	char name[DM_NAME_LEN];
	u8 uuid[TIERED_UUID_BYTES];
	sector_t sectors;
	u64 metadata_bytes;
	bool needs_check; /* as the superblock says; user space clears it */
	struct tiered_options options;

	struct tiered_stats stats;
	struct tiered_frames frames;
	struct tiered_homes homes;
	struct tiered_fills fills;
	struct tiered_parking parking;
	struct tiered_throughs throughs;
	struct tiered_reclaim reclaim;
	struct tiered_writeback writeback;
	struct tiered_zeroing zeroing;
	struct tiered_streams_cpu __percpu *streams;
	struct tiered_whys whys;
	struct tiered_samples samples;
	struct tiered_thrift thrift;
	struct tiered_pins pins;
	struct tiered_mappings *mappings; /* of its memory; NULL: it has none ... */
	bool memory_tried; /* ... and was to get one */
	u32 flush_epoch; /* FLUSHes received, for the streams */

	struct dm_target *active; /* the instance that was resumed last; NULL while suspended */
	enum tiered_state announced; /* at the last event */
	struct work_struct event_work;

	bool started; /* background work may run */
	/* Fills, for readers and for pins, and reclaim. */
	struct workqueue_struct *workers;
	/* Parked requests wait for reclaim, so they must not hold the one rescuer that both would share. */
	struct workqueue_struct *park_worker;
	/*
	 * Write-back and zeroing, one at a time: the homes of a page are written by one of them, in order, and
	 * neither has to look out for the other.
	 */
	struct workqueue_struct *home_worker;
};

/*
 * Joins the volume on @fast_devt for an instance owned by @owner, or makes it. Returns an ERR_PTR: -EBUSY when another
 * mapped device uses either disk, -EINVAL when @home_devt is not the disk that the live volume has. *error is then a
 * sentence for the user.
 */
struct tiered_volume *tiered_volume_join(dev_t fast_devt, dev_t home_devt, struct mapped_device *owner,
					 char **error);
/* The last instance to leave frees the volume. No I/O is in flight and no worker runs. */
void tiered_volume_leave(struct tiered_volume *volume);

/*
 * Points the volume at the devices of the instance that resumes and, the first time, loads it: superblock, words,
 * losers cleared. Logs a sentence on failure and returns a negative errno.
 */
int tiered_volume_activate(struct tiered_volume *volume, struct dm_dev *fast, struct dm_dev *home, sector_t sectors,
			   const struct tiered_options *options);

/* Lets the background work run. @active is the instance that resumes, for events. */
void tiered_volume_start(struct tiered_volume *volume, struct dm_target *active);
/* Ends the background work and waits for it. No request is in flight. */
void tiered_volume_stop(struct tiered_volume *volume);

enum tiered_state tiered_volume_state(const struct tiered_volume *volume);
/* Raises an event when the state has changed. Any context; cheap when it has not. */
void tiered_volume_look(struct tiered_volume *volume);

/* Why a volume is not opened: the user reads the sentence in the kernel log, tierctl repeats it. Returns @r. */
#define TIERED_REFUSE(volume, r, format, ...)                                                       \
	({                                                                                          \
		DMERR("%s: " format, (volume)->name[0] ? (volume)->name : "volume", ##__VA_ARGS__); \
		(r);                                                                                \
	})

/* Whole pages of the volume; what lies beyond (less than a page) is always served by the disk. */
static inline u64 tiered_pages(const struct tiered_volume *volume)
{
	return volume->frames.words.pages;
}

/* Whether @page is to stay in the fast tier: a whole page that is written is taken, and it is not evicted for others. */
static inline bool tiered_pinned(const struct tiered_volume *volume, u64 page)
{
	return unlikely(rcu_access_pointer(volume->pins.set)) && tiered_pins_have(volume, page);
}

/*
 * Notes a request whose way was decided, if it is one of those that are sampled: the first @bytes from @sector on, and
 * whether @more of it comes anew. In process context, after its pages were counted.
 */
static inline void tiered_sample(struct tiered_volume *volume, sector_t sector, u32 bytes, bool write, bool more)
{
	if (unlikely(tiered_samples_want(&volume->samples, sector, bytes)))
		tiered_samples_note(volume, sector, bytes, write, more);
}

/* The marks of the frame that holds @page, 0 when none does: about mappings, of which most volumes have none. */
static inline u64 tiered_mappings_of(const struct tiered_volume *volume, u64 page)
{
	return likely(!volume->mappings || !READ_ONCE(volume->mappings->used)) ? 0 : tiered_mappings_marks(volume, page);
}

#endif
