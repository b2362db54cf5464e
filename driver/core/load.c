// SPDX-License-Identifier: GPL-2.0-only
/* Reading the frame words back: decode, resolve double claims, report. */
#include "load.h"

static void take_claim(const struct tiered_load_ops *ops, void *context, u32 frame,
		       const struct tiered_claim *claim)
{
	struct tiered_claim held;
	u32 holder = ops->find(context, claim->page, &held);

	if (holder == TIERED_NO_FRAME) {
		ops->hold(context, frame, claim, TIERED_NO_FRAME);
		ops->found(context, frame, TIERED_FOUND_HOLDER, claim, TIERED_NO_FRAME);
		return;
	}
	switch (tiered_claim_compare(claim, &held)) {
	case TIERED_CLAIM_NEWER:
		ops->hold(context, frame, claim, holder);
		ops->found(context, frame, TIERED_FOUND_HOLDER, claim, TIERED_NO_FRAME);
		ops->found(context, holder, TIERED_FOUND_LOSER, &held, frame);
		break;
	case TIERED_CLAIM_OLDER:
		ops->found(context, frame, TIERED_FOUND_LOSER, claim, holder);
		break;
	case TIERED_CLAIM_CONFLICT:
		ops->found(context, frame, TIERED_FOUND_CONFLICT, claim, holder);
		break;
	}
}

/*
 * A word that does not decode may have been dirty. Its shadow tells which page to fear for, and is believed for
 * nothing more: it may be older than what the primary said.
 */
static void report_damaged(const struct tiered_words *words, __le64 shadow, const struct tiered_load_ops *ops,
			   void *context, u32 frame)
{
	struct tiered_claim claim = { .page = 0, .state = TIERED_CLAIM_FREE, .version = 0 };
	bool unknown = tiered_claim_decode(shadow, frame, words->seed, words->pages, &claim);

	ops->found(context, frame, unknown ? TIERED_FOUND_UNKNOWN : TIERED_FOUND_DAMAGED, &claim, TIERED_NO_FRAME);
}

void tiered_load_words(const struct tiered_words *words, const struct tiered_word_copies *copies,
		       const struct tiered_load_ops *ops, void *context)
{
	struct tiered_claim claim;
	u32 i;

	for (i = 0; i < copies->count; i++) {
		u32 frame = copies->first + i;

		if (tiered_claim_decode(copies->primary[i], frame, words->seed, words->pages, &claim))
			report_damaged(words, copies->shadow[i], ops, context, frame);
		else if (claim.state == TIERED_CLAIM_FREE)
			ops->found(context, frame, TIERED_FOUND_FREE, &claim, TIERED_NO_FRAME);
		else if (claim.state == TIERED_CLAIM_RETIRED)
			ops->found(context, frame, TIERED_FOUND_RETIRED, &claim, TIERED_NO_FRAME);
		else
			take_claim(ops, context, frame, &claim);
	}
}

void tiered_load_damaged(u32 frame, const struct tiered_claim *claim, const struct tiered_load_ops *ops, void *context)
{
	struct tiered_claim lost = *claim, held;
	u32 holder = TIERED_NO_FRAME;

	if (tiered_claim_holds_page(claim))
		holder = ops->find(context, claim->page, &held);
	if (!tiered_claim_holds_page(claim) ||
	    (holder == TIERED_NO_FRAME && claim->state == TIERED_CLAIM_CLEAN) ||
	    (holder != TIERED_NO_FRAME && tiered_claim_compare(&held, claim) == TIERED_CLAIM_NEWER)) {
		ops->found(context, frame, TIERED_FOUND_LOSER, claim, holder);
		return;
	}
	lost.state = TIERED_CLAIM_LOST;
	take_claim(ops, context, frame, &lost);
}
