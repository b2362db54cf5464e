// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a disk that turns takes for requests, over a device that takes nothing:
 *
 *	0 <sectors> spindle <dev> <seek_us> <mbps> <flush_us>
 *
 * One request is served at a time, in the order of arrival, as by one arm without a queue to choose from. It takes its
 * bytes at <mbps> (millions of bytes a second; 0: no time), and before that the way to its first sector: nothing where the
 * request before it ended, forwards the time in which what lies between passes under the head, but at most <seek_us>, which
 * any other way takes. A FLUSH takes <flush_us>. The request reaches <dev> when its time is over.
 *
 * When a request arrives all before it are known, so the time of its end is known, too: it is charged from then or from
 * the end of the request before it. That the thread runs late delays a request but never the disk.
 */
#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait.h>

#define DM_MSG_PREFIX "spindle"
#define SEEK_US_MAX 1000000u
#define MBPS_MAX 100000u

struct spindle {
	struct dm_dev *dev;
	u64 seek_ns;
	u64 flush_ns;
	u32 mbps;
	struct task_struct *thread;
	wait_queue_head_t came;
	spinlock_t lock; /* the following */
	struct bio_list waiting;
	sector_t head;	  /* where the last request that came will have ended */
	ktime_t free_at; /* and when */
};

struct spindle_io {
	ktime_t ends_at;
};

static struct spindle_io *io_of(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct spindle_io));
}

static u64 bytes_ns(const struct spindle *spindle, u64 sectors)
{
	return spindle->mbps ? div_u64(sectors * SECTOR_SIZE * 1000, spindle->mbps) : 0;
}

static u64 way_ns(const struct spindle *spindle, sector_t to)
{
	if (to < spindle->head)
		return spindle->seek_ns;
	if (to == spindle->head)
		return 0;
	/* Without a rate what lies between never passes. */
	return spindle->mbps ? min(spindle->seek_ns, bytes_ns(spindle, to - spindle->head)) : spindle->seek_ns;
}

/* Under the lock: the request's place in the queue and the end of its time. */
static void take_turn(struct spindle *spindle, struct bio *bio)
{
	ktime_t now = ktime_get();
	u64 takes_ns = bio->bi_opf & REQ_PREFLUSH ? spindle->flush_ns : 0;

	if (bio_sectors(bio)) {
		takes_ns += way_ns(spindle, bio->bi_iter.bi_sector) + bytes_ns(spindle, bio_sectors(bio));
		spindle->head = bio_end_sector(bio);
	}
	if (ktime_before(spindle->free_at, now))
		spindle->free_at = now;
	spindle->free_at = ktime_add_ns(spindle->free_at, takes_ns);
	io_of(bio)->ends_at = spindle->free_at;
	bio_list_add(&spindle->waiting, bio);
}

static int spindle_map(struct dm_target *ti, struct bio *bio)
{
	struct spindle *spindle = ti->private;
	unsigned long flags;

	bio_set_dev(bio, spindle->dev->bdev);
	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	spin_lock_irqsave(&spindle->lock, flags);
	take_turn(spindle, bio);
	spin_unlock_irqrestore(&spindle->lock, flags);
	wake_up(&spindle->came);
	return DM_MAPIO_SUBMITTED;
}

/*----------------------------------------------------------------*/
/* The thread */

static struct bio *first(struct spindle *spindle)
{
	struct bio *bio;

	spin_lock_irq(&spindle->lock);
	bio = bio_list_peek(&spindle->waiting);
	spin_unlock_irq(&spindle->lock);
	return bio;
}

static void sleep_until(ktime_t when)
{
	while (ktime_before(ktime_get(), when)) {
		set_current_state(TASK_IDLE);
		schedule_hrtimeout(&when, HRTIMER_MODE_ABS);
	}
}

static int spindle_thread(void *data)
{
	struct spindle *spindle = data;
	struct bio *bio = NULL;

	sched_set_fifo(current); /* like the interrupt of a disk it does not wait for programs */
	for (;;) {
		wait_event_idle(spindle->came, (bio = first(spindle)) || kthread_should_stop());
		if (!bio)
			return 0;
		sleep_until(io_of(bio)->ends_at);
		spin_lock_irq(&spindle->lock);
		bio_list_pop(&spindle->waiting);
		spin_unlock_irq(&spindle->lock);
		submit_bio_noacct(bio);
	}
}

/*----------------------------------------------------------------*/

static void spindle_dtr(struct dm_target *ti)
{
	struct spindle *spindle = ti->private;

	if (spindle->thread)
		kthread_stop(spindle->thread);
	dm_put_device(ti, spindle->dev);
	kfree(spindle);
}

static int parse(struct spindle *spindle, char **argv)
{
	u32 seek_us, flush_us;

	if (kstrtou32(argv[1], 10, &seek_us) || kstrtou32(argv[2], 10, &spindle->mbps) ||
	    kstrtou32(argv[3], 10, &flush_us) || seek_us > SEEK_US_MAX || flush_us > SEEK_US_MAX ||
	    spindle->mbps > MBPS_MAX)
		return -EINVAL;
	spindle->seek_ns = (u64)seek_us * NSEC_PER_USEC;
	spindle->flush_ns = (u64)flush_us * NSEC_PER_USEC;
	return 0;
}

static int spindle_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct spindle *spindle;
	int r;

	if (argc != 4) {
		ti->error = "give a device, the microseconds of a seek, millions of bytes a second, the microseconds of a FLUSH";
		return -EINVAL;
	}
	spindle = kzalloc(sizeof(*spindle), GFP_KERNEL);
	if (!spindle)
		return -ENOMEM;
	spin_lock_init(&spindle->lock);
	init_waitqueue_head(&spindle->came);
	if (parse(spindle, argv)) {
		ti->error = "give at most 1000000 microseconds and 100000 millions of bytes a second, as whole numbers";
		kfree(spindle);
		return -EINVAL;
	}
	r = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &spindle->dev);
	if (r) {
		ti->error = "there is no such device";
		kfree(spindle);
		return r;
	}
	ti->private = spindle;
	spindle->thread = kthread_run(spindle_thread, spindle, "spindle");
	if (IS_ERR(spindle->thread)) {
		r = PTR_ERR(spindle->thread);
		spindle->thread = NULL;
		ti->error = "there is no memory for a thread";
		spindle_dtr(ti);
		return r;
	}
	ti->num_flush_bios = 1;
	ti->per_io_data_size = sizeof(struct spindle_io);
	return 0;
}

static int spindle_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn call, void *data)
{
	struct spindle *spindle = ti->private;

	return call(ti, spindle->dev, 0, ti->len, data);
}

static struct target_type spindle_target = {
	.name = "spindle",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = spindle_ctr,
	.dtr = spindle_dtr,
	.map = spindle_map,
	.iterate_devices = spindle_iterate_devices,
};

static int __init spindle_init(void)
{
	return dm_register_target(&spindle_target);
}

static void __exit spindle_exit(void)
{
	dm_unregister_target(&spindle_target);
}

module_init(spindle_init);
module_exit(spindle_exit);

MODULE_DESCRIPTION("A disk that turns, for tests");
MODULE_LICENSE("GPL");
