// SPDX-License-Identifier: GPL-2.0-only
/* The claim protocol: stores, flushes and fences of frame words, in their order. */
#include "protocol.h"

static void store_word(const struct tiered_words *words, u32 frame, struct tiered_claim claim)
{
	__le64 word = tiered_claim_encode(claim, frame, words->seed);

	if (!tiered_word_is_bad(words->bad_primary, frame))
		tiered_pm_store(&words->primary[frame], word);
	if (!tiered_word_is_bad(words->bad_shadow, frame))
		tiered_pm_store(&words->shadow[frame], word);
}

static void flush_word(const struct tiered_words *words, u32 frame)
{
	tiered_pm_flush(&words->primary[frame]);
	tiered_pm_flush(&words->shadow[frame]);
}

static void clear_word(const struct tiered_words *words, u32 frame)
{
	const struct tiered_claim free = { .page = 0, .state = TIERED_CLAIM_FREE, .version = 0 };

	store_word(words, frame, free);
	flush_word(words, frame);
}

/*
 * Flushes the remembered clear again, from this CPU: the CPU that made it has not fenced, and a fence here completes
 * only flushes issued here. Returns true when the caller owes a fence.
 */
static bool reflush_clear(const struct tiered_words *words, struct tiered_clear *clear)
{
	if (clear->unfenced_frame == TIERED_NO_FRAME)
		return false;
	flush_word(words, clear->unfenced_frame);
	clear->unfenced_frame = TIERED_NO_FRAME;
	return true;
}

void tiered_claim_publish(const struct tiered_words *words, struct tiered_clear *clear, u32 frame,
			  struct tiered_claim claim)
{
	/*
	 * One fence for two ends. The frame's data must be durable first, or a crash leaves a claim on garbage. And
	 * the clear of version v - 1 must be durable before v + 1 exists, or a crash leaves v - 1 beside v + 1, of
	 * which the comparison modulo 16 says nothing.
	 */
	reflush_clear(words, clear);
	tiered_pm_fence();

	store_word(words, frame, claim);
	flush_word(words, frame);
	/* The write that this claim stands for is acknowledged next. */
	tiered_pm_fence();
}

void tiered_claim_supersede(const struct tiered_words *words, struct tiered_clear *clear, u32 frame)
{
	/* The publish before has completed every earlier clear of this stripe, so that there is one to remember. */
	clear_word(words, frame);
	clear->unfenced_frame = frame;
}

void tiered_claim_withdraw(const struct tiered_words *words, struct tiered_clear *clear, u32 frame)
{
	/*
	 * An older claim of the same page may still be on media, cleared but not fenced. If ours went first, a crash
	 * would bring the older contents back.
	 */
	if (reflush_clear(words, clear))
		tiered_pm_fence();
	clear_word(words, frame);
	/* Whoever writes the home next must not find this claim after a crash. */
	tiered_pm_fence();
}

void tiered_claim_mark_clean(const struct tiered_words *words, u32 frame, struct tiered_claim claim)
{
	claim.state = TIERED_CLAIM_CLEAN;
	store_word(words, frame, claim);
	flush_word(words, frame);
}

void tiered_claim_mark_dirty(const struct tiered_words *words, u32 frame, struct tiered_claim claim)
{
	claim.state = TIERED_CLAIM_DIRTY;
	store_word(words, frame, claim);
	flush_word(words, frame);
	/* Whoever stores to the frame next may make that durable at once; no crash may find it under a clean claim. */
	tiered_pm_fence();
}

void tiered_claim_mark_lost(const struct tiered_words *words, u32 frame, struct tiered_claim claim)
{
	claim.state = TIERED_CLAIM_LOST;
	store_word(words, frame, claim);
	flush_word(words, frame);
	/* Whoever was told EIO must not read older contents when the power comes back. */
	tiered_pm_fence();
}

void tiered_claim_retire(const struct tiered_words *words, u32 frame)
{
	const struct tiered_claim retired = { .page = 0, .state = TIERED_CLAIM_RETIRED, .version = 0 };

	store_word(words, frame, retired);
	flush_word(words, frame);
}

void tiered_claims_settle(const struct tiered_words *words, const u32 *frames, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		flush_word(words, frames[i]);
	tiered_pm_fence();
}

void tiered_clear_settle(const struct tiered_words *words, struct tiered_clear *clear)
{
	if (reflush_clear(words, clear))
		tiered_pm_fence();
}

void tiered_shadows_restore(const struct tiered_words *words, const struct tiered_word_copies *copies)
{
	struct tiered_claim claim;
	bool stored = false;
	u32 i;

	for (i = 0; i < copies->count; i++) {
		u32 frame = copies->first + i;

		if (copies->shadow[i] == copies->primary[i] || tiered_word_is_bad(words->bad_shadow, frame) ||
		    tiered_claim_decode(copies->primary[i], frame, words->seed, words->pages, &claim))
			continue;
		tiered_pm_store(&words->shadow[frame], copies->primary[i]);
		tiered_pm_flush(&words->shadow[frame]);
		stored = true;
	}
	if (stored)
		tiered_pm_fence();
}
