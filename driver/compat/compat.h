/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All differences between kernel versions that the driver meets. Each is found by what the headers define, or by
 * compiling a probe (probes.mk), never by a version number: distributions carry changes back.
 */
#ifndef TIERED_COMPAT_H
#define TIERED_COMPAT_H

#include <linux/badblocks.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/mm.h>

/* The mode a table was loaded with has a type of its own since block devices have their own open flags. */
#ifdef BLK_OPEN_WRITE
#define TIERED_MODE_WRITE BLK_OPEN_WRITE
#else
#define TIERED_MODE_WRITE FMODE_WRITE
#endif

/* Whether it takes a disk time to get from one sector to another. */
static inline bool tiered_bdev_turns(struct block_device *bdev)
{
#ifdef TIERED_HAVE_BDEV_ROT
	return bdev_rot(bdev);
#else
	return !bdev_nonrot(bdev);
#endif
}

/* Whether one of @sectors sectors from @sector on is listed as bad. */
static inline bool tiered_badblocks_check(struct badblocks *list, sector_t sector, unsigned int sectors)
{
#ifdef TIERED_HAVE_BADBLOCKS_SECTOR_T
	sector_t bad_sectors;
#else
	int bad_sectors;
#endif
	sector_t first_bad;

	return badblocks_check(list, sector, sectors, &first_bad, &bad_sectors) != 0;
}

/* Flags of a mapping that is being made. */
static inline void tiered_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
#ifdef TIERED_HAVE_VM_FLAGS_SET
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

/* Gives up the lock under which a fault is served. */
static inline void tiered_release_fault_lock(struct vm_fault *vmf)
{
#ifdef TIERED_HAVE_RELEASE_FAULT_LOCK
	release_fault_lock(vmf);
#else
	mmap_read_unlock(vmf->vma->vm_mm);
#endif
}

/* Takes the entry of one page out of the page table of one mapping without struct pages. */
static inline void tiered_zap_entry(struct vm_area_struct *vma, unsigned long address)
{
#ifdef TIERED_HAVE_ZAP_SPECIAL
	zap_special_vma_range(vma, address, PAGE_SIZE);
#else
	zap_vma_ptes(vma, address, PAGE_SIZE);
#endif
}

/* That mappings may have MAP_SYNC, in a struct file_operations. */
#ifdef FOP_MMAP_SYNC
#define TIERED_FOPS_MMAP_SYNC .fop_flags = FOP_MMAP_SYNC,
#else
#define TIERED_FOPS_MMAP_SYNC .mmap_supported_flags = MAP_SYNC,
#endif

/* A block device that is kept in use. */
#ifdef TIERED_HAVE_BDEV_FILE
#define tiered_holding file

static inline struct tiered_holding *tiered_hold(dev_t devt)
{
	return bdev_file_open_by_dev(devt, BLK_OPEN_READ, NULL, NULL);
}

static inline void tiered_let_go(struct tiered_holding *holding)
{
	bdev_fput(holding);
}
#else
#define tiered_holding block_device

static inline struct tiered_holding *tiered_hold(dev_t devt)
{
	return blkdev_get_by_dev(devt, FMODE_READ, NULL);
}

static inline void tiered_let_go(struct tiered_holding *holding)
{
	blkdev_put(holding, FMODE_READ);
}
#endif

/* No polled I/O, where that is a limit; elsewhere the queue's flag follows the disk, and bios lose theirs in map(). */
static inline void tiered_limit_no_polling(struct queue_limits *limits)
{
#ifdef BLK_FEAT_POLL
	limits->features &= ~BLK_FEAT_POLL;
#endif
}

/* A limit for write-zeroes that unmaps has to be the same as the plain one, or 0, where it exists. */
static inline void tiered_limit_write_zeroes(struct queue_limits *limits, unsigned int sectors)
{
	limits->max_write_zeroes_sectors = sectors;
#ifdef TIERED_HAVE_WZEROES_UNMAP
	limits->max_hw_wzeroes_unmap_sectors = min(limits->max_hw_wzeroes_unmap_sectors, sectors);
#endif
}

#endif
