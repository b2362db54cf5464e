/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The claim protocol: the only code that stores frame words. Every change of the fast tier's state takes effect by
 * one store made here, and here alone stands which flush and which fence it needs, with the crash that each prevents.
 *
 * A *stripe* is a set of pages under one lock. Whoever calls a function that takes a stripe holds that lock from
 * before it read the page's version until after the call. DRAM decides who owns a word before the word is stored:
 * no two CPUs ever store the same word at once.
 *
 * A fence completes the flushes of its own CPU only, so whoever calls does not change CPUs in between: a spin lock is
 * held or preemption is off.
 *
 * Words are stored through the cache and flushed, never with non-temporal stores: another CPU can flush our cache
 * line, but it cannot drain our write-combining buffer, whose late arrival would overwrite a newer claim.
 */
#ifndef TIERED_CORE_PROTOCOL_H
#define TIERED_CORE_PROTOCOL_H

#include "claim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The frame words of a volume, mapped. */
struct tiered_words {
	__le64 *primary;
	__le64 *shadow;
	u64 pages; /* whole pages of the volume; claims beyond do not decode */
	u32 frames;
	u8 seed;
	/*
	 * Sectors that the medium cannot read, a bit for each 64 words, or NULL when there are none. A store to one would
	 * read the rest of its cache line and be a machine check: such words are never touched again.
	 */
	const u8 *bad_primary;
	const u8 *bad_shadow;
};

#define TIERED_WORDS_PER_SECTOR (TIERED_SECTOR_BYTES / sizeof(__le64))

/* Whether the word of @frame stands in a sector that is marked in @bad. */
static inline bool tiered_word_is_bad(const u8 *bad, u32 frame)
{
	u32 sector = frame / TIERED_WORDS_PER_SECTOR;

	return bad && bad[sector / 8] >> sector % 8 & 1;
}

/* Words as they were read from the medium, in memory that can be trusted: those of frames @first to @first + @count - 1. */
struct tiered_word_copies {
	const __le64 *primary; /* [0] is the word of frame @first; what could not be read has all bits set */
	const __le64 *shadow;
	u32 first;
	u32 count;
};

/*
 * What a stripe remembers for the protocol: the one frame whose word was cleared under this lock by a store that no
 * fence has completed yet, or TIERED_NO_FRAME. All earlier clears under this lock are durable.
 */
struct tiered_clear {
	u32 unfenced_frame;
};

/*
 * Makes @frame the holder of @claim (clean, dirty or lost). The caller has stored the frame's data with non-temporal
 * stores on this CPU and need not have fenced them. On return the claim is durable.
 */
void tiered_claim_publish(const struct tiered_words *words, struct tiered_clear *clear, u32 frame,
			  struct tiered_claim claim);

/*
 * Clears the word of @frame after a newer claim of its page was published under the same lock. Not durable on return:
 * @clear remembers it. The frame must not be written before tiered_claims_settle().
 */
void tiered_claim_supersede(const struct tiered_words *words, struct tiered_clear *clear, u32 frame);

/*
 * Clears the word of @frame, the only claim of its page (evict, discard, a bypassing write). Durable on return: the
 * page may leave the index.
 */
void tiered_claim_withdraw(const struct tiered_words *words, struct tiered_clear *clear, u32 frame);

/*
 * Turns the dirty @claim of @frame clean, after its home was written and flushed. Takes effect some time later: until
 * then a crash finds the page dirty, which is true as well.
 */
void tiered_claim_mark_clean(const struct tiered_words *words, u32 frame, struct tiered_claim claim);

/*
 * Turns the clean @claim of @frame dirty, durably on return: from then on the home may be older.
 */
void tiered_claim_mark_dirty(const struct tiered_words *words, u32 frame, struct tiered_claim claim);

/*
 * Turns the @claim of @frame lost: its frame cannot be read and nothing else has its contents. Durable on return: the
 * page answers EIO from now on, also after a reboot, until it is overwritten whole.
 */
void tiered_claim_mark_lost(const struct tiered_words *words, u32 frame, struct tiered_claim claim);

/*
 * Takes @frame, whose clear is durable, out of use for good. Takes effect some time later; until then a crash finds it
 * free, and it shows itself bad again when it is used.
 */
void tiered_claim_retire(const struct tiered_words *words, u32 frame);

/*
 * Completes the clears of @count frames, whichever CPU made them. Afterwards the frames may be written, once nobody
 * can still read them.
 */
void tiered_claims_settle(const struct tiered_words *words, const u32 *frames, u32 count);

/*
 * Completes the clear that a stripe remembers, before the stripe itself is forgotten.
 */
void tiered_clear_settle(const struct tiered_words *words, struct tiered_clear *clear);

/*
 * After a crash, before any I/O: makes the shadows say what their primaries, as read into @copies, say, durably. A word
 * and its shadow persist each for itself, so a claim that survived may have a shadow that did not; were its primary
 * lost later, the shadow would call a dirty page free. Where the primary does not decode, the shadow is all there is
 * and stays. Losers are not cleared yet.
 */
void tiered_shadows_restore(const struct tiered_words *words, const struct tiered_word_copies *copies);

#ifdef __cplusplus
}
#endif

#endif
