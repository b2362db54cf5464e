// SPDX-License-Identifier: GPL-2.0-only
/* Recognising the disk by a sample of clean pages, before the first request. */
#include "recognise.h"

#include <linux/bio.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "volume.h"

#define SAMPLES 16u

static int read_home(struct block_device *bdev, u64 page, struct page *to)
{
	struct bio_vec bv;
	struct bio bio;
	int r;

	bio_init(&bio, bdev, &bv, 1, REQ_OP_READ);
	bio.bi_iter.bi_sector = tiered_home_sector(page);
	__bio_add_page(&bio, to, PAGE_SIZE, 0);
	r = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return r;
}

/* The next frame from @frame to before @end that holds a clean page, or @end. */
static u32 next_clean(const struct tiered_frames *frames, u32 frame, u32 end)
{
	for (; frame < end; frame++) {
		u64 word = tiered_frame_word(frames, frame);

		if (tiered_frame_state(word) == TIERED_CLAIM_CLEAN &&
		    tiered_frames_lookup(frames, tiered_frame_page(word)) == frame)
			break;
		if (!(frame % 4096))
			cond_resched();
	}
	return frame;
}

enum sample {
	SAMPLE_NONE,
	SAMPLE_SAME,
	SAMPLE_OTHER,
};

/* Two pages of scratch: what the frame holds, and what the home does. */
static enum sample compare(struct tiered_volume *volume, struct dm_dev *home, u32 frame, struct page *scratch)
{
	u64 page = tiered_frame_page(tiered_frame_word(&volume->frames, frame));
	void *held = page_address(scratch), *at_home = held + PAGE_SIZE;

	if (!tiered_fast_read(&volume->fast, held, tiered_frame_data(&volume->frames, frame), PAGE_SIZE) ||
	    read_home(home->bdev, page, scratch + 1))
		return SAMPLE_NONE;
	return memcmp(held, at_home, PAGE_SIZE) ? SAMPLE_OTHER : SAMPLE_SAME;
}

static enum sample compare_all(struct tiered_volume *volume, struct dm_dev *home, struct page *scratch)
{
	u32 total = volume->frames.words.frames, i;
	enum sample all = SAMPLE_NONE;

	for (i = 0; i < SAMPLES && all != SAMPLE_OTHER; i++) {
		u32 end = (u64)total * (i + 1) / SAMPLES;
		u32 frame = next_clean(&volume->frames, (u64)total * i / SAMPLES, end);

		if (frame < end)
			all = max(all, compare(volume, home, frame, scratch));
	}
	return all;
}

int tiered_recognise_home(struct tiered_volume *volume, struct dm_dev *home, sector_t sectors)
{
	u64 home_sectors = bdev_nr_sectors(home->bdev);
	u64 recorded = le64_to_cpu(volume->media.sb->tiers[0].size_sectors);
	struct page *scratch = alloc_pages(GFP_KERNEL, 1);
	enum sample sample;

	if (!scratch)
		return -ENOMEM;
	sample = compare_all(volume, home, scratch);
	__free_pages(scratch, 1);
	if (sample == SAMPLE_OTHER)
		return TIERED_REFUSE(volume, -ENXIO, "capacity device %s does not hold what the volume left there: it is "
				     "another disk or was written without the volume; give the right disk, or see `tierctl "
				     "check --verify-clean`", home->name);
	if (sample == SAMPLE_NONE && home_sectors != recorded && sectors != home_sectors)
		return TIERED_REFUSE(volume, -ENXIO, "capacity device %s has %llu sectors but the volume was made over one "
				     "of %llu; give the disk that belongs to this volume, or if that has grown, a table of "
				     "its new length", home->name, home_sectors, recorded);
	return 0;
}
