// SPDX-License-Identifier: GPL-2.0-only
/* What the target tells: status and table lines, the integrity measurement, replies to messages (core/status.h). */
#include "core/status.h"

#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uuid.h>

#include "bad.h"
#include "heat.h"
#include "target.h"

/*----------------------------------------------------------------*/
/* Status */

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
	s->dram_bytes = frames->dram_bytes + tiered_whys_bytes(&volume->whys) +
			volume->samples.dram_bytes + volume->thrift.dram_bytes + tiered_pins_bytes(volume);
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
	s->memory_faults = tiered_stats_sum(stats, TIERED_MEMORY_FAULTS);
	s->memory_fills = tiered_stats_sum(stats, TIERED_MEMORY_FILLS);
	s->memory_unmaps = tiered_stats_sum(stats, TIERED_MEMORY_UNMAPS);
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
	if (t->fast && !smp_load_acquire(&t->volume->loaded)) {
		DMEMIT(TIERED_STATE_FAIL);
		return;
	}
	if (t->fast) {
		gather_frames(t->volume, &s);
		tiered_writeback_progress(t->volume, &s.flush_left_pages, &s.flush_eta_ms);
	}
	gather_counters(&t->volume->stats, &s);
	gather_latencies(&t->volume->stats, &s);
	DMEMIT("%s %s", state_name[tiered_volume_state(t->volume)], t->volume->needs_check ? "needs_check" : "-");
#define FIELD(name) DMEMIT(" %llu", s.name);
	TIERED_STATUS_FIELDS(FIELD)
#undef FIELD
}

static const char *fast_name(const struct tiered *t)
{
	return t->fast ? t->fast->name : "-";
}

static void status_table(struct tiered *t, char *result, unsigned int maxlen)
{
	const struct tiered_options *o = &t->options;
	unsigned int count = o->read_only + o->writethrough + o->memory_only + o->nothing_dirty +
			     2 * (o->admission_set + o->dirty_high_set + o->dirty_low_set + o->latency_target_set);
	unsigned int sz = 0;

	DMEMIT("%s 1 %s", fast_name(t), t->home->name);
	if (count)
		DMEMIT(" %u", count);
	if (o->read_only)
		DMEMIT(" read_only");
	if (o->writethrough)
		DMEMIT(" writethrough");
	if (o->memory_only)
		DMEMIT(" memory_only");
	if (o->nothing_dirty)
		DMEMIT(" nothing_dirty");
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
	DMEMIT(",fast_device=%s,capacity_device=%s,read_only=%c,writethrough=%c,admission=%s,memory_only=%c;",
	       fast_name(t), t->home->name, t->options.read_only ? 'y' : 'n', t->options.writethrough ? 'y' : 'n',
	       tiered_admission_mode_name(t->options.admission), t->options.memory_only ? 'y' : 'n');
}

void tiered_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result, unsigned int maxlen)
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

/*----------------------------------------------------------------*/
/* Messages */

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

/* Extents that are counted for one reply, and room for one. All frames are looked at for it, so it had better be long. */
#define HEAT_EXTENTS 65536u
#define HEAT_ROOM 64
/* A buffer shorter than this is filled to its end, whereupon the device-mapper asks again with a longer one. */
#define HEAT_REPLY_BYTES (1u << 20)

