/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading the frame words back after whatever happened: the driver's load, tierctl's check and the crash checkers
 * all go through here. The caller brings the index (by page) and learns what was found.
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
	TIERED_FOUND_DAMAGED, /* the word does not decode; @claim is what the shadow says, or free */
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

/* Reads the words of frames @first to @first + @count - 1. The words are only read. */
void tiered_load_words(const struct tiered_words *words, u32 first, u32 count,
		       const struct tiered_load_ops *ops, void *context);

#ifdef __cplusplus
}
#endif

#endif
