// SPDX-License-Identifier: GPL-2.0-only
/* The device-mapper target: table line, life cycle, status, messages. */
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uuid.h>

#include "bad.h"
#include "compat/compat.h"
#include "core/status.h"
#include "heat.h"
#include "io.h"
#include "volume.h"

#define DIRTY_HIGH_PERCENT 60
#define DIRTY_LOW_PERCENT 40
#define LATENCY_TARGET_US 10000
#define LATENCY_TARGET_US_MAX 10000000

/* One discard keeps the range it covers from being written for as long as the disk takes. */
#define DISCARD_SECTORS_MAX (256u << 20 >> TIERED_SECTOR_SHIFT)

/* An instance: one per table that is loaded, active or not. */
struct tiered {
	struct dm_target *ti;
	struct dm_dev *fast;
	struct dm_dev *home;
	struct tiered_options options;
	struct tiered_volume *volume;
};

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
		*error = "Unknown admission; it is one of small, all, none";
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
	/* The other options have one value. */
	if (!args->argc) {
		*error = "An option lacks its value, or is not known; known are read_only, writethrough, admission, "
			 "dirty_high, dirty_low, latency_target_us";
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
	*error = "Unknown option; known are read_only, writethrough, admission <name>, dirty_high <percent>, dirty_low "
		 "<percent>, latency_target_us <n>";
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

static int open_devices(struct tiered *t, struct dm_arg_set *args)
{
	static const struct dm_arg count_arg = { 1, 1, "The number of capacity devices must be 1 in this version" };
	unsigned int count;
	int r;

	if (args->argc < 3) {
		t->ti->error = "Too few arguments: <fast_dev> <#capacity_devs> <capacity_dev>... are needed";
		return -EINVAL;
	}
	r = open_device(t, args, &t->fast, "The fast device cannot be opened");
	if (!r)
		r = dm_read_arg(&count_arg, args, &count, &t->ti->error);
	if (!r)
		r = open_device(t, args, &t->home, "The capacity device cannot be opened");
	if (r)
		return r;
	if (t->fast->bdev->bd_dev == t->home->bdev->bd_dev) {
		t->ti->error = "The fast device and the capacity device are the same";
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
	/* Old data must not come back, so a discard is as good as the disk's way to write zeroes. */
	if (bdev_write_zeroes_sectors(t->home->bdev)) {
		ti->num_discard_bios = 1;
		ti->discards_supported = true;
		ti->num_write_zeroes_bios = 1;
	}
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
	r = open_devices(t, &args);
	if (!r)
		r = parse_options(&args, &t->options, &ti->error);
	if (r)
		goto bad;
	if (!(dm_table_get_mode(ti->table) & TIERED_MODE_WRITE))
		t->options.read_only = true;
	volume = tiered_volume_join(t->fast->bdev->bd_dev, t->home->bdev->bd_dev, dm_table_get_md(ti->table),
				    &ti->error);
	if (IS_ERR(volume)) {
		r = PTR_ERR(volume);
		goto bad;
	}
	t->volume = volume;
	/* Here as well as at resume, where a refusal would leave the live volume suspended. */
	if (smp_load_acquire(&volume->loaded) && ti->len < volume->sectors) {
		ti->error = "The table is shorter than the volume, which cannot shrink; use the length that `dmsetup table` shows";
		r = -EINVAL;
		goto bad;
	}
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

static int tiered_map(struct dm_target *ti, struct bio *bio)
{
	struct tiered *t = ti->private;

	return tiered_io_map(t->volume, bio);
}

static int tiered_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *status)
{
	struct tiered *t = ti->private;

	return tiered_io_end(t->volume, bio, status);
}

/*----------------------------------------------------------------*/
/* Life cycle */

/* Not in the constructor: a reload constructs the new instance while the old one still serves. */
static int tiered_preresume(struct dm_target *ti)
{
	struct tiered *t = ti->private;

	return tiered_volume_activate(t->volume, t->fast, t->home, ti->len, &t->options);
}

static void tiered_resume(struct dm_target *ti)
{
	struct tiered *t = ti->private;

	tiered_volume_start(t->volume, ti);
}

/* dm has waited for every request; dirty pages stay where they are, they are durable there. */
static void tiered_postsuspend(struct dm_target *ti)
{
	struct tiered *t = ti->private;

	tiered_volume_stop(t->volume);
}

/*----------------------------------------------------------------*/
/* Status and messages */

struct status_fields {
#define FIELD(name) u64 name;
	TIERED_STATUS_FIELDS(FIELD)
#undef FIELD
};

static void gather_frames(struct tiered_volume *volume, struct status_fields *s)
{
	struct tiered_frames *frames = &volume->frames;
	u64 held;

	s->frame_bytes = TIERED_FRAME_BYTES;
	s->frames_total = frames->words.frames;
	s->frames_clean = percpu_counter_sum_positive(&frames->clean);
	s->frames_dirty = percpu_counter_sum_positive(&frames->dirty);
	s->frames_lost = atomic_read(&frames->lost);
	s->frames_retired = atomic_read(&frames->retired);
	held = s->frames_clean + s->frames_dirty + s->frames_lost + s->frames_retired;
	/* The counts are taken one after the other, while frames change hands. */
	s->frames_free = s->frames_total - min(held, s->frames_total);
	s->dram_bytes = frames->dram_bytes + tiered_whys_bytes(&volume->whys);
	s->metadata_bytes = volume->metadata_bytes;
}

static void gather_counters(struct tiered_stats *stats, struct status_fields *s)
{
	s->read_hits = tiered_stats_sum(stats, TIERED_READ_HITS);
	s->read_misses = tiered_stats_sum(stats, TIERED_READ_MISSES);
	s->write_hits = tiered_stats_sum(stats, TIERED_WRITE_HITS);
	s->write_fills = tiered_stats_sum(stats, TIERED_WRITE_FILLS);
	s->write_bypass = tiered_stats_sum(stats, TIERED_WRITE_BYPASS);
	s->read_fills = tiered_stats_sum(stats, TIERED_READ_FILLS);
	s->fills_dropped = tiered_stats_sum(stats, TIERED_FILLS_DROPPED);
	s->evictions = tiered_stats_sum(stats, TIERED_EVICTIONS);
	s->writeback_bytes = tiered_stats_sum(stats, TIERED_WRITEBACK_BYTES);
	s->fill_bytes = tiered_stats_sum(stats, TIERED_FILL_BYTES);
	s->flushes = tiered_stats_sum(stats, TIERED_FLUSHES);
	s->flushes_passed = tiered_stats_sum(stats, TIERED_FLUSHES_PASSED);
	s->parked = tiered_stats_sum(stats, TIERED_PARKED);
	s->media_errors = tiered_stats_sum(stats, TIERED_MEDIA_ERRORS);
}

static void gather_latencies(struct tiered_stats *stats, struct status_fields *s)
{
	s->read_hit_p50_ns = tiered_latency_percentile(stats, TIERED_PATH_READ_HIT, 50);
	s->read_hit_p99_ns = tiered_latency_percentile(stats, TIERED_PATH_READ_HIT, 99);
	s->read_miss_p50_ns = tiered_latency_percentile(stats, TIERED_PATH_READ_MISS, 50);
	s->read_miss_p99_ns = tiered_latency_percentile(stats, TIERED_PATH_READ_MISS, 99);
	s->write_fast_p50_ns = tiered_latency_percentile(stats, TIERED_PATH_WRITE_FAST, 50);
	s->write_fast_p99_ns = tiered_latency_percentile(stats, TIERED_PATH_WRITE_FAST, 99);
	s->write_bypass_p50_ns = tiered_latency_percentile(stats, TIERED_PATH_WRITE_BYPASS, 50);
	s->write_bypass_p99_ns = tiered_latency_percentile(stats, TIERED_PATH_WRITE_BYPASS, 99);
}

static const char *const state_name[] = {
	[TIERED_VOLUME_FAIL] = TIERED_STATE_FAIL,
	[TIERED_VOLUME_RW] = TIERED_STATE_RW,
	[TIERED_VOLUME_RO] = TIERED_STATE_RO,
	[TIERED_VOLUME_DEGRADED] = TIERED_STATE_DEGRADED,
};

static void status_info(struct tiered *t, char *result, unsigned int maxlen)
{
	struct status_fields s = { 0 };
	unsigned int sz = 0;

	/* The table is in place but was never resumed, or the resume was refused. */
	if (!smp_load_acquire(&t->volume->loaded)) {
		DMEMIT(TIERED_STATE_FAIL);
		return;
	}
	gather_frames(t->volume, &s);
	gather_counters(&t->volume->stats, &s);
	gather_latencies(&t->volume->stats, &s);
	tiered_writeback_progress(t->volume, &s.flush_left_pages, &s.flush_eta_ms);
	DMEMIT("%s %s", state_name[tiered_volume_state(t->volume)], t->volume->needs_check ? "needs_check" : "-");
#define FIELD(name) DMEMIT(" %llu", s.name);
	TIERED_STATUS_FIELDS(FIELD)
#undef FIELD
}

static void status_table(struct tiered *t, char *result, unsigned int maxlen)
{
	const struct tiered_options *o = &t->options;
	unsigned int count = o->read_only + o->writethrough +
			     2 * (o->admission_set + o->dirty_high_set + o->dirty_low_set + o->latency_target_set);
	unsigned int sz = 0;

	DMEMIT("%s 1 %s", t->fast->name, t->home->name);
	if (count)
		DMEMIT(" %u", count);
	if (o->read_only)
		DMEMIT(" read_only");
	if (o->writethrough)
		DMEMIT(" writethrough");
	if (o->admission_set)
		DMEMIT(" admission %s", tiered_admission_mode_name(o->admission));
	if (o->dirty_high_set)
		DMEMIT(" dirty_high %u", o->dirty_high_percent);
	if (o->dirty_low_set)
		DMEMIT(" dirty_low %u", o->dirty_low_percent);
	if (o->latency_target_set)
		DMEMIT(" latency_target_us %u", o->latency_target_us);
}

static void status_ima(struct tiered *t, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT_TARGET_NAME_VERSION(t->ti->type);
	DMEMIT(",fast_device=%s,capacity_device=%s,read_only=%c,writethrough=%c,admission=%s;", t->fast->name,
	       t->home->name, t->options.read_only ? 'y' : 'n', t->options.writethrough ? 'y' : 'n',
	       tiered_admission_mode_name(t->options.admission));
}

static void tiered_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
			  unsigned int maxlen)
{
	struct tiered *t = ti->private;

	switch (type) {
	case STATUSTYPE_INFO:
		status_info(t, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		status_table(t, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		status_ima(t, result, maxlen);
		break;
	}
}

static int message_flush(struct tiered *t)
{
	if (t->options.read_only)
		return -EROFS;
	if (tiered_fast_gone(&t->volume->fast)) {
		DMERR("%s: nothing can be written home, the fast tier is gone; close the volume and open it when the "
		      "fast tier is back", t->volume->name);
		return -ENODEV;
	}
	tiered_writeback_all(t->volume);
	return 0;
}

/* Room for a page, a frame number and their spaces. */
#define LOST_ROOM 40

static int message_lost(struct tiered *t, unsigned int argc, char **argv, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;
	u32 frame = 0;
	u64 page;

	if (argc == 2 && kstrtou32(argv[1], 10, &frame))
		return -EINVAL;
	while ((frame = tiered_bad_next_lost(t->volume, frame, &page)) != TIERED_NO_FRAME && sz + LOST_ROOM < maxlen) {
		DMEMIT("%llu ", page);
		frame++;
	}
	if (frame == TIERED_NO_FRAME)
		DMEMIT("-");
	else
		DMEMIT("%u", frame);
	return 1;
}

/* Extents that one reply tells of at most, and room for one. */
#define HEAT_EXTENTS 128u
#define HEAT_ROOM 64

static int message_heat(struct tiered *t, unsigned int argc, char **argv, char *result, unsigned int maxlen)
{
	struct tiered_extent_heat *heat;
	unsigned int sz = 0, i;
	u64 extent = 0;

	if (argc == 2 && kstrtou64(argv[1], 10, &extent))
		return -EINVAL;
	heat = kcalloc(HEAT_EXTENTS, sizeof(*heat), GFP_KERNEL);
	if (!heat)
		return -ENOMEM;
	extent = tiered_heat_next(t->volume, extent);
	if (extent != TIERED_NO_EXTENT)
		tiered_heat_count(t->volume, extent, heat, HEAT_EXTENTS);
	for (i = 0; i < HEAT_EXTENTS && sz + HEAT_ROOM < maxlen; i++)
		if (heat[i].resident)
			DMEMIT("%llu:%u:%u:%u ", extent + i, heat[i].resident, heat[i].dirty, heat[i].recent);
	kfree(heat);
	if (extent == TIERED_NO_EXTENT)
		DMEMIT("-");
	else
		DMEMIT("%llu", extent + i);
	return 1;
}

static const char *const reason_names[TIERED_REASONS_END] = {
#define NAME(name, text) [TIERED_REASON_##name] = #name,
	TIERED_REASONS(NAME)
#undef NAME
};

/* Room for an extent, a reason, an age and the place to go on from. */
#define WHY_ROOM 64

static int message_why(struct tiered *t, unsigned int argc, char **argv, char *result, unsigned int maxlen)
{
	struct tiered_decision_made made;
	unsigned int sz = 0;
	u32 place = 0;

	if (argc == 2 && kstrtou32(argv[1], 10, &place))
		return -EINVAL;
	while (sz + WHY_ROOM < maxlen && (place = tiered_why_next(t->volume, place, &made)) != TIERED_NO_WHY)
		DMEMIT("%llu:%s:%u ", made.extent, reason_names[made.reason], made.age_s);
	if (place == TIERED_NO_WHY)
		DMEMIT("-");
	else
		DMEMIT("%u", place);
	return 1;
}

static const char *const path_names[TIERED_PATHS] = {
	[TIERED_PATH_READ_HIT] = "read_hit",
	[TIERED_PATH_READ_MISS] = "read_miss",
	[TIERED_PATH_WRITE_FAST] = "write_fast",
	[TIERED_PATH_WRITE_BYPASS] = "write_bypass",
};

/* A reply that does not fit is asked for again with more room, by the device-mapper's own rule. */
static int message_histogram(struct tiered *t, const char *name, char *result, unsigned int maxlen)
{
	int path = match_string(path_names, TIERED_PATHS, name);
	unsigned int sz = 0, bucket;
	u64 count, end_ns;

	if (path < 0) {
		DMERR("%s: unknown path %s; known are read_hit, read_miss, write_fast and write_bypass",
		      t->volume->name, name);
		return -EINVAL;
	}
	for (bucket = 0; bucket < TIERED_LATENCY_BUCKETS; bucket++) {
		count = tiered_latency_bucket(&t->volume->stats, path, bucket, &end_ns);
		if (count)
			DMEMIT("%llu:%llu ", end_ns, count);
	}
	DMEMIT("-");
	return 1;
}

static int tiered_message(struct dm_target *ti, unsigned int argc, char **argv, char *result, unsigned int maxlen)
{
	struct tiered *t = ti->private;
	unsigned int sz = 0;

	if (!smp_load_acquire(&t->volume->loaded))
		return -ENODEV;
	if (argc == 1 && !strcasecmp(argv[0], TIERED_MESSAGE_FLUSH))
		return message_flush(t);
	if (argc == 1 && !strcasecmp(argv[0], TIERED_MESSAGE_FLUSH_STOP)) {
		tiered_writeback_all_stop(t->volume);
		return 0;
	}
	if (argc <= 2 && !strcasecmp(argv[0], TIERED_MESSAGE_LOST))
		return message_lost(t, argc, argv, result, maxlen);
	if (argc == 1 && !strcasecmp(argv[0], TIERED_MESSAGE_UUID)) {
		DMEMIT("%pUb", t->volume->uuid);
		return 1;
	}
	if (argc <= 2 && !strcasecmp(argv[0], TIERED_MESSAGE_HEAT))
		return message_heat(t, argc, argv, result, maxlen);
	if (argc == 2 && !strcasecmp(argv[0], TIERED_MESSAGE_HISTOGRAM))
		return message_histogram(t, argv[1], result, maxlen);
	if (argc <= 2 && !strcasecmp(argv[0], TIERED_MESSAGE_WHY))
		return message_why(t, argc, argv, result, maxlen);
	DMERR("%s: unknown message %s; known are flush, flush_stop, heat, histogram, lost, uuid and why", t->volume->name,
	      argv[0]);
	return -EINVAL;
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
	if (ti->num_discard_bios) {
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
	return dm_register_target(&tiered_target);
}

static void __exit tiered_exit(void)
{
	dm_unregister_target(&tiered_target);
}

module_init(tiered_init);
module_exit(tiered_exit);

MODULE_DESCRIPTION("device-mapper target for tiered persistent memory and disks");
MODULE_LICENSE("GPL");
MODULE_AUTHOR("dm-tiered project");
MODULE_ALIAS("dm-tiered");
