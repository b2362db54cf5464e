// SPDX-License-Identifier: GPL-2.0-only
/* Volumes: the registry, loading, starting and stopping. */
#include "volume.h"

#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "bad.h"
#include "memory.h"
#include "recognise.h"
#include "trace.h"

/* Every volume that has an instance. One volume, one owner: a disk belongs to at most one. */
static LIST_HEAD(registry);
static DEFINE_MUTEX(registry_lock);

/*----------------------------------------------------------------*/
/* Life */

static void free_volume(struct tiered_volume *volume)
{
	/* First: a message may have queued a work that finds the volume stopped, but looks. */
	if (volume->home_worker)
		destroy_workqueue(volume->home_worker);
	if (volume->park_worker)
		destroy_workqueue(volume->park_worker);
	if (volume->workers)
		destroy_workqueue(volume->workers);
	tiered_pins_exit(volume);
	tiered_writeback_exit(volume);
	tiered_fills_exit(volume);
	tiered_thrift_exit(volume);
	if (volume->loaded)
		tiered_frames_exit(&volume->frames);
	tiered_whys_exit(&volume->whys);
	tiered_samples_exit(&volume->samples);
	tiered_media_exit(&volume->media);
	tiered_homes_exit(&volume->homes);
	free_percpu(volume->streams);
	tiered_stats_exit(&volume->stats);
	kfree(volume);
}

static int init_workers(struct tiered_volume *volume, dev_t devt)
{
	unsigned int major = MAJOR(devt), minor = MINOR(devt);

	volume->workers = alloc_workqueue("tiered-%u:%u", WQ_MEM_RECLAIM | WQ_UNBOUND, 0, major, minor);
	volume->park_worker = alloc_ordered_workqueue("tiered-park-%u:%u", WQ_MEM_RECLAIM, major, minor);
	volume->home_worker = alloc_ordered_workqueue("tiered-home-%u:%u", WQ_MEM_RECLAIM, major, minor);
	return volume->workers && volume->park_worker && volume->home_worker ? 0 : -ENOMEM;
}

static void event_work(struct work_struct *work);

static struct tiered_volume *new_volume(dev_t fast_devt, dev_t home_devt, struct mapped_device *owner)
{
	struct tiered_volume *volume = kzalloc(sizeof(*volume), GFP_KERNEL);
	int r;

	if (!volume)
		return ERR_PTR(-ENOMEM);
	volume->fast_devt = fast_devt;
	volume->home_devt = home_devt;
	volume->owner = owner;
	volume->devt = disk_devt(dm_disk(owner));
	INIT_WORK(&volume->event_work, event_work);
	tiered_parking_init(volume);
	tiered_reclaim_init(volume);
	tiered_zeroing_init(volume);
	tiered_throughs_init(volume);
	tiered_thrift_init(volume);
	tiered_pins_init(volume);
	volume->streams = alloc_percpu(struct tiered_streams_cpu);
	r = volume->streams ? 0 : -ENOMEM;
	if (!r)
		r = tiered_stats_init(&volume->stats);
	if (!r)
		r = tiered_homes_init(&volume->homes);
	if (!r)
		r = init_workers(volume, fast_devt);
	if (!r)
		r = tiered_fills_init(volume);
	if (!r)
		r = tiered_writeback_init(volume);
	if (r) {
		free_volume(volume);
		return ERR_PTR(r);
	}
	return volume;
}

static bool uses(const struct tiered_volume *volume, dev_t devt)
{
	return devt && (volume->fast_devt == devt || volume->home_devt == devt);
}

/* The volume to join, NULL when there is none, or the reason why neither joining nor making one will do. */
static struct tiered_volume *find_volume(dev_t fast_devt, dev_t home_devt, struct mapped_device *owner, char **error)
{
	struct tiered_volume *volume;

