// SPDX-License-Identifier: GPL-2.0-only
/* The volume as memory: the character device, its files, and who is told when the fast tier goes. */
#include "memory.h"

#include <linux/cdev.h>
#include <linux/dax.h>
#include <linux/device.h>
#include <linux/device-mapper.h>
#include <linux/fadvise.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "calls.h"
#include "compat/compat.h"
#include "fill.h"
#include "volume.h"

/* Of the file system that has nothing but the inodes of memory devices; in no table of the kernel's. */
#define MAGIC 0x74696572

/* Volumes that can have memory at once. */
#define MINORS 1024

struct tiered_memory {
	struct list_head listed; /* under memories_lock */
	struct kref users;	 /* the volume, and each file */
	atomic_t files;
	struct tiered_mappings mappings;
	char name[DM_NAME_LEN];
	int minor;
	dev_t devt;		/* of /dev/mapper/NAME */
	struct dax_device *dax; /* of which we are the holder */
	struct mutex lock;	/* changes of the state, by the volume and by the DAX core; within memories_lock */
	bool gone;		/* the fast tier goes */
};

struct memory_file {
	struct tiered_memory *memory;
	struct tiered_holding *holding; /* of the mapped device, which is in use */
	struct tiered_hints hints;
};

/* Those whose volume is there, for who opens one and for the DAX core. */
static LIST_HEAD(memories);
static DEFINE_MUTEX(memories_lock);
static DEFINE_IDA(minors);

/*----------------------------------------------------------------*/
/* The file system of the inodes: one address space for all mappings of a volume */

static int init_fs_context(struct fs_context *context)
{
	return init_pseudo(context, MAGIC) ? 0 : -ENOMEM;
}

/* Without an owner: its mount, which is ours, would keep the module from being unloaded. */
static struct file_system_type memory_fs = {
	.name = "tiered-memory",
	.init_fs_context = init_fs_context,
	.kill_sb = kill_anon_super,
};

static struct vfsmount *memory_mount;

/*----------------------------------------------------------------*/
/* Files */

static void free_memory(struct kref *users)
{
	struct tiered_memory *memory = container_of(users, struct tiered_memory, users);

	tiered_mappings_exit(&memory->mappings);
	iput(memory->mappings.inode);
	ida_free(&minors, memory->minor);
	kfree(memory);
}

static struct memory_file *file_of(const struct vm_fault *vmf)
{
	return vmf->vma->vm_file->private_data;
}

static vm_fault_t memory_fault(struct vm_fault *vmf)
{
	struct memory_file *file = file_of(vmf);

	return tiered_mappings_fault(&file->memory->mappings, vmf, &file->hints);
}

static vm_fault_t memory_pfn_mkwrite(struct vm_fault *vmf)
{
	return tiered_mappings_upgrade(&file_of(vmf)->memory->mappings, vmf);
}

/* For ptrace and /proc/PID/mem, which find no struct pages. */
static int memory_access(struct vm_area_struct *vma, unsigned long address, void *buffer, int bytes, int write)
{
	struct memory_file *file = vma->vm_file->private_data;

	return tiered_calls_access(&file->memory->mappings, vma, address, buffer, bytes, write);
}

static const struct vm_operations_struct memory_vm_ops = {
	.fault = memory_fault,
	.pfn_mkwrite = memory_pfn_mkwrite,
	.access = memory_access,
};

