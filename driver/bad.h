/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames that cannot be read. A clean page leaves the fast tier and is read from its home; a dirty one has lost its newest
 * contents: it is marked *lost* and answers EIO, also after a reboot, until it is overwritten whole. The frame is retired.
 */
#ifndef TIERED_BAD_H
#define TIERED_BAD_H

#include "frames.h"

struct tiered_volume;

/* What became of the page of a frame that could not be read. */
enum tiered_bad {
	TIERED_BAD_DROPPED, /* its home has the page, or a newer frame has it by now */
	TIERED_BAD_LOST,
	TIERED_BAD_MAPPED, /* nothing yet: a worker takes it out of page tables first, and judges it then */
};

/*
 * Takes @frame, which holds its page and cannot be read, out of use. Under the lock of its stripe; never sleeps. The
 * volume is not read-only.
 */
enum tiered_bad tiered_bad_holder(struct tiered_volume *volume, struct tiered_stripe *stripe, u32 frame);

/* The same for whichever frame holds @page now, if it cannot be read. Takes the stripe's lock. */
enum tiered_bad tiered_bad_page(struct tiered_volume *volume, u64 page);

/*
 * Looks for resident pages on blocks that the kernel lists as bad, and judges them as if they had been read. Nobody may read
 * them for long, and once the blocks are repaired their contents are anything, without an error to tell. Inside the fast
 * tier, the volume not read-only. May sleep.
 */
void tiered_bad_look(struct tiered_volume *volume);

/*
 * The first frame from @frame on that stands for a lost page, which is then in *@page; TIERED_NO_FRAME when there is none.
 * May sleep.
 */
u32 tiered_bad_next_lost(struct tiered_volume *volume, u32 frame, u64 *page);

#endif