	list_for_each_entry(volume, &registry, registered) {
		if (!uses(volume, fast_devt) && !uses(volume, home_devt))
			continue;
		if (volume->owner != owner) {
			*error = "A device is in use by another tiered volume; close that volume first";
			return ERR_PTR(-EBUSY);
		}
		if (volume->fast_devt != fast_devt || volume->home_devt != home_devt) {
			*error = "The devices of a live volume cannot be exchanged; close it and open it anew";
			return ERR_PTR(-EINVAL);
		}
		return volume;
	}
	return NULL;
}

struct tiered_volume *tiered_volume_join(dev_t fast_devt, dev_t home_devt, struct mapped_device *owner, char **error)
{
	struct tiered_volume *volume;

	mutex_lock(&registry_lock);
	volume = find_volume(fast_devt, home_devt, owner, error);
	if (!volume) {
		volume = new_volume(fast_devt, home_devt, owner);
		if (!IS_ERR(volume))
			list_add(&volume->registered, &registry);
		else
			*error = "Out of memory";
	}
	if (!IS_ERR(volume))
		volume->instances++;
	mutex_unlock(&registry_lock);
	return volume;
}

void tiered_volume_leave(struct tiered_volume *volume)
{
	bool last;

	mutex_lock(&registry_lock);
	last = !--volume->instances;
	if (last) {
		/* Before another volume may have the devices, which can have one memory at a time. */
		tiered_memory_end(volume);
		list_del(&volume->registered);
	}
	mutex_unlock(&registry_lock);
	if (last)
		free_volume(volume);
}

/*----------------------------------------------------------------*/
/* Loading */

/*
 * The UUID is known only now. Two fast tiers with the same one are copies of each other, and whatever one of them did to
 * the disk the other would not know.
 */
static int claim_uuid(struct tiered_volume *volume)
{
	const struct tiered_volume *other;
	int r = 0;

	mutex_lock(&registry_lock);
	list_for_each_entry(other, &registry, registered)
		if (other != volume && other->has_uuid && !memcmp(other->uuid, volume->uuid, sizeof(volume->uuid)))
			r = -EBUSY;
	volume->has_uuid = !r;
	mutex_unlock(&registry_lock);
	if (r)
		return TIERED_REFUSE(volume, r, "a volume with the UUID %pUb is open already, and this fast tier is a copy of "
				     "that one's; close that volume first", volume->uuid);
	return 0;
}

static int load(struct tiered_volume *volume, struct dm_dev *fast, struct dm_dev *home, sector_t sectors)
{
	const struct tiered_superblock_disk *sb;
	struct tiered_words words;
	int r;

	r = tiered_media_read(volume, fast, home, sectors);
	if (!r)
		r = claim_uuid(volume);
	if (r)
		return r;
	sb = volume->media.sb;
	words = (struct tiered_words){
		.primary = volume->fast.base + le64_to_cpu(sb->words_offset_bytes),
		.shadow = volume->fast.base + le64_to_cpu(sb->shadow_offset_bytes),
		.pages = tiered_volume_pages(volume->sectors),
		.frames = le64_to_cpu(sb->frames_total),
		.seed = sb->word_seed,
	};
	r = tiered_frames_init(&volume->frames, &words, &volume->fast,
			       volume->fast.base + le64_to_cpu(sb->frames_offset_bytes));
	if (r)
		return r;
	volume->pins.others = words.frames;
	r = tiered_whys_init(&volume->whys, words.pages, words.frames);
	if (!r)
		r = tiered_samples_init(&volume->samples, words.frames);
	if (!r)
		r = tiered_words_load(volume, &volume->unsettled);
	if (!r)
		r = tiered_recognise_home(volume, home, sectors);
	if (r) {
		tiered_samples_exit(&volume->samples);
		tiered_whys_exit(&volume->whys);
		tiered_frames_exit(&volume->frames);
		return r;
	}
	/* The status may be read at any time. */
	smp_store_release(&volume->loaded, true);
	return 0;
}