static int memory_mmap(struct file *filp, struct vm_area_struct *vma)
{
	/* A private mapping would be of pages that have no struct page to copy from. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	tiered_vm_flags_set(vma, VM_PFNMAP | VM_DONTDUMP);
	vma->vm_ops = &memory_vm_ops;
	return 0;
}

static ssize_t memory_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct memory_file *file = iocb->ki_filp->private_data;

	return tiered_calls_read(&file->memory->mappings, &file->hints, iocb, to);
}

static ssize_t memory_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct memory_file *file = iocb->ki_filp->private_data;

	return tiered_calls_write(&file->memory->mappings, iocb, from);
}

static loff_t memory_llseek(struct file *filp, loff_t offset, int whence)
{
	struct memory_file *file = filp->private_data;

	return fixed_size_llseek(filp, offset, whence, READ_ONCE(file->memory->mappings.pages) << PAGE_SHIFT);
}

static long memory_ioctl(struct file *filp, unsigned int request, unsigned long argument)
{
	struct memory_file *file = filp->private_data;

	return tiered_calls_ioctl(&file->memory->mappings, filp->f_mode & FMODE_WRITE, request, argument);
}

/* What a suspend, which is over, made of what was stored before it. */
static int result_of_suspend(struct tiered_memory *memory)
{
	int r = -EAGAIN;

	mutex_lock(&memory->lock);
	if (READ_ONCE(memory->mappings.state) == TIERED_MAPPINGS_SUSPENDED)
		r = memory->mappings.unflushed ? -EIO : 0;
	mutex_unlock(&memory->lock);
	return r;
}

static int memory_fsync(struct file *filp, loff_t start, loff_t end, int datasync)
{
	struct tiered_memory *memory = ((struct memory_file *)filp->private_data)->memory;
	int r;

	do {
		r = tiered_mappings_sync(&memory->mappings, start >> PAGE_SHIFT, ((u64)end >> PAGE_SHIFT) + 1);
		if (r == -EAGAIN)
			r = result_of_suspend(memory);
	} while (r == -EAGAIN);
	return r;
}

/* What of posix_fadvise(2), and of madvise(2), which comes here for MADV_WILLNEED, means something. */
static int memory_fadvise(struct file *filp, loff_t offset, loff_t bytes, int advice)
{
	struct tiered_memory *memory = ((struct memory_file *)filp->private_data)->memory;
	u64 first, end;

	if (offset < 0 || bytes < 0)
		return -EINVAL;
	first = offset >> PAGE_SHIFT;
	/* 0: up to the end, and nothing is larger than a volume can be. */
	end = bytes ? DIV_ROUND_UP_ULL((u64)offset + bytes, PAGE_SIZE) : TIERED_PAGES_MAX;
	if (first >= TIERED_PAGES_MAX)
		return -EINVAL;
	end = min_t(u64, end, TIERED_PAGES_MAX);
	switch (advice) {
	case POSIX_FADV_WILLNEED:
		return tiered_mappings_will_need(&memory->mappings, first, end);
	case POSIX_FADV_DONTNEED:
		return tiered_mappings_need_not(&memory->mappings, first, end);
	case POSIX_FADV_NORMAL:
	case POSIX_FADV_RANDOM:
	case POSIX_FADV_SEQUENTIAL:
	case POSIX_FADV_NOREUSE:
		return 0;
	default:
		return -EINVAL;
	}
}

static bool is_withheld(struct tiered_memory *memory)
{
	return READ_ONCE(memory->mappings.state) == TIERED_MAPPINGS_WITHHELD;
}

/* The memory with @minor, for one more user, or NULL. */
static struct tiered_memory *get_memory(int minor)
{
	struct tiered_memory *memory, *found = NULL;

	mutex_lock(&memories_lock);
	list_for_each_entry(memory, &memories, listed)
		if (memory->minor == minor)
			found = memory;
	if (found)
		kref_get(&found->users);
	mutex_unlock(&memories_lock);
	return found;
}

/* Without a lock: the block device may be busy for long. */
static struct memory_file *new_file(struct tiered_memory *memory)
{
	struct memory_file *file;

	if (is_withheld(memory))
		return ERR_PTR(-EROFS);
	file = kzalloc(sizeof(*file), GFP_KERNEL);
	if (!file)
		return ERR_PTR(-ENOMEM);
	file->memory = memory;
	file->hints = TIERED_NO_HINTS;
	file->holding = tiered_hold(memory->devt);
	if (IS_ERR(file->holding)) {
		void *error = file->holding;

		kfree(file);
		return error;
	}
	return file;
}

static int memory_open(struct inode *inode, struct file *filp)
{
	struct tiered_memory *memory = get_memory(iminor(inode));
	struct memory_file *file;

	if (!memory)
		return -ENXIO;
	file = new_file(memory);
	if (IS_ERR(file)) {
		kref_put(&memory->users, free_memory);
		return PTR_ERR(file);
	}
	atomic_inc(&memory->files);
	filp->private_data = file;
	filp->f_mapping = memory->mappings.inode->i_mapping;
	return 0;
}

static int memory_release(struct inode *inode, struct file *filp)
{
	struct memory_file *file = filp->private_data;
	struct tiered_memory *memory = file->memory;

	tiered_let_go(file->holding);
	if (atomic_dec_and_test(&memory->files))
		tiered_mappings_forget(&memory->mappings);
	kref_put(&memory->users, free_memory);
	kfree(file);
	return 0;
}

static const struct file_operations memory_fops = {
	.owner = THIS_MODULE,
	.open = memory_open,
	.release = memory_release,
	.llseek = memory_llseek,
	.read_iter = memory_read_iter,
	.write_iter = memory_write_iter,
	.unlocked_ioctl = memory_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = memory_mmap,
	.fsync = memory_fsync,
	.fadvise = memory_fadvise,
	TIERED_FOPS_MMAP_SYNC
};

/*----------------------------------------------------------------*/
/* The fast tier goes */

/*
 * The DAX core tells us before the namespace goes, and of memory that cannot be read. Loads and stores must not reach what may
 * be somebody else's next.
 */
static int memory_notify_failure(struct dax_device *dax, u64 offset_bytes, u64 bytes, int flags)
{
	bool goes = !offset_bytes && bytes == U64_MAX;
	struct tiered_memory *memory;

	/* One that ends is not in the list any more: its volume may be gone, and dax_holder() with it. */
	mutex_lock(&memories_lock);
	list_for_each_entry(memory, &memories, listed) {
		if (memory->dax != dax)
			continue;
		if (!goes) {
			tiered_mappings_condemn(&memory->mappings, offset_bytes, bytes);
			continue;
		}
		mutex_lock(&memory->lock);
		memory->gone = true;
		tiered_mappings_stop(&memory->mappings, TIERED_MAPPINGS_WITHHELD);
		mutex_unlock(&memory->lock);
	}
	mutex_unlock(&memories_lock);
	/* Of bad memory the kernel has its own way to tell who has just stumbled upon it. */
	return goes ? 0 : -EOPNOTSUPP;
}

static const struct dax_holder_operations holder_ops = {
	.notify_failure = memory_notify_failure,
};

/*----------------------------------------------------------------*/
/* Life */

static struct class memory_class = {
	.name = "tiered",
};

static dev_t first_devt;
static struct cdev memory_cdev;
static dev_t devt_of(const struct tiered_memory *memory)
{
	return MKDEV(MAJOR(first_devt), MINOR(first_devt) + memory->minor);
}

/* Puts @memory into the list, from where it is found by those who open it and by the DAX core. */
static int list_memory(struct tiered_memory *memory)
{
	const struct tiered_memory *other;
	int r = 0;

	mutex_lock(&memories_lock);
	list_for_each_entry(other, &memories, listed)
		/* A volume that was renamed has it. */
		if (!strcmp(other->name, memory->name))
			r = -EEXIST;
	if (!r)
		list_add(&memory->listed, &memories);
	mutex_unlock(&memories_lock);
	return r;
}

static void unlist_memory(struct tiered_memory *memory)
{
	mutex_lock(&memories_lock);
	list_del(&memory->listed);
	mutex_unlock(&memories_lock);
}

/* Becomes the holder of the fast tier, and makes the device. Returns 0, or a negative errno and nothing is left of it. */
static int show_memory(struct tiered_memory *memory, struct dm_dev *fast)
{
	struct device *device;
	u64 offset;

	/* One holder for a device: of two volumes on partitions of one, the first has memory. */
	if (!fs_dax_get_by_bdev(fast->bdev, &offset, memory, &holder_ops))
		return -EBUSY;
	/* devtmpfs makes a folder of what is before the `!`. */
	device = device_create(&memory_class, NULL, devt_of(memory), NULL, "tiered!%s", memory->name);
	if (!IS_ERR(device))
		return 0;
	fs_put_dax(memory->dax, memory);
	return PTR_ERR(device);
}

/* Returns 0, or a negative errno and nothing is left. */
static int init_memory(struct tiered_memory *memory, struct tiered_volume *volume, struct dm_dev *fast)
{
	char uuid[DM_UUID_LEN];
	struct inode *inode;
	int r;

	kref_init(&memory->users);
	mutex_init(&memory->lock);
	memory->devt = volume->devt;
	memory->dax = volume->fast.dax;
	r = dm_copy_name_and_uuid(volume->owner, memory->name, uuid);
	if (r)
		return r;
	memory->minor = ida_alloc_max(&minors, MINORS - 1, GFP_KERNEL);
	if (memory->minor < 0)
		return memory->minor;
	inode = alloc_anon_inode(memory_mount->mnt_sb);
	r = PTR_ERR_OR_ZERO(inode);
	if (r)
		goto bad_minor;
	r = tiered_mappings_init(&memory->mappings, volume, inode);
	if (r)
		goto bad_inode;
	/* Listed first: the fast tier may go as soon as we are its holder. */
	r = list_memory(memory);
	if (r)
		goto bad_mappings;
	r = show_memory(memory, fast);
	if (!r)
		return 0;
	unlist_memory(memory);
bad_mappings:
	tiered_mappings_exit(&memory->mappings);
bad_inode:
	iput(inode);
bad_minor:
	ida_free(&minors, memory->minor);
	return r;
}

static struct tiered_memory *memory_of(struct tiered_volume *volume)
{
	return container_of(volume->mappings, struct tiered_memory, mappings);
}

void tiered_memory_bring(struct tiered_volume *volume, struct dm_dev *fast)
{
	struct tiered_memory *memory;
	unsigned int flags;
	int r = -ENOMEM;

	if (volume->memory_tried)
		return;
	volume->memory_tried = true;
	/* A volume that was read-only until now is suspended, and takes no I/O of reclaim's. */
	flags = memalloc_noio_save();
	memory = kzalloc(sizeof(*memory), GFP_KERNEL);
	if (memory)
		r = init_memory(memory, volume, fast);
	memalloc_noio_restore(flags);
	if (r) {
		kfree(memory);
		DMWARN("%s: there is no /dev/tiered device for it (%d); close the volume and open it again for another attempt",
		       volume->name, r);
		return;
	}
	volume->mappings = &memory->mappings;
}

void tiered_memory_start(struct tiered_volume *volume)
{
	const struct tiered_options *options = &volume->options;
	struct tiered_memory *memory;

	if (!volume->mappings)
		return;
	memory = memory_of(volume);
	mutex_lock(&memory->lock);
	tiered_mappings_start(&memory->mappings, !options->read_only && !options->writethrough && !memory->gone);
	mutex_unlock(&memory->lock);
}

void tiered_memory_stop(struct tiered_volume *volume)
{
	struct tiered_memory *memory;

	if (!volume->mappings)
		return;
	memory = memory_of(volume);
	mutex_lock(&memory->lock);
	tiered_mappings_stop(&memory->mappings, TIERED_MAPPINGS_SUSPENDED);
	mutex_unlock(&memory->lock);
}

void tiered_memory_end(struct tiered_volume *volume)
{
	struct tiered_memory *memory;

	if (!volume->mappings)
		return;
	memory = memory_of(volume);
	device_destroy(&memory_class, devt_of(memory));
	/* Whoever of the DAX core has found it is waited for, and nobody finds it any more. */
	unlist_memory(memory);
	fs_put_dax(memory->dax, memory);
	mutex_lock(&memory->lock);
	tiered_mappings_stop(&memory->mappings, TIERED_MAPPINGS_ENDED);
	mutex_unlock(&memory->lock);
	volume->mappings = NULL;
	kref_put(&memory->users, free_memory);
}

int tiered_memory_module_init(void)
{
	int r;

	memory_mount = kern_mount(&memory_fs);
	if (IS_ERR(memory_mount))
		return PTR_ERR(memory_mount);
	r = class_register(&memory_class);
	if (r)
		goto bad_mount;
	r = alloc_chrdev_region(&first_devt, 0, MINORS, "tiered");
	if (r)
		goto bad_class;
	cdev_init(&memory_cdev, &memory_fops);
	memory_cdev.owner = THIS_MODULE;
	r = cdev_add(&memory_cdev, first_devt, MINORS);
	if (!r)
		return 0;
	unregister_chrdev_region(first_devt, MINORS);
bad_class:
	class_unregister(&memory_class);
bad_mount:
	kern_unmount(memory_mount);
	return r;
}

void tiered_memory_module_exit(void)
{
	cdev_del(&memory_cdev);
	unregister_chrdev_region(first_devt, MINORS);
	class_unregister(&memory_class);
	kern_unmount(memory_mount);
}
