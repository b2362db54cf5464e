/* SPDX-License-Identifier: GPL-2.0-only */
/* Loading the frame words into the index, and what has to be put right on media before the first write. */
#ifndef TIERED_WORDS_H
#define TIERED_WORDS_H

#include "frames.h"

struct tiered_volume;

/* What loading leaves to be done by tiered_words_settle(). */
struct tiered_unsettled {
	struct tiered_frame_list losers; /* their words are to be cleared */
	u32 damaged; /* words that did not decode, of frames that held a page as far as is known: it is lost, or a loser */
};

/*
 * Reads all words into the index of @volume, whose frames are initialised. Writes nothing. Returns 0, or a negative errno
 * after a sentence in the log: -EUCLEAN when the words contradict each other.
 */
int tiered_words_load(struct tiered_volume *volume, struct tiered_unsettled *unsettled);

/*
 * Puts the words right, durably: nothing is left that a crash later could make speak up again. Returns 0, -ENOMEM, or -EIO
 * when more of them went bad since they were loaded.
 */
int tiered_words_settle(struct tiered_volume *volume, struct tiered_unsettled *unsettled);

#endif