static int message_heat(struct tiered *t, unsigned int argc, char **argv, char *result, unsigned int maxlen)
{
	struct tiered_extent_heat *heat;
	unsigned int sz = 0, i;
	u64 extent = 0;
	int r;

	if (argc == 2 && kstrtou64(argv[1], 10, &extent))
		return -EINVAL;
	heat = kvcalloc(HEAT_EXTENTS, sizeof(*heat), GFP_KERNEL);
	if (!heat)
		return -ENOMEM;
	r = tiered_heat_next(t->volume, &extent);
	if (!r && extent != TIERED_NO_EXTENT)
		r = tiered_heat_count(t->volume, extent, heat, HEAT_EXTENTS);
	for (i = 0; !r && i < HEAT_EXTENTS && (sz + HEAT_ROOM < maxlen || maxlen < HEAT_REPLY_BYTES); i++)
		if (heat[i].resident)
			DMEMIT("%llu:%u:%u:%u ", extent + i, heat[i].resident, heat[i].dirty, heat[i].recent);
	kvfree(heat);
	if (r)
		return r;
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

static int parse_range(struct tiered_volume *volume, char **argv, struct tiered_pin *range)
{
	u64 volume_pages = tiered_pages(volume), first, pages;

	if (kstrtou64(argv[0], 10, &first) || kstrtou64(argv[1], 10, &pages) || !pages || first >= volume_pages ||
	    pages > volume_pages - first)
		return TIERED_REFUSE(volume, -EINVAL, "%s %s is no range of the volume, which has %llu pages; give a first page "
				     "and how many", argv[0], argv[1], volume_pages);
	*range = (struct tiered_pin){ .first = first, .end = first + pages };
	return 0;
}

static int message_pin(struct tiered *t, unsigned int argc, char **argv)
{
	struct tiered_pin *ranges;
	u32 count = argc / 2, i;
	int r = 0;

	if (t->options.read_only)
		return TIERED_REFUSE(t->volume, -EROFS, "nothing can be pinned or unpinned while the volume is read-only; open "
				     "it for writing");
	if (argc % 2 == 0)
		return TIERED_REFUSE(t->volume, -EINVAL, "%s takes pairs of a first page and how many", argv[0]);
	ranges = kvcalloc(count, sizeof(*ranges), GFP_KERNEL);
	if (!ranges)
		return -ENOMEM;
	for (i = 0; i < count && !r; i++)
		r = parse_range(t->volume, argv + 1 + 2 * i, &ranges[i]);
	if (!r)
		r = tiered_pins_change(t->volume, ranges, count, !strcasecmp(argv[0], TIERED_MESSAGE_PIN));
	kvfree(ranges);
	return r;
}

/* Room for a first page, two counts and the place to go on from. */
#define PINS_ROOM 96

static int message_pins(struct tiered *t, unsigned int argc, char **argv, char *result, unsigned int maxlen)
{
	struct tiered_pin pin = { 0 };
	unsigned int sz = 0;
	bool more;

	if (argc == 2 && kstrtou64(argv[1], 10, &pin.end))
		return -EINVAL;
	while ((more = tiered_pins_next(t->volume, pin.end, &pin)) && sz + PINS_ROOM < maxlen)
		DMEMIT("%llu:%llu:%llu ", pin.first, pin.end - pin.first, tiered_pins_resident(t->volume, &pin, false));
	if (more)
		DMEMIT("%llu", pin.first);
	else
		DMEMIT("-");
	return 1;
}

/* Room for a sample and the place to go on from. */
#define SAMPLES_ROOM 128

static int message_samples(struct tiered *t, unsigned int argc, char **argv, char *result, unsigned int maxlen)
{
	const struct tiered_samples *samples = &t->volume->samples;
	struct tiered_sample sample;
	unsigned int sz = 0;
	u64 place = 0;

	if (argc == 2 && kstrtou64(argv[1], 10, &place))
		return -EINVAL;
	DMEMIT("%llu:%llu ", 1ull << samples->rate_log2, tiered_samples_since_us(samples));
	while (sz + SAMPLES_ROOM < maxlen &&
	       (place = tiered_samples_next(samples, place, &sample)) != TIERED_NO_SAMPLE) {
		DMEMIT("%llu:%llu:%u:%c%s:%llu:%llu ", sample.time_us, sample.sector, sample.sectors,
		       sample.write ? 'w' : 'r', sample.more ? "+" : "", sample.accesses, sample.hits);
		cond_resched();
	}
	if (place == TIERED_NO_SAMPLE)
		DMEMIT("-");
	else
		DMEMIT("%llu", place);
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

int tiered_message(struct dm_target *ti, unsigned int argc, char **argv, char *result, unsigned int maxlen)
{
	struct tiered *t = ti->private;
	unsigned int sz = 0;

	if (!t->fast) {
		DMERR("the volume has no fast tier to ask or tell; open it with its fast tier for that");
		return -ENODEV;
	}
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
	if (argc >= 3 && (!strcasecmp(argv[0], TIERED_MESSAGE_PIN) || !strcasecmp(argv[0], TIERED_MESSAGE_UNPIN)))
		return message_pin(t, argc, argv);
	if (argc <= 2 && !strcasecmp(argv[0], TIERED_MESSAGE_PINS))
		return message_pins(t, argc, argv, result, maxlen);
	if (argc <= 2 && !strcasecmp(argv[0], TIERED_MESSAGE_SAMPLES))
		return message_samples(t, argc, argv, result, maxlen);
	DMERR("%s: unknown message %s; known are flush, flush_stop, heat, histogram, lost, pin, pins, samples, unpin, uuid "
	      "and why", t->volume->name, argv[0]);
	return -EINVAL;
}
