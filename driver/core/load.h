/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading the frame words back after whatever happened: the driver's load, tierctl's check and the crash checkers
 * all go through here. The caller brings the index (by page) and learns what was found. First all words are read;
 * then, for each frame whose word was damaged, its shadow is heard.
 */
#ifndef TIERED_CORE_LOAD_H
#define TIERED_CORE_LOAD_H

#include "protocol.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What became of one frame. */
enum tiered_found {
	TIERED_FOUND_FREE,
	TIERED_FOUND_HOLDER,  /* the frame holds its page */
	TIERED_FOUND_LOSER,   /* an older claim of a page: to be cleared durably before any I/O */
	TIERED_FOUND_RETIRED,
	TIERED_FOUND_DAMAGED, /* the word does not decode; @claim is what the shadow says: ask tiered_load_damaged() */
	TIERED_FOUND_UNKNOWN, /* neither the word nor its shadow decodes: any page may have lost its contents */
	TIERED_FOUND_CONFLICT /* two claims of one page that no crash leaves */
};

struct tiered_load_ops {
	/* The frame that holds @page so far and its claim, or TIERED_NO_FRAME. */
	u32 (*find)(void *context, u64 page, struct tiered_claim *claim);
	/* Makes @frame the holder of claim->page; @instead_of is the former one or TIERED_NO_FRAME. */
	void (*hold)(void *context, u32 frame, const struct tiered_claim *claim, u32 instead_of);
	/*
	 * Reports what became of @frame. @other is the other frame of a conflict or the winner over a loser, else
	 * TIERED_NO_FRAME. A holder may later be reported again, as the loser to a newer one.
	 */
	void (*found)(void *context, u32 frame, enum tiered_found what, const struct tiered_claim *claim,
		      u32 other);
};

/* Reads @copies of the words of @words, of which only what describes them is used. */
void tiered_load_words(const struct tiered_words *words, const struct tiered_word_copies *copies,
		       const struct tiered_load_ops *ops, void *context);

/*
 * Decides about @frame, reported as damaged, when every word was read: @claim is what its shadow says. Reports it as
 *
 * TIERED_FOUND_LOSER  when nothing is lost by it: it held no page, its page has a newer claim (@other), or it was
 *                     clean and alone. Its words are to be cleared like those of any loser, or a later load, when the
 *                     versions have gone round, could take them for news.
 * TIERED_FOUND_HOLDER with a *lost* claim of its page otherwise: the shadow may speak of contents that are newer than
 *                     all others, so the page answers EIO until it is overwritten. An older claim becomes a loser.
 * TIERED_FOUND_CONFLICT as for any two claims.
 */
void tiered_load_damaged(u32 frame, const struct tiered_claim *claim, const struct tiered_load_ops *ops, void *context);

#ifdef __cplusplus
}
#endif

#endif
