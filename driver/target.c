// SPDX-License-Identifier: GPL-2.0-only
/* The device-mapper target: table line, life cycle, what stands below. */
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "alone.h"
#include "compat/compat.h"
#include "io.h"
#include "memory.h"
#include "target.h"
#include "volume.h"

#define DIRTY_HIGH_PERCENT 60
#define DIRTY_LOW_PERCENT 40
#define LATENCY_TARGET_US 10000
#define LATENCY_TARGET_US_MAX 10000000

#define DISCARD_SECTORS_MAX (TIERED_ZERO_PAGES_MAX * TIERED_SECTORS_PER_PAGE)

/*----------------------------------------------------------------*/
/* The table line: <fast_dev> <#capacity_devs> <capacity_dev>... [<#opts> <opt> [<value>]...] */

static int parse_percent(struct dm_arg_set *args, u8 *percent, bool *set, char **error)
{
	static const struct dm_arg arg = { 1, 95, "A percentage must be a number from 1 to 95" };
	unsigned int value;
	int r = dm_read_arg(&arg, args, &value, error);

	if (r)
		return r;
	*percent = value;
	*set = true;
	return 0;
}

static int parse_admission(struct dm_arg_set *args, struct tiered_options *options, char **error)
{
	const char *name = dm_shift_arg(args);
	int mode = name ? tiered_admission_mode_parse(name) : -EINVAL;

	if (mode < 0) {
		*error = "Unknown admission; it is one of small, all, none, thrifty";
		return mode;
	}
	options->admission = mode;
	options->admission_set = true;
	return 0;
}

static int parse_latency_target(struct dm_arg_set *args, struct tiered_options *options, char **error)
{
	static const struct dm_arg arg = { 0, LATENCY_TARGET_US_MAX, "latency_target_us must be a number up to 10000000" };
	unsigned int value;
	int r = dm_read_arg(&arg, args, &value, error);

	if (r)
		return r;
	options->latency_target_us = value;
	options->latency_target_set = true;
	return 0;
}

static int parse_option(struct dm_arg_set *args, struct tiered_options *options, char **error)
{
	const char *name = dm_shift_arg(args);

	if (!strcasecmp(name, "read_only")) {
		options->read_only = true;
		return 0;
	}
	if (!strcasecmp(name, "writethrough")) {
		options->writethrough = true;
		return 0;
	}
	if (!strcasecmp(name, "memory_only")) {
		options->memory_only = true;
		return 0;
	}
	if (!strcasecmp(name, "nothing_dirty")) {
		options->nothing_dirty = true;
		return 0;
	}
	/* The other options have one value. */
	if (!args->argc) {
		*error = "An option lacks its value, or is not known; known are read_only, writethrough, memory_only, "
			 "nothing_dirty, admission, dirty_high, dirty_low, latency_target_us";
		return -EINVAL;
	}
	if (!strcasecmp(name, "admission"))
		return parse_admission(args, options, error);
	if (!strcasecmp(name, "dirty_high"))
		return parse_percent(args, &options->dirty_high_percent, &options->dirty_high_set, error);
	if (!strcasecmp(name, "dirty_low"))
		return parse_percent(args, &options->dirty_low_percent, &options->dirty_low_set, error);
	if (!strcasecmp(name, "latency_target_us"))
		return parse_latency_target(args, options, error);
	*error = "Unknown option; known are read_only, writethrough, memory_only, nothing_dirty, admission <name>, dirty_high "
		 "<percent>, dirty_low <percent>, latency_target_us <n>";
	return -EINVAL;
}

static int parse_options(struct dm_arg_set *args, struct tiered_options *options, char **error)
{
	static const struct dm_arg count_arg = { 0, 16, "The number of option arguments is wrong" };
	struct dm_arg_set group = *args;
	unsigned int count = 0;
	int r = 0;

	options->dirty_high_percent = DIRTY_HIGH_PERCENT;
	options->dirty_low_percent = DIRTY_LOW_PERCENT;
	options->latency_target_us = LATENCY_TARGET_US;
	if (args->argc) {
		r = dm_read_arg_group(&count_arg, args, &count, error);
		group = *args;
	}
	if (!r && count != group.argc) {
		*error = "There are arguments behind the last option; the first number after the devices counts them";
		r = -EINVAL;
	}
	while (!r && group.argc)
		r = parse_option(&group, options, error);
	if (!r && options->dirty_low_percent >= options->dirty_high_percent) {
		*error = "dirty_low must be below dirty_high";
		r = -EINVAL;
	}
	return r;
}

static int open_device(struct tiered *t, struct dm_arg_set *args, struct dm_dev **dev, char *error)
{
	int r = dm_get_device(t->ti, dm_shift_arg(args), dm_table_get_mode(t->ti->table), dev);

	if (r)
		t->ti->error = error;
	return r;
}

/* The fast device, unless the table says `-`. */
static int open_fast(struct tiered *t, struct dm_arg_set *args)
{
	if (!strcmp(args->argv[0], "-")) {
		dm_shift_arg(args);
		return 0;
	}
	return open_device(t, args, &t->fast, "The fast device cannot be opened");
}

