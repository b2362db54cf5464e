/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fast tier on media. Everything is little endian; every length and offset is in the unit its name says.
 *
 *   0          superblock A                  4096 bytes
 *   4096       superblock B                  4096 bytes
 *   words_offset_bytes     frame words       8 bytes a frame   (claim.h)
 *   shadow_offset_bytes    shadow words      8 bytes a frame, the same words in another region
 *   frames_offset_bytes    frames            4096 bytes each
 *
 * A volume over one capacity tier has identity homes: page p of the volume is page p of the disk. Volumes that
 * need an extent map or stored heat announce it by a feature bit that this version refuses.
 */
#ifndef TIERED_CORE_FORMAT_H
#define TIERED_CORE_FORMAT_H

#include "shim.h"

#define TIERED_FORMAT_VERSION 2 /* 1: words without their mark, never released */
#define TIERED_SECTOR_BYTES 512
#define TIERED_SECTOR_SHIFT 9
#define TIERED_FRAME_BYTES 4096
#define TIERED_FRAME_SHIFT 12
#define TIERED_SECTORS_PER_PAGE (TIERED_FRAME_BYTES / TIERED_SECTOR_BYTES)
#define TIERED_EXTENT_BYTES (1024 * 1024)

#define TIERED_SUPERBLOCK_BYTES 4096
#define TIERED_SUPERBLOCKS 2
#define TIERED_MAGIC "dm-tiered volume" /* 16 bytes, no terminator on media */
#define TIERED_MAGIC_BYTES 16
#define TIERED_UUID_BYTES 16
#define TIERED_NAME_BYTES 64
#define TIERED_TIERS_MAX 16

/* A frame number is kept in 32 bits, the largest value means "none"; steps of up to 4096 frames must not wrap. */
#define TIERED_NO_FRAME 0xffffffffu
#define TIERED_FRAMES_MAX 0xfffff000ull
#define TIERED_FRAMES_MIN 64u
/* A page index has 40 bits in a claim: 4 PiB. */
#define TIERED_PAGES_MAX (1ull << 40)

/*
 * Feature words. A reader that does not know a bit of `incompat` refuses the volume, of `ro_compat` opens it
 * read-only, of `compat` ignores it. This version knows none.
 */
#define TIERED_INCOMPAT_KNOWN 0u
#define TIERED_RO_COMPAT_KNOWN 0u

/* tiered_superblock_disk.flags */
#define TIERED_SB_NEEDS_CHECK 0x1u /* set by the driver, cleared by user space only */

/* tiered_tier_disk.flags */
#define TIERED_TIER_ADOPTED 0x1u /* the disk held data before the volume was made */

/*
 * What is known of a capacity tier, to recognise it before it is used. A disk with identity homes has no room for
 * a label of ours, so its identity is its size, its serial number and the file system on it.
 */
struct tiered_tier_disk {
	__u8 uuid[TIERED_UUID_BYTES];
	__le64 size_sectors;
	__le32 flags;
	__le32 reserved0;
	__u8 serial[64];  /* as the kernel reports it, zero padded; empty: the disk has none */
	__u8 fs_type[16]; /* as libblkid names it, zero padded; empty: none when last looked at */
	__u8 fs_uuid[48]; /* text form, zero padded */
	__u8 reserved1[32];
} __attribute__((packed));

struct tiered_superblock_disk {
	__u8 magic[TIERED_MAGIC_BYTES];
	__le32 crc32c; /* over all 4096 bytes with this field zero; seed ~0, no final inversion */
	__le32 version;
	__le64 generation; /* the valid superblock with the larger one wins */
	__le32 incompat;
	__le32 ro_compat;
	__le32 compat;
	__le32 flags;
	__u8 volume_uuid[TIERED_UUID_BYTES];
	__u8 fast_uuid[TIERED_UUID_BYTES];
	__u8 name[TIERED_NAME_BYTES]; /* of the volume, zero padded */
	__le64 created_s;	      /* seconds since 1970 */
	__le64 volume_sectors;
	__le64 fast_bytes; /* size of the fast tier when it was formatted */
	__le64 frames_total;
	__le64 words_offset_bytes;
	__le64 shadow_offset_bytes;
	__le64 frames_offset_bytes;
	__le32 frame_bytes;
	__le32 extent_bytes;
	__u8 word_seed; /* goes into the CRC8 of every word, so that words of another volume do not check */
	__u8 tiers_count;
	__u8 reserved0[6];
	__u8 reserved1[808];
	struct tiered_tier_disk tiers[TIERED_TIERS_MAX];
} __attribute__((packed));

#endif