/* What has to be done once before the first write: a volume that was only read has left everything as it found it. */
static int settle(struct tiered_volume *volume)
{
	int r;

	if (volume->settled || volume->options.read_only)
		return 0;
	r = tiered_media_may_write(volume);
	if (!r)
		r = tiered_media_complete(volume);
	if (r)
		return r;
	if (volume->unsettled.damaged)
		tiered_media_need_check(volume);
	r = tiered_words_settle(volume, &volume->unsettled);
	if (r)
		return r;
	tiered_bad_look(volume);
	/* What was written to the disk before us may not be flushed; afterwards we know of every write. */
	r = tiered_homes_flush_now(&volume->homes);
	if (r)
		return TIERED_REFUSE(volume, r, "the capacity device cannot be flushed; see what the kernel says of it");
	volume->settled = true;
	return 0;
}

/* A table that is longer than the volume makes it grow, into a disk that has grown. */
static int resize(struct tiered_volume *volume, struct dm_dev *home, sector_t sectors)
{
	int r;

	if (sectors == volume->sectors)
		return 0;
	if (sectors < volume->sectors)
		return TIERED_REFUSE(volume, -EINVAL, "the table has %llu sectors but the volume has %llu; it cannot shrink",
				     (u64)sectors, (u64)volume->sectors);
	if (volume->options.read_only)
		return TIERED_REFUSE(volume, -EROFS, "the table has %llu sectors but the volume has %llu, and it cannot grow "
				     "while it is read-only; use that length", (u64)sectors, (u64)volume->sectors);
	/* A write to the last sectors, less than a page, was nobody's to remember; now they may be part of one. */
	r = tiered_homes_flush_now(&volume->homes);
	if (r)
		return TIERED_REFUSE(volume, r, "the volume cannot grow: the capacity device cannot be flushed; see what the "
				     "kernel says of it");
	return tiered_media_grow(volume, sectors, bdev_nr_sectors(home->bdev));
}

/* @live: there is somebody who would wait for a suspended volume, and `small` decides where there is no policy. */
static int bring_thrift(struct tiered_volume *volume, bool live)
{
	const struct tiered_options *options = &volume->options;
	int r = tiered_thrift_activate(volume, options->admission == TIERED_ADMIT_THRIFTY && !options->read_only);

	if (r && live) {
		DMWARN("%s: there is not enough memory for the policy; admission is as with small until the table is loaded again",
		       volume->name);
		return 0;
	}
	if (r)
		return TIERED_REFUSE(volume, r, "there is not enough memory for the policy; use another admission, such as small");
	return 0;
}

/* The fast tier is entered. */
static int activate(struct tiered_volume *volume, struct dm_dev *fast, struct dm_dev *home, sector_t sectors)
{
	bool live = volume->loaded;
	int r = 0;

	if (!live)
		r = load(volume, fast, home, sectors);
	if (!r)
		r = settle(volume);
	if (!r)
		r = bring_thrift(volume, live);
	if (!r && !volume->options.read_only)
		tiered_memory_bring(volume, fast);
	if (!r && volume->options.memory_only && !volume->mappings)
		r = TIERED_REFUSE(volume, -EBUSY, "it is to be memory alone, and has none; leave the option memory_only away");
	return r ? r : resize(volume, home, sectors);
}

/*
 * The fast tier went under the open volume. A resume is not refused for it: what is whole at home is served on and the rest ends
 * in errors, whereas a volume that stayed suspended would keep its users waiting for ever.
 */
static int go_on_without_fast(const struct tiered_volume *volume, sector_t sectors)
{
	if (sectors == volume->sectors)
		return 0;
	return TIERED_REFUSE(volume, -ENODEV, "the volume cannot change its size while the fast tier is gone; close it, bind the "
			     "namespace again and open it");
}