static dev_t fast_devt(const struct tiered *t)
{
	return t->fast ? t->fast->bdev->bd_dev : 0;
}

static int open_devices(struct tiered *t, struct dm_arg_set *args)
{
	static const struct dm_arg count_arg = { 1, 1, "The number of capacity devices must be 1 in this version" };
	unsigned int count;
	int r;

	if (args->argc < 3) {
		t->ti->error = "Too few arguments: <fast_dev> <#capacity_devs> <capacity_dev>... are needed";
		return -EINVAL;
	}
	r = open_fast(t, args);
	if (!r)
		r = dm_read_arg(&count_arg, args, &count, &t->ti->error);
	if (!r)
		r = open_device(t, args, &t->home, "The capacity device cannot be opened");
	if (r)
		return r;
	if (fast_devt(t) == t->home->bdev->bd_dev) {
		t->ti->error = "The fast device and the capacity device are the same";
		return -EINVAL;
	}
	if (bdev_logical_block_size(t->home->bdev) > TIERED_FRAME_BYTES) {
		t->ti->error = "A capacity device with logical blocks larger than 4096 bytes cannot be used: pages of 4096 "
			       "bytes go home one by one";
		return -EINVAL;
	}
	if (bdev_is_zoned(t->home->bdev)) {
		t->ti->error = "A zoned capacity device cannot be used: homes are overwritten in place";
		return -EINVAL;
	}
	if (bdev_get_integrity(t->home->bdev)) {
		t->ti->error = "A capacity device with protection information cannot be used: the volume would not "
			       "keep it end to end; format the device without it";
		return -EINVAL;
	}
	return 0;
}

/* What the table does not say, or may not. */
static int settle_options(struct tiered *t)
{
	if (t->fast && t->options.nothing_dirty) {
		t->ti->error = "nothing_dirty is for a volume without its fast tier (`-` as the fast device)";
		return -EINVAL;
	}
	/* What only the missing fast tier has must not be overwritten by what is derived from older contents. */
	if (!(dm_table_get_mode(t->ti->table) & TIERED_MODE_WRITE) || (!t->fast && !t->options.nothing_dirty))
		t->options.read_only = true;
	if (t->options.memory_only && (t->options.read_only || t->options.writethrough || !t->fast)) {
		t->ti->error = "memory_only is for a volume that has memory: not read-only, not written through, and with its "
			       "fast tier";
		return -EINVAL;
	}
	return 0;
}

static void tiered_free(struct tiered *t)
{
	if (t->volume)
		tiered_volume_leave(t->volume);
	if (t->home)
		dm_put_device(t->ti, t->home);
	if (t->fast)
		dm_put_device(t->ti, t->fast);
	kfree(t);
}

static void set_target_features(struct tiered *t)
{
	struct dm_target *ti = t->ti;

	ti->per_io_data_size = sizeof(struct tiered_io);
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	/* Alone, the disk says what it can do. */
	if (!t->fast) {
		ti->num_discard_bios = ti->num_write_zeroes_bios = 1;
		return;
	}
	/* Old data must not come back, so a discard is as good as the disk's way to write zeroes. */
	if (bdev_write_zeroes_sectors(t->home->bdev)) {
		ti->num_discard_bios = 1;
		ti->discards_supported = true;
		ti->num_write_zeroes_bios = 1;
	}
}

/* What would be refused at resume as well, where a refusal leaves a live volume suspended. */
static int check_live(struct tiered *t)
{
	const struct tiered_volume *volume = t->volume;
	struct dm_target *ti = t->ti;

	if (!t->fast || !smp_load_acquire(&volume->loaded))
		return 0;
	if (ti->len < volume->sectors) {
		ti->error = "The table is shorter than the volume, which cannot shrink; use the length that `dmsetup table` shows";
		return -EINVAL;
	}
	if (t->options.read_only && ti->len > volume->sectors) {
		ti->error = "A volume cannot grow while it is read-only; use the length that `dmsetup table` shows";
		return -EROFS;
	}
	if (!t->options.read_only && !volume->settled &&
	    (bdev_read_only(t->fast->bdev) || tiered_superblock_read_only(volume->media.sb))) {
		ti->error = "The volume can only be read; use the option read_only";
		return -EROFS;
	}
	if (t->options.memory_only && volume->memory_tried && !volume->mappings) {
		ti->error = "The volume has no memory, which memory_only would make the only way to it; leave the option away";
		return -EBUSY;
	}
	return 0;
}

static int tiered_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_arg_set args = { .argc = argc, .argv = argv };
	struct tiered_volume *volume;
	struct tiered *t;
	int r;

	if (ti->begin) {
		ti->error = "A tiered target must begin at sector 0: page and home have the same number";
		return -EINVAL;
	}
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t) {
		ti->error = "Out of memory";
		return -ENOMEM;
	}
	t->ti = ti;
	ti->private = t;
	if (tiered_volume_pages(ti->len) > TIERED_PAGES_MAX) {
		ti->error = "The table is longer than a volume can be (4 PiB)";
		r = -EINVAL;
		goto bad;
	}
	r = open_devices(t, &args);
	if (!r)
		r = parse_options(&args, &t->options, &ti->error);
	if (!r)
		r = settle_options(t);
	if (r)
		goto bad;
	volume = tiered_volume_join(fast_devt(t), t->home->bdev->bd_dev, dm_table_get_md(ti->table), &ti->error);
	if (IS_ERR(volume)) {
		r = PTR_ERR(volume);
		goto bad;
	}
	t->volume = volume;
	r = check_live(t);
	if (r)
		goto bad;
	set_target_features(t);
	return 0;
