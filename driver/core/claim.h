/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Claims: the one 8-byte word by which a frame says whose page it holds.
 *
 *   bits   0-39  page index
 *   bits  40-42  state
 *   bits  43-46  version of the page's contents, modulo 16
 *   bit      47  one: memory that was wiped to zeroes or ones says nothing, not "free"
 *   bits  48-55  zero
 *   bits  56-63  CRC8 over the other 56 bits, the frame number and the volume's seed
 *
 * Under its page's lock a page has at most two claims on media, of versions v and v+1, so one comparison modulo 16
 * tells the newer (the argument stands in driver/README.md).
 */
#ifndef TIERED_CORE_CLAIM_H
#define TIERED_CORE_CLAIM_H

#include "format.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TIERED_VERSIONS 16u

enum tiered_claim_state {
	TIERED_CLAIM_FREE = 0,
	TIERED_CLAIM_CLEAN = 1,	  /* the home has the same contents, durably */
	TIERED_CLAIM_DIRTY = 2,	  /* the frame alone has the newest contents */
	TIERED_CLAIM_LOST = 3,	  /* the frame went bad while dirty: its page answers EIO until it is rewritten */
	TIERED_CLAIM_RETIRED = 4, /* the frame is bad and holds nothing */
	TIERED_CLAIM_STATES
};

struct tiered_claim {
	u64 page;
	enum tiered_claim_state state;
	u8 version;
};

/* The word that says @claim of @frame. Free and retired claims carry page 0 and version 0. */
__le64 tiered_claim_encode(struct tiered_claim claim, u32 frame, u8 seed);

/*
 * Reads the word of @frame. Returns 0, or -EILSEQ when it is not a word that this volume wrote for this frame: wrong
 * CRC, a state or bits that do not exist, or a page at or beyond @pages.
 */
int tiered_claim_decode(__le64 word, u32 frame, u8 seed, u64 pages, struct tiered_claim *claim);

/* True for the states in which a frame speaks for its page. */
static inline bool tiered_claim_holds_page(const struct tiered_claim *claim)
{
	return claim->state == TIERED_CLAIM_CLEAN || claim->state == TIERED_CLAIM_DIRTY ||
	       claim->state == TIERED_CLAIM_LOST;
}

static inline u8 tiered_version_next(u8 version)
{
	return (version + 1) % TIERED_VERSIONS;
}

enum tiered_claim_order {
	TIERED_CLAIM_OLDER,
	TIERED_CLAIM_NEWER,
	TIERED_CLAIM_CONFLICT, /* no crash leaves these two: the volume is damaged */
};

/* How @a stands to @b, two claims of one page found on media. */
enum tiered_claim_order tiered_claim_compare(const struct tiered_claim *a, const struct tiered_claim *b);

#ifdef __cplusplus
}
#endif

#endif
