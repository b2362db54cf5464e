/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Superblocks and geometry: where things lie on a fast tier of a given size, and whether a superblock that was read
 * may be believed. Used by the driver at load, by the tools to format and check, and by fuzzers as it is.
 */
#ifndef TIERED_CORE_SUPERBLOCK_H
#define TIERED_CORE_SUPERBLOCK_H

#include "format.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The layout of a fast tier. Offsets count from the start of the device. */
struct tiered_geometry {
	u64 frames_total;
	u64 words_offset_bytes;
	u64 shadow_offset_bytes;
	u64 frames_offset_bytes;
};

/* The smallest fast tier that can be formatted. */
#define TIERED_FAST_BYTES_MIN (1024 * 1024)

/*
 * Lays out a fast tier of @fast_bytes. Returns 0, or -ERANGE when it is smaller than TIERED_FAST_BYTES_MIN or holds
 * more frames than 32 bits can number.
 */
int tiered_geometry_compute(u64 fast_bytes, struct tiered_geometry *geometry);

/* Number of whole 4 KiB pages in a volume; a tail shorter than a page is always served by the disk. */
static inline u64 tiered_volume_pages(u64 volume_sectors)
{
	return volume_sectors / TIERED_SECTORS_PER_PAGE;
}

/* Fills in magic-independent checksum field: call it last, after every other field is set. */
void tiered_superblock_seal(struct tiered_superblock_disk *sb);

/*
 * Says what is wrong with a superblock, as the predicate of a sentence without final stop ("has a wrong checksum"),
 * or returns NULL when it may be believed on a fast tier of @fast_bytes. After NULL every offset and count in it is
 * in range.
 */
const char *tiered_superblock_fault(const struct tiered_superblock_disk *sb, u64 fast_bytes);

/*
 * Chooses between the two superblocks: among those that were written whole (magic and checksum) the one of the larger
 * generation stands. Returns NULL when there is none or when that one cannot be believed; @fault then says why.
 */
const struct tiered_superblock_disk *
tiered_superblock_choose(const struct tiered_superblock_disk *a, const struct tiered_superblock_disk *b,
			 u64 fast_bytes, const char **fault);

/* True when unknown ro_compat bits allow no more than reading. */
static inline bool tiered_superblock_read_only(const struct tiered_superblock_disk *sb)
{
	return le32_to_cpu(sb->ro_compat) & ~TIERED_RO_COMPAT_KNOWN;
}

#ifdef __cplusplus
}
#endif

#endif