bad:
	tiered_free(t);
	return r;
}

static void tiered_dtr(struct dm_target *ti)
{
	tiered_free(ti->private);
}

/*----------------------------------------------------------------*/
/* I/O */

/* The block device of a volume that is memory alone. */
static int refuse(struct tiered *t)
{
	if (!test_and_set_bit(0, &t->refused))
		DMWARN("%s: its block device was asked for, and answers errors because the table says memory_only; use "
		       "/dev/tiered/%s, or open the volume without the option", t->volume->name, t->volume->name);
	return DM_MAPIO_KILL;
}

static int tiered_map(struct dm_target *ti, struct bio *bio)
{
	struct tiered *t = ti->private;

	if (unlikely(t->options.memory_only))
		return refuse(t);
	if (unlikely(!t->fast))
		return tiered_alone_map(t->volume, bio, t->options.read_only);
	return tiered_io_map(t->volume, bio);
}

static int tiered_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *status)
{
	struct tiered *t = ti->private;

	return t->fast ? tiered_io_end(t->volume, bio, status) : DM_ENDIO_DONE;
}

/*----------------------------------------------------------------*/
/* Life cycle */

/* Not in the constructor: a reload constructs the new instance while the old one still serves. */
static int tiered_preresume(struct dm_target *ti)
{
	struct tiered *t = ti->private;

	if (!t->fast)
		return tiered_alone_activate(t->volume, t->home, ti->len);
	return tiered_volume_activate(t->volume, t->fast, t->home, ti->len, &t->options);
}

static void tiered_resume(struct dm_target *ti)
{
	struct tiered *t = ti->private;

	if (t->fast)
		tiered_volume_start(t->volume, ti);
	/* Or a program that writes it would hear of the errors only when the page cache does. dm has made it writable before. */
	if (t->options.memory_only)
		set_disk_ro(dm_disk(t->volume->owner), true);
}

/* dm has waited for every request; dirty pages stay where they are, they are durable there. */
static void tiered_postsuspend(struct dm_target *ti)
{
	struct tiered *t = ti->private;

	if (t->fast)
		tiered_volume_stop(t->volume);
}

/*----------------------------------------------------------------*/
/* What stands below */

/*
 * The fast device is left out: dm would take away NOWAIT, which pmem does not advertise, and stack limits that are
 * not the volume's. It is never sent a bio.
 */
static int tiered_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct tiered *t = ti->private;

	return fn(ti, t->home, 0, ti->len, data);
}

static void tiered_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	/* Smaller writes are served, but what is not resident goes to the disk. */
	limits->physical_block_size = max_t(unsigned int, limits->physical_block_size, TIERED_FRAME_BYTES);
	limits->io_min = max_t(unsigned int, limits->io_min, TIERED_FRAME_BYTES);
	tiered_limit_no_polling(limits);
	if (ti->discards_supported) {
		limits->discard_granularity = TIERED_FRAME_BYTES;
		limits->max_discard_sectors = DISCARD_SECTORS_MAX;
		limits->max_hw_discard_sectors = DISCARD_SECTORS_MAX;
		/* The block layer cuts requests at this limit; a piece that does not end on a page is declined. */
		tiered_limit_write_zeroes(limits, min(round_down(limits->max_write_zeroes_sectors,
								 TIERED_SECTORS_PER_PAGE),
						      DISCARD_SECTORS_MAX));
	}
}

static struct target_type tiered_target = {
	.name = "tiered",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_NOWAIT | DM_TARGET_SINGLETON,
	.module = THIS_MODULE,
	.ctr = tiered_ctr,
	.dtr = tiered_dtr,
	.map = tiered_map,
	.end_io = tiered_end_io,
	.preresume = tiered_preresume,
	.resume = tiered_resume,
	.postsuspend = tiered_postsuspend,
	.status = tiered_status,
	.message = tiered_message,
	.iterate_devices = tiered_iterate_devices,
	.io_hints = tiered_io_hints,
};

static int __init tiered_init(void)
{
	int r = tiered_memory_module_init();

	if (r)
		return r;
	r = dm_register_target(&tiered_target);
	if (r)
		tiered_memory_module_exit();
	return r;
}

static void __exit tiered_exit(void)
{
	dm_unregister_target(&tiered_target);
	tiered_memory_module_exit();
}

module_init(tiered_init);
module_exit(tiered_exit);

MODULE_DESCRIPTION("device-mapper target for tiered persistent memory and disks");
MODULE_LICENSE("GPL");
MODULE_AUTHOR("dm-tiered project");
MODULE_ALIAS("dm-tiered");
