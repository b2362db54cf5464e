// SPDX-License-Identifier: GPL-2.0-only
/*
 * A target that has nothing to do with the driver, for the campaign to be held against: 0 <sectors> forgetful <pmem_dev>.
 * Each page has two slots and a word that says which one is the newest (0: the page is zero). A write fills the other
 * slot and then stores the word. Built with FORGETFUL_FORGETS the slot may still be on its way when the word is durable.
 */
#include <linux/bio.h>
#include <linux/dax.h>
#include <linux/device-mapper.h>
#include <linux/libnvdimm.h>
#include <linux/module.h>
#include <linux/slab.h>

#define DM_MSG_PREFIX "forgetful"
#define SLOT_BYTES 4096u
#define SLOT_SECTORS 8u
#define PAGES_MAX (SLOT_BYTES / sizeof(__le64)) /* their words share one page */

struct forgetful {
	struct dm_dev *dev;
	spinlock_t lock; /* one request at a time */
	__le64 *newest;	 /* by page; slots follow in the next page */
};

static u8 *slot_of(struct forgetful *target, u64 page, unsigned int slot)
{
	return (u8 *)target->newest + SLOT_BYTES * (1 + 2 * page + slot);
}

static void store(u8 *to, const void *from, size_t bytes)
{
	memcpy_flushcache(to, from, bytes);
}

static void write_page(struct forgetful *target, struct bio *bio, u64 page, u32 at)
{
	u64 newest = le64_to_cpu(target->newest[page]);
	u8 *to = slot_of(target, page, newest == 1);
	struct bvec_iter iter;
	struct bio_vec part;

	store(to, newest ? slot_of(target, page, newest - 1) : page_address(ZERO_PAGE(0)), SLOT_BYTES);
	bio_for_each_segment(part, bio, iter) {
		void *from = bvec_kmap_local(&part);

		store(to + at, from, part.bv_len);
		kunmap_local(from);
		at += part.bv_len;
	}
#ifndef FORGETFUL_FORGETS
	pmem_wmb();
#endif
	WRITE_ONCE(target->newest[page], cpu_to_le64(newest == 1 ? 2 : 1));
	arch_wb_cache_pmem(&target->newest[page], sizeof(__le64));
	pmem_wmb();
}

static void read_page(struct forgetful *target, struct bio *bio, u64 page, u32 at)
{
	u64 newest = le64_to_cpu(target->newest[page]);
	struct bvec_iter iter;
	struct bio_vec part;

	bio_for_each_segment(part, bio, iter) {
		if (newest)
			memcpy_to_bvec(&part, slot_of(target, page, newest - 1) + at);
		else
			memzero_bvec(&part);
		at += part.bv_len;
	}
}

static int forgetful_map(struct dm_target *ti, struct bio *bio)
{
	struct forgetful *target = ti->private;
	u64 sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	u64 page = sector / SLOT_SECTORS;
	u32 at = sector % SLOT_SECTORS << SECTOR_SHIFT;

	spin_lock(&target->lock);
	if (bio_op(bio) == REQ_OP_WRITE && bio_sectors(bio))
		write_page(target, bio, page, at);
	else if (bio_op(bio) == REQ_OP_READ)
		read_page(target, bio, page, at);
	spin_unlock(&target->lock);
	bio_endio(bio); /* a FLUSH finds everything durable */
	return DM_MAPIO_SUBMITTED;
}

static int map_memory(struct forgetful *target, u64 pages)
{
	long needed = 1 + 2 * pages, got;
	void *start;
	int id = dax_read_lock();

	got = dax_direct_access(target->dev->dax_dev, 0, needed, DAX_ACCESS, &start, NULL);
	dax_read_unlock(id);
	target->newest = start;
	return got < needed ? -EINVAL : 0;
}

static void forgetful_dtr(struct dm_target *ti)
{
	struct forgetful *target = ti->private;

	dm_put_device(ti, target->dev);
	kfree(target);
}

static int forgetful_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	u64 pages = ti->len / SLOT_SECTORS;
	struct forgetful *target;

	if (argc != 1 || ti->len % SLOT_SECTORS || pages > PAGES_MAX) {
		ti->error = "give a pmem device, and a length of whole pages, 512 at most";
		return -EINVAL;
	}
	target = kzalloc(sizeof(*target), GFP_KERNEL);
	if (!target)
		return -ENOMEM;
	spin_lock_init(&target->lock);
	ti->private = target;
	if (dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &target->dev)) {
		ti->error = "there is no such device";
		kfree(target);
		return -EINVAL;
	}
	if (!target->dev->dax_dev || map_memory(target, pages)) {
		ti->error = "the device is no persistent memory, or too small";
		forgetful_dtr(ti);
		return -EINVAL;
	}
	ti->num_flush_bios = 1;
	return dm_set_target_max_io_len(ti, SLOT_SECTORS);
}

static struct target_type forgetful_target = {
	.name = "forgetful",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = forgetful_ctr,
	.dtr = forgetful_dtr,
	.map = forgetful_map,
};

static int __init forgetful_init(void)
{
	return dm_register_target(&forgetful_target);
}

static void __exit forgetful_exit(void)
{
	dm_unregister_target(&forgetful_target);
}

module_init(forgetful_init);
module_exit(forgetful_exit);

MODULE_DESCRIPTION("Control of the power-loss campaign");
MODULE_LICENSE("GPL");