int tiered_volume_activate(struct tiered_volume *volume, struct dm_dev *fast, struct dm_dev *home, sector_t sectors,
			   const struct tiered_options *options)
{
	const char *error;
	int r, id;

	volume->options = *options;
	volume->homes.bdev = home->bdev;
	if (volume->loaded && tiered_fast_gone(&volume->fast))
		return go_on_without_fast(volume, sectors);
	/* One that was written already goes on: a refusal would leave it suspended. */
	if (bdev_read_only(fast->bdev) && !options->read_only && !volume->settled)
		return TIERED_REFUSE(volume, -EROFS, "%s is read-only (an unarmed NVDIMM?); open the volume with the option "
				     "read_only", fast->name);
	r = tiered_fast_map(&volume->fast, fast, dm_disk(volume->owner)->major, &error);
	if (r)
		return TIERED_REFUSE(volume, r, "%s %s", fast->name, error);
	if (!tiered_fast_enter(&volume->fast, &id))
		return TIERED_REFUSE(volume, -ENODEV, "%s is gone; close the volume", fast->name);
	r = activate(volume, fast, home, sectors);
	tiered_fast_leave(id);
	return r;
}

/*----------------------------------------------------------------*/
/* State */

enum tiered_state tiered_volume_state(const struct tiered_volume *volume)
{
	if (!volume->fast_devt)
		return TIERED_VOLUME_DEGRADED;
	if (!smp_load_acquire(&volume->loaded))
		return TIERED_VOLUME_FAIL;
	if (tiered_fast_gone(&volume->fast) || atomic_read(&volume->frames.lost) ||
	    tiered_homes_flush_failed(&volume->homes) || READ_ONCE(volume->writeback.failing))
		return TIERED_VOLUME_DEGRADED;
	return volume->options.read_only ? TIERED_VOLUME_RO : TIERED_VOLUME_RW;
}

/* Whoever waits for an event (dmsetup wait, a monitor) looks at the status then. */
static void event_work(struct work_struct *work)
{
	struct tiered_volume *volume = container_of(work, struct tiered_volume, event_work);
	struct dm_target *active = READ_ONCE(volume->active);

	if (!active)
		return;
	WRITE_ONCE(volume->announced, tiered_volume_state(volume));
	trace_tiered_state(volume->devt, READ_ONCE(volume->announced));
	dm_table_event(active->table);
}

void tiered_volume_look(struct tiered_volume *volume)
{
	if (READ_ONCE(volume->active) && tiered_volume_state(volume) != READ_ONCE(volume->announced))
		queue_work(volume->workers, &volume->event_work);
}

/*----------------------------------------------------------------*/
/* Background work */

void tiered_volume_start(struct tiered_volume *volume, struct dm_target *active)
{
	WRITE_ONCE(volume->active, active);
	tiered_volume_look(volume);
	if (volume->options.read_only) {
		tiered_memory_start(volume);
		return;
	}
	WRITE_ONCE(volume->started, true);
	tiered_memory_start(volume);
	tiered_writeback_start(volume);
	tiered_reclaim_poke(volume);
	tiered_pins_poke(volume);
	/* From here on nothing becomes dirty for long; what is dirty already goes home now. */
	if (volume->options.writethrough)
		tiered_writeback_all(volume);
}

void tiered_volume_stop(struct tiered_volume *volume)
{
	int id;

	tiered_memory_stop(volume);
	WRITE_ONCE(volume->started, false);
	cancel_delayed_work_sync(&volume->writeback.idle);
	flush_work(&volume->parking.work);
	flush_work(&volume->zeroing.work);
	flush_delayed_work(&volume->throughs.work);
	tiered_pins_stop(volume);
	tiered_fills_drain(volume);
	tiered_thrift_stop(volume);
	/*
	 * Reclaim and write-back start each other. One that ran when `started` fell may have started the other once
	 * more; that one saw it.
	 */
	cancel_work_sync(&volume->reclaim.work);
	cancel_delayed_work_sync(&volume->writeback.work);
	cancel_work_sync(&volume->reclaim.work);
	/* Whoever saw the instance before now has queued the event, or will be seen by start. */
	WRITE_ONCE(volume->active, NULL);
	cancel_work_sync(&volume->event_work);
	if (volume->loaded && tiered_fast_enter(&volume->fast, &id)) {
		if (!volume->options.read_only)
			tiered_bad_look(volume);
		tiered_frames_quiesce(&volume->frames);
		tiered_fast_leave(id);
	}
}
