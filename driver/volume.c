// SPDX-License-Identifier: GPL-2.0-only
/* Volumes: the registry, loading, starting and stopping. */
#include "volume.h"

#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

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
	tiered_writeback_exit(volume);
	tiered_fills_exit(volume);
	if (volume->loaded)
		tiered_frames_exit(&volume->frames);
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

static struct tiered_volume *new_volume(dev_t fast_devt, dev_t home_devt, struct mapped_device *owner)
{
	struct tiered_volume *volume = kzalloc(sizeof(*volume), GFP_KERNEL);
	int r;

	if (!volume)
		return ERR_PTR(-ENOMEM);
	volume->fast_devt = fast_devt;
	volume->home_devt = home_devt;
	volume->owner = owner;
	tiered_parking_init(volume);
	tiered_reclaim_init(volume);
	tiered_zeroing_init(volume);
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
	return volume->fast_devt == devt || volume->home_devt == devt;
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
	if (last)
		list_del(&volume->registered);
	mutex_unlock(&registry_lock);
	if (last)
		free_volume(volume);
}

/*----------------------------------------------------------------*/
/* Loading */

/* Why a volume is not opened. The user reads it in the kernel log, tierctl repeats it. */
#define REFUSE(volume, r, format, ...)                                                        \
	({                                                                                    \
		DMERR("%s: " format, (volume)->name[0] ? (volume)->name : "volume", ##__VA_ARGS__); \
		(r);                                                                          \
	})

/* The major number of device-mapper devices. */
static int dm_major(const struct tiered_volume *volume)
{
	return dm_disk(volume->owner)->major;
}

/*
 * Maps the fast tier. A libnvdimm namespace is mapped in one piece; pages with known bad blocks answer for themselves
 * alone, so ask for each stretch and see that the pieces fit together.
 */
static int map_fast(struct tiered_volume *volume, struct dm_dev *fast, u64 bytes, void **base)
{
	pgoff_t start = get_start_sect(fast->bdev) / TIERED_SECTORS_PER_PAGE;
	long pages = bytes >> TIERED_FRAME_SHIFT, mapped;
	void *address = NULL;
	int id;

	if (MAJOR(fast->bdev->bd_dev) == dm_major(volume))
		return REFUSE(volume, -EINVAL, "%s is a device-mapper device, whose table could change under the mapping; give "
			      "the namespace itself", fast->name);
	if (!fast->dax_dev)
		return REFUSE(volume, -EINVAL, "%s has no DAX; make it an fsdax namespace with `ndctl create-namespace "
			      "-f -e NAMESPACE -m fsdax`", fast->name);
	if (!dax_synchronous(fast->dax_dev))
		return REFUSE(volume, -EINVAL, "%s needs a request to the host for each flush (virtio-pmem); use an "
			      "NVDIMM, whose stores are durable by themselves", fast->name);
	id = dax_read_lock();
	mapped = dax_direct_access(fast->dax_dev, start, pages, DAX_ACCESS, &address, NULL);
	dax_read_unlock(id);
	if (mapped < pages)
		return REFUSE(volume, mapped < 0 ? mapped : -EIO, "%s cannot be mapped whole, it may have bad blocks; "
			      "see `ndctl list -NM` and the file badblocks of the device in /sys/block", fast->name);
	*base = address;
	return 0;
}

static int check_superblock(struct tiered_volume *volume, const struct tiered_superblock_disk *sb,
			    struct dm_dev *home, sector_t sectors)
{
	u64 home_sectors = bdev_nr_sectors(home->bdev), recorded = le64_to_cpu(sb->tiers[0].size_sectors);

	strscpy(volume->name, sb->name, sizeof(volume->name));
	memcpy(volume->uuid, sb->volume_uuid, sizeof(volume->uuid));
	volume->sectors = le64_to_cpu(sb->volume_sectors);
	volume->metadata_bytes = le64_to_cpu(sb->frames_offset_bytes);
	if (home_sectors != recorded)
		return REFUSE(volume, -ENXIO, "capacity device %s has %llu sectors but the volume was made over one of "
			      "%llu; give the disk that belongs to this volume", home->name, home_sectors, recorded);
	volume->needs_check = le32_to_cpu(sb->flags) & TIERED_SB_NEEDS_CHECK;
	if (sectors != volume->sectors)
		return REFUSE(volume, -EINVAL, "the table has %llu sectors but the volume has %llu; use that length",
			      (u64)sectors, (u64)volume->sectors);
	if (tiered_superblock_read_only(sb) && !volume->options.read_only)
		return REFUSE(volume, -EROFS, "the volume uses features that this driver can only read; open it with "
			      "the option read_only");
	return 0;
}

static int read_superblock(struct tiered_volume *volume, void *base, u64 fast_bytes, struct dm_dev *fast,
			   struct dm_dev *home, sector_t sectors, struct tiered_words *words, void **data)
{
	struct tiered_superblock_disk *copies = kvmalloc(2 * TIERED_SUPERBLOCK_BYTES, GFP_KERNEL);
	const struct tiered_superblock_disk *sb;
	const char *fault;
	int r;

	if (!copies)
		return -ENOMEM;
	if (copy_mc_to_kernel(copies, base, 2 * TIERED_SUPERBLOCK_BYTES)) {
		r = REFUSE(volume, -EIO, "the superblocks on %s cannot be read; run `tierctl check`", fast->name);
		goto out;
	}
	sb = tiered_superblock_choose(&copies[0], &copies[1], fast_bytes, &fault);
	if (!sb) {
		r = REFUSE(volume, -EINVAL, "the superblock on %s %s; run `tierctl check`, or `tierctl format` for a new "
			   "volume", fast->name, fault);
		goto out;
	}
	r = check_superblock(volume, sb, home, sectors);
	*words = (struct tiered_words){
		.primary = base + le64_to_cpu(sb->words_offset_bytes),
		.shadow = base + le64_to_cpu(sb->shadow_offset_bytes),
		.pages = tiered_volume_pages(volume->sectors),
		.frames = le64_to_cpu(sb->frames_total),
		.seed = sb->word_seed,
	};
	*data = base + le64_to_cpu(sb->frames_offset_bytes);
out:
	kvfree(copies);
	return r;
}

/* What loading the words has found so far. */
struct loading {
	struct tiered_volume *volume;
	struct tiered_frame_list losers;
	u32 faults; /* frames that nothing but a check can sort out */
};

static u32 load_find(void *context, u64 page, struct tiered_claim *claim)
{
	struct loading *loading = context;
	const struct tiered_frames *frames = &loading->volume->frames;
	u32 frame = tiered_frames_lookup(frames, page);
	u64 word;

	if (frame != TIERED_NO_FRAME) {
		word = tiered_frame_word(frames, frame);
		claim->page = page;
		claim->state = tiered_frame_state(word);
		claim->version = tiered_frame_version(word);
	}
	return frame;
}

static void load_hold(void *context, u32 frame, const struct tiered_claim *claim, u32 instead_of)
{
	struct loading *loading = context;

	tiered_frames_adopt(&loading->volume->frames, frame, claim, instead_of);
}

static void load_found(void *context, u32 frame, enum tiered_found what, const struct tiered_claim *claim, u32 other)
{
	struct loading *loading = context;
	struct tiered_volume *volume = loading->volume;
	struct tiered_frames *frames = &volume->frames;

	switch (what) {
	case TIERED_FOUND_FREE:
		tiered_frames_adopt_free(frames, frame);
		break;
	case TIERED_FOUND_HOLDER:
		break;
	case TIERED_FOUND_LOSER:
		frames->frame[frame].link = loading->losers.first;
		loading->losers.first = frame;
		loading->losers.count++;
		break;
	case TIERED_FOUND_RETIRED:
		atomic_inc(&frames->retired);
		break;
	case TIERED_FOUND_DAMAGED:
		loading->faults++;
		DMERR_LIMIT("%s: the word of frame %u is damaged", volume->name, frame);
		break;
	case TIERED_FOUND_CONFLICT:
		loading->faults++;
		DMERR_LIMIT("%s: frames %u and %u both claim page %llu", volume->name, frame, other, claim->page);
		break;
	}
}

static const struct tiered_load_ops load_ops = {
	.find = load_find,
	.hold = load_hold,
	.found = load_found,
};

/* Durably, before any I/O: were the winner overwritten and cleared first, a loser could win the next time. */
static void clear_losers(struct tiered_frames *frames, struct tiered_frame_list *losers)
{
	struct tiered_clear clear = { .unfenced_frame = TIERED_NO_FRAME };

	while (losers->first != TIERED_NO_FRAME) {
		u32 frame = losers->first;

		losers->first = frames->frame[frame].link;
		preempt_disable();
		tiered_claim_withdraw(&frames->words, &clear, frame);
		preempt_enable();
		tiered_frames_adopt_free(frames, frame);
	}
}

#define LOAD_CHUNK_FRAMES 4096u

static u32 load_chunk(u32 first, u32 total)
{
	return min(LOAD_CHUNK_FRAMES, total - first);
}

/* What must be on media before the first request: nothing that a crash later could make speak up again. */
static void settle_words(struct tiered_frames *frames, struct tiered_frame_list *losers)
{
	u32 total = frames->words.frames, frame;

	/*
	 * Shadows first: were a loser cleared while its winner's shadow still says free, and the winner's word went
	 * bad after another crash, nobody would know that the page was dirty.
	 */
	for (frame = 0; frame < total; frame += load_chunk(frame, total)) {
		preempt_disable();
		tiered_shadows_restore(&frames->words, frame, load_chunk(frame, total));
		preempt_enable();
		cond_resched();
	}
	clear_losers(frames, losers);
}

static int load_words(struct tiered_volume *volume)
{
	struct tiered_frames *frames = &volume->frames;
	u32 total = frames->words.frames, frame;
	struct loading loading = { .volume = volume, .losers = { .first = TIERED_NO_FRAME } };

	for (frame = 0; frame < total; frame += load_chunk(frame, total)) {
		tiered_load_words(&frames->words, frame, load_chunk(frame, total), &load_ops, &loading);
		cond_resched();
	}
	if (loading.faults)
		return REFUSE(volume, -EUCLEAN, "%u frame words are damaged or contradict each other; run `tierctl check`",
			      loading.faults);
	if (loading.losers.count)
		DMINFO("%s: %u pages were being overwritten at the last power loss; their newest durable contents stand",
		       volume->name, loading.losers.count);
	volume->losers = loading.losers;
	return 0;
}

static int load(struct tiered_volume *volume, struct dm_dev *fast, struct dm_dev *home, sector_t sectors)
{
	u64 fast_bytes = bdev_nr_bytes(fast->bdev);
	struct tiered_words words;
	void *base, *data;
	int r;

	r = map_fast(volume, fast, fast_bytes, &base);
	if (!r)
		r = read_superblock(volume, base, fast_bytes, fast, home, sectors, &words, &data);
	if (!r)
		r = tiered_frames_init(&volume->frames, &words, data);
	if (r)
		return r;
	r = load_words(volume);
	if (r) {
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
	settle_words(&volume->frames, &volume->losers);
	/* What was written to the disk before us may not be flushed; afterwards we know of every write. */
	r = tiered_homes_flush_now(&volume->homes);
	if (r)
		return REFUSE(volume, r, "the capacity device cannot be flushed; see what the kernel says of it");
	volume->settled = true;
	return 0;
}

int tiered_volume_activate(struct tiered_volume *volume, struct dm_dev *fast, struct dm_dev *home, sector_t sectors,
			   const struct tiered_options *options)
{
	int r = 0;

	volume->options = *options;
	volume->homes.bdev = home->bdev;
	if (!volume->loaded) {
		r = load(volume, fast, home, sectors);
	} else if (sectors != volume->sectors) {
		r = REFUSE(volume, -EINVAL, "the table has %llu sectors but the volume has %llu; use that length",
			   (u64)sectors, (u64)volume->sectors);
	}
	return r ? r : settle(volume);
}

void tiered_volume_start(struct tiered_volume *volume)
{
	if (volume->options.read_only)
		return;
	WRITE_ONCE(volume->started, true);
	tiered_writeback_start(volume);
	tiered_reclaim_poke(volume);
}

void tiered_volume_stop(struct tiered_volume *volume)
{
	WRITE_ONCE(volume->started, false);
	cancel_delayed_work_sync(&volume->writeback.idle);
	flush_work(&volume->parking.work);
	flush_work(&volume->zeroing.work);
	tiered_fills_drain(volume);
	/*
	 * Reclaim and write-back start each other. One that ran when `started` fell may have started the other once
	 * more; that one saw it.
	 */
	cancel_work_sync(&volume->reclaim.work);
	cancel_work_sync(&volume->writeback.work);
	cancel_work_sync(&volume->reclaim.work);
	if (volume->loaded)
		tiered_frames_quiesce(&volume->frames);
}
