// SPDX-License-Identifier: GPL-2.0-only
/* Superblocks and geometry: layout, checksum and the range checks that everything after may rely on. */
#include "superblock.h"

_Static_assert(sizeof(struct tiered_tier_disk) == 192, "tier record is 192 bytes on media");
_Static_assert(sizeof(struct tiered_superblock_disk) == TIERED_SUPERBLOCK_BYTES, "superblock is one frame");

#define WORD_BYTES 8ull
#define TABLES_PER_FRAME (2 * WORD_BYTES) /* word and shadow word */

/*
 * Frames start on 2 MiB where that costs less than 0.05 % of the tier, so that a mapping of neighbouring frames can
 * use huge pages; on smaller tiers metadata must stay below 0.5 %.
 */
#define FRAMES_ALIGN_LARGE (2ull * 1024 * 1024)
#define FRAMES_ALIGN_LARGE_FROM_BYTES (4ull * 1024 * 1024 * 1024)

static u64 round_up_to(u64 value, u64 unit)
{
	return (value + unit - 1) / unit * unit;
}

int tiered_geometry_compute(u64 fast_bytes, struct tiered_geometry *geometry)
{
	u64 align = fast_bytes >= FRAMES_ALIGN_LARGE_FROM_BYTES ? FRAMES_ALIGN_LARGE : TIERED_FRAME_BYTES;
	u64 words_offset = TIERED_SUPERBLOCKS * TIERED_SUPERBLOCK_BYTES;
	u64 frames, table_bytes, frames_offset;

	if (fast_bytes < TIERED_FAST_BYTES_MIN)
		return -ERANGE;

	/*
	 * An upper bound first, which fixes the size of the tables; the frames that do not fit behind them are given
	 * up (at most a few).
	 */
	frames = (fast_bytes - words_offset) / (TIERED_FRAME_BYTES + TABLES_PER_FRAME);
	table_bytes = round_up_to(frames * WORD_BYTES, TIERED_FRAME_BYTES);
	frames_offset = round_up_to(words_offset + 2 * table_bytes, align);
	if (frames > (fast_bytes - frames_offset) / TIERED_FRAME_BYTES)
		frames = (fast_bytes - frames_offset) / TIERED_FRAME_BYTES;
	if (frames > TIERED_FRAMES_MAX)
		return -ERANGE;

	geometry->frames_total = frames;
	geometry->words_offset_bytes = words_offset;
	geometry->shadow_offset_bytes = words_offset + table_bytes;
	geometry->frames_offset_bytes = frames_offset;
	return 0;
}

static u32 superblock_crc(const struct tiered_superblock_disk *sb)
{
	const size_t before = offsetof(struct tiered_superblock_disk, crc32c);
	const size_t after = before + sizeof(sb->crc32c);
	const __le32 zero = 0;
	u32 crc;

	crc = tiered_crc32c(~0u, sb, before);
	crc = tiered_crc32c(crc, &zero, sizeof(zero));
	return tiered_crc32c(crc, (const u8 *)sb + after, sizeof(*sb) - after);
}

void tiered_superblock_seal(struct tiered_superblock_disk *sb)
{
	sb->crc32c = cpu_to_le32(superblock_crc(sb));
}

/* A table of @bytes at @offset that lies whole in [@low, @high) and starts on a frame boundary. */
static bool table_fits(u64 offset, u64 bytes, u64 low, u64 high)
{
	return offset % TIERED_FRAME_BYTES == 0 && offset >= low && offset <= high && bytes <= high - offset;
}

static const char *geometry_fault(const struct tiered_superblock_disk *sb, u64 fast_bytes)
{
	u64 frames = le64_to_cpu(sb->frames_total);
	u64 words = le64_to_cpu(sb->words_offset_bytes);
	u64 shadow = le64_to_cpu(sb->shadow_offset_bytes);
	u64 data = le64_to_cpu(sb->frames_offset_bytes);

	if (le32_to_cpu(sb->frame_bytes) != TIERED_FRAME_BYTES)
		return "has a frame size other than 4096 bytes";
	if (le64_to_cpu(sb->fast_bytes) > fast_bytes)
		return "was made for a larger fast tier (is the device truncated?)";
	if (frames < TIERED_FRAMES_MIN || frames > TIERED_FRAMES_MAX || frames > fast_bytes / TIERED_FRAME_BYTES)
		return "has an impossible number of frames";
	if (!table_fits(words, frames * WORD_BYTES, TIERED_SUPERBLOCKS * TIERED_SUPERBLOCK_BYTES, shadow) ||
	    !table_fits(shadow, frames * WORD_BYTES, words, data) ||
	    !table_fits(data, frames * TIERED_FRAME_BYTES, shadow, fast_bytes))
		return "has regions that overlap or leave the device";
	return NULL;
}

static const char *volume_fault(const struct tiered_superblock_disk *sb)
{
	u64 sectors = le64_to_cpu(sb->volume_sectors);

	if (!sectors || tiered_volume_pages(sectors) > TIERED_PAGES_MAX)
		return "has an impossible volume size";
	if (sb->tiers_count != 1)
		return "has a number of capacity tiers that this version cannot serve (it serves one)";
	if (le64_to_cpu(sb->tiers[0].size_sectors) < sectors)
		return "has a volume larger than its capacity tier";
	if (!sb->name[0] || sb->name[TIERED_NAME_BYTES - 1])
		return "has no proper volume name";
	return NULL;
}

/* What a torn or foreign superblock shows. */
static const char *integrity_fault(const struct tiered_superblock_disk *sb)
{
	if (memcmp(sb->magic, TIERED_MAGIC, TIERED_MAGIC_BYTES))
		return "is not of a dm-tiered volume";
	if (le32_to_cpu(sb->crc32c) != superblock_crc(sb))
		return "has a wrong checksum";
	return NULL;
}

/* What a superblock that was written whole asks for and we cannot give. */
static const char *content_fault(const struct tiered_superblock_disk *sb, u64 fast_bytes)
{
	const char *fault;

	if (le32_to_cpu(sb->version) != TIERED_FORMAT_VERSION)
		return "has a format version that this driver does not know";
	if (le32_to_cpu(sb->incompat) & ~TIERED_INCOMPAT_KNOWN)
		return "uses features that this driver does not know";
	fault = geometry_fault(sb, fast_bytes);
	return fault ? fault : volume_fault(sb);
}

const char *tiered_superblock_fault(const struct tiered_superblock_disk *sb, u64 fast_bytes)
{
	const char *fault = integrity_fault(sb);

	return fault ? fault : content_fault(sb, fast_bytes);
}

static bool has_magic(const struct tiered_superblock_disk *sb)
{
	return !memcmp(sb->magic, TIERED_MAGIC, TIERED_MAGIC_BYTES);
}

const struct tiered_superblock_disk *
tiered_superblock_choose(const struct tiered_superblock_disk *a, const struct tiered_superblock_disk *b,
			 u64 fast_bytes, const char **fault)
{
	const char *fault_a = integrity_fault(a);
	const char *fault_b = integrity_fault(b);
	const struct tiered_superblock_disk *newest;

	if (fault_a && fault_b) {
		*fault = has_magic(a) ? fault_a : fault_b;
		return NULL;
	}
	newest = fault_a || (!fault_b && le64_to_cpu(b->generation) > le64_to_cpu(a->generation)) ? b : a;
	/*
	 * The newest one stands, even when it asks for what we do not know: the older copy was written by software
	 * that did not use that yet, and going by it would be to ignore what happened since.
	 */
	*fault = content_fault(newest, fast_bytes);
	return *fault ? NULL : newest;
}
