// SPDX-License-Identifier: GPL-2.0-only
/* Superblocks: the one that stands is read at load; a change goes to the other slot first, so that one is always whole. */
#include "media.h"

#include <linux/blkdev.h>
#include <linux/slab.h>

#include "volume.h"

static struct tiered_superblock_disk *slot_address(struct tiered_volume *volume, u32 slot)
{
	return volume->fast.base + slot * TIERED_SUPERBLOCK_BYTES;
}

/*----------------------------------------------------------------*/
/* Reading */

static int check_devices(struct tiered_volume *volume, const struct tiered_superblock_disk *sb, struct dm_dev *home,
			 sector_t sectors)
{
	u64 home_sectors = bdev_nr_sectors(home->bdev), recorded = le64_to_cpu(sb->tiers[0].size_sectors);

	if (home_sectors < recorded)
		return TIERED_REFUSE(volume, -ENXIO, "capacity device %s has %llu sectors but the volume was made over one "
				     "of %llu; give the disk that belongs to this volume", home->name, home_sectors,
				     recorded);
	if (sectors < volume->sectors)
		return TIERED_REFUSE(volume, -EINVAL, "the table has %llu sectors but the volume has %llu; use that length",
				     (u64)sectors, (u64)volume->sectors);
	return 0;
}

int tiered_media_may_write(struct tiered_volume *volume)
{
	if (tiered_superblock_read_only(volume->media.sb))
		return TIERED_REFUSE(volume, -EROFS, "the volume uses features that this driver can only read; open it "
				     "with the option read_only");
	return 0;
}

static void describe(struct tiered_volume *volume, const struct tiered_superblock_disk *sb)
{
	strscpy(volume->name, sb->name, sizeof(volume->name));
	memcpy(volume->uuid, sb->volume_uuid, sizeof(volume->uuid));
	volume->sectors = le64_to_cpu(sb->volume_sectors);
	volume->metadata_bytes = le64_to_cpu(sb->frames_offset_bytes);
	volume->needs_check = le32_to_cpu(sb->flags) & TIERED_SB_NEEDS_CHECK;
}

/*
 * Whether the slot that does not stand has to be written anew: one that a power cut tore, or that knows the volume by
 * another size, of which claims beyond the old end would look damaged.
 */
static bool other_is_behind(const struct tiered_superblock_disk *sb, const struct tiered_superblock_disk *other,
			    u64 fast_bytes)
{
	return tiered_superblock_fault(other, fast_bytes) || other->volume_sectors != sb->volume_sectors ||
	       other->tiers[0].size_sectors != sb->tiers[0].size_sectors;
}

/* A slot that cannot be read is like one that was never written. Returns false for it. */
static bool read_slot(struct tiered_volume *volume, u32 slot, struct tiered_superblock_disk *to)
{
	if (tiered_fast_read(&volume->fast, to, slot_address(volume, slot), sizeof(*to)))
		return true;
	memset(to, 0, sizeof(*to));
	DMWARN("superblock %c cannot be read; the other one has to serve", 'A' + slot);
	return false;
}

int tiered_media_read(struct tiered_volume *volume, struct dm_dev *fast, struct dm_dev *home, sector_t sectors)
{
	struct tiered_superblock_disk *copies = kvmalloc_array(TIERED_SUPERBLOCKS, sizeof(*copies), GFP_KERNEL);
	struct tiered_media *media = &volume->media;
	const struct tiered_superblock_disk *sb;
	bool readable[TIERED_SUPERBLOCKS];
	const char *fault;
	u32 slot;
	int r;

	if (!copies)
		return -ENOMEM;
	for (slot = 0; slot < TIERED_SUPERBLOCKS; slot++)
		readable[slot] = read_slot(volume, slot, &copies[slot]);
	sb = tiered_superblock_choose(&copies[0], &copies[1], volume->fast.bytes, &fault);
	if (!sb) {
		r = TIERED_REFUSE(volume, -EINVAL, "the superblock on %s %s; run `tierctl check`, or `tierctl format` for a "
				  "new volume", fast->name, fault);
		goto out;
	}
	describe(volume, sb);
	r = check_devices(volume, sb, home, sectors);
	if (r)
		goto out;
	kfree(media->sb);
	media->sb = kmemdup(sb, sizeof(*sb), GFP_KERNEL);
	media->slot = sb - copies;
	media->other_bad = !readable[!media->slot];
	media->other_behind = !media->other_bad &&
			      other_is_behind(sb, &copies[!media->slot], volume->fast.bytes);
	r = media->sb ? 0 : -ENOMEM;
out:
	kvfree(copies);
	return r;
}

void tiered_media_exit(struct tiered_media *media)
{
	kfree(media->sb);
	media->sb = NULL;
}

/*----------------------------------------------------------------*/
/* Writing */

/* Writes media->sb, one generation on, to the slot that does not stand now. The one that does stays whole meanwhile. */
static int write_other(struct tiered_volume *volume)
{
	struct tiered_media *media = &volume->media;
	u32 slot = !media->slot;
	int id;

	if (media->other_bad)
		return -EIO;
	if (!tiered_fast_enter(&volume->fast, &id))
		return -ENODEV;
	le64_add_cpu(&media->sb->generation, 1);
	tiered_superblock_seal(media->sb);
	/* On one CPU: the fence completes only its own stores. */
	preempt_disable();
	memcpy_flushcache(slot_address(volume, slot), media->sb, sizeof(*media->sb));
	tiered_pm_fence();
	preempt_enable();
	tiered_fast_leave(id);
	media->slot = slot;
	return 0;
}

int tiered_media_complete(struct tiered_volume *volume)
{
	int r = volume->media.other_behind ? write_other(volume) : 0;

	volume->media.other_behind = false;
	return r;
}

void tiered_media_need_check(struct tiered_volume *volume)
{
	struct tiered_media *media = &volume->media;

	if (volume->needs_check)
		return;
	volume->needs_check = true;
	media->sb->flags |= cpu_to_le32(TIERED_SB_NEEDS_CHECK);
	if (write_other(volume))
		DMWARN("%s: that a check is needed cannot be recorded; run `tierctl check` before the next use", volume->name);
}

int tiered_media_grow(struct tiered_volume *volume, sector_t sectors, u64 home_sectors)
{
	struct tiered_superblock_disk *sb = volume->media.sb;
	u64 former_home_sectors = le64_to_cpu(sb->tiers[0].size_sectors);
	int r;

	sb->volume_sectors = cpu_to_le64(sectors);
	sb->tiers[0].size_sectors = cpu_to_le64(home_sectors);
	/*
	 * Before the first claim beyond the old end. And in both slots: were the newer one lost later, the older would
	 * call such claims damaged.
	 */
	r = write_other(volume);
	if (!r)
		r = write_other(volume);
	if (!r) {
		volume->sectors = sectors;
		volume->frames.words.pages = tiered_volume_pages(sectors);
		return 0;
	}
	sb->volume_sectors = cpu_to_le64(volume->sectors);
	sb->tiers[0].size_sectors = cpu_to_le64(former_home_sectors);
	return TIERED_REFUSE(volume, r, "the volume cannot grow: its second superblock cannot be written; run `tierctl check`");
}
