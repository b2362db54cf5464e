// SPDX-License-Identifier: GPL-2.0-only
/* Claims: encoding, decoding and the order of versions. */
#include "claim.h"

#define PAGE_MASK_BITS ((1ull << 40) - 1)
#define STATE_SHIFT 40
#define STATE_MASK 7ull
#define VERSION_SHIFT 43
#define VERSION_MASK 15ull
#define MARK_SHIFT 47
#define CRC_SHIFT 56
#define PAYLOAD_MASK ((1ull << CRC_SHIFT) - 1)
#define PAYLOAD_BYTES 7
#define FRAME_NUMBER_BYTES 4

/*
 * CRC-8, polynomial 0x2F (Koopman's 0x97): Hamming distance 4 up to 119 bits of data, which covers the 56 + 32 + 8
 * bits that we feed it (P. Koopman, T. Chakravarty: Cyclic Redundancy Code Polynomial Selection for Embedded
 * Networks, DSN 2004). Two nibble tables: 32 bytes stay in the cache of the hot path.
 */
static const u8 crc8_low[16] = { 0x00, 0x2f, 0x5e, 0x71, 0xbc, 0x93, 0xe2, 0xcd,
				 0x57, 0x78, 0x09, 0x26, 0xeb, 0xc4, 0xb5, 0x9a };
static const u8 crc8_high[16] = { 0x00, 0xae, 0x73, 0xdd, 0xe6, 0x48, 0x95, 0x3b,
				  0xe3, 0x4d, 0x90, 0x3e, 0x05, 0xab, 0x76, 0xd8 };

static u8 crc8(u8 crc, u64 value, unsigned int bytes)
{
	while (bytes--) {
		crc ^= (u8)value;
		crc = crc8_low[crc & 15] ^ crc8_high[crc >> 4];
		value >>= 8;
	}
	return crc;
}

static u8 word_crc(u64 payload, u32 frame, u8 seed)
{
	return crc8(crc8(seed, frame, FRAME_NUMBER_BYTES), payload, PAYLOAD_BYTES);
}

__le64 tiered_claim_encode(struct tiered_claim claim, u32 frame, u8 seed)
{
	u64 payload = claim.page | (u64)claim.state << STATE_SHIFT | (u64)claim.version << VERSION_SHIFT |
		      1ull << MARK_SHIFT;

	return cpu_to_le64(payload | (u64)word_crc(payload, frame, seed) << CRC_SHIFT);
}

int tiered_claim_decode(__le64 word, u32 frame, u8 seed, u64 pages, struct tiered_claim *claim)
{
	u64 raw = le64_to_cpu(word);
	u64 payload = raw & PAYLOAD_MASK;

	if (word_crc(payload, frame, seed) != raw >> CRC_SHIFT)
		return -EILSEQ;
	if (payload >> MARK_SHIFT != 1)
		return -EILSEQ;

	claim->page = payload & PAGE_MASK_BITS;
	claim->state = (enum tiered_claim_state)(payload >> STATE_SHIFT & STATE_MASK);
	claim->version = payload >> VERSION_SHIFT & VERSION_MASK;

	if (claim->state >= TIERED_CLAIM_STATES)
		return -EILSEQ;
	if (tiered_claim_holds_page(claim))
		return claim->page < pages ? 0 : -EILSEQ;
	return claim->page || claim->version ? -EILSEQ : 0;
}

enum tiered_claim_order tiered_claim_compare(const struct tiered_claim *a, const struct tiered_claim *b)
{
	switch ((a->version - b->version) & VERSION_MASK) {
	case 1:
		return TIERED_CLAIM_NEWER;
	case TIERED_VERSIONS - 1:
		return TIERED_CLAIM_OLDER;
	default:
		return TIERED_CLAIM_CONFLICT;
	}
}
