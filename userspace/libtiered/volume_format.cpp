// SPDX-License-Identifier: GPL-2.0-or-later
// Writing an empty volume.
#include "volume_format.hpp"

#include "../../driver/core/claim.h"
#include "error.hpp"
#include "word_tables.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <sys/random.h>
#include <vector>

namespace tiered {

namespace {

constexpr std::size_t chunk_words = 128 * 1024;

std::uint8_t random_byte() {
    std::uint8_t byte = 0;
    if (::getrandom(&byte, sizeof(byte), 0) != sizeof(byte))
        fail("cannot get random numbers from the kernel: {}", errno_text(errno));
    return byte;
}

tiered_tier_disk tier_record(const tier_identity& tier) {
    tiered_tier_disk disk{};
    std::copy(tier.id.begin(), tier.id.end(), disk.uuid);
    disk.size_sectors = cpu_to_le64(tier.size_sectors);
    disk.flags = cpu_to_le32(tier.adopted ? TIERED_TIER_ADOPTED : 0);
    store_padded(disk.serial, tier.serial);
    store_padded(disk.fs_type, tier.fs_type);
    store_padded(disk.fs_uuid, tier.fs_uuid);
    return disk;
}

tiered_geometry geometry_for(std::uint64_t fast_bytes) {
    tiered_geometry geometry{};
    if (fast_bytes % TIERED_SECTOR_BYTES)
        fail("the fast tier has {} bytes, which is not a multiple of {}; choose another device",
             fast_bytes, TIERED_SECTOR_BYTES);
    if (fast_bytes < TIERED_FAST_BYTES_MIN)
        fail("the fast tier has {}, but at least {} are needed; choose a larger namespace",
             size_text(fast_bytes), size_text(TIERED_FAST_BYTES_MIN));
    if (tiered_geometry_compute(fast_bytes, &geometry))
        fail(
            "the fast tier has {}, more than the {} frames that a volume can number; use a smaller "
            "namespace",
            size_text(fast_bytes), TIERED_FRAMES_MAX);
    return geometry;
}

void write_free_words(storage& fast, const superblock& sb, std::uint64_t table_offset,
                      std::uint64_t table_end) {
    // The rest of the last 4 KiB of a table belongs to no frame; it is filled all the same, so that
    // whole blocks are written.
    const std::uint64_t words = (table_end - table_offset) / sizeof(__le64);
    const tiered_claim free_claim{0, TIERED_CLAIM_FREE, 0};
    std::vector<__le64> chunk;
    for (std::uint64_t first = 0; first < words; first += chunk.size()) {
        chunk.resize(std::min<std::uint64_t>(chunk_words, words - first));
        for (std::size_t i = 0; i < chunk.size(); i++)
            chunk[i] = tiered_claim_encode(free_claim, static_cast<std::uint32_t>(first + i),
                                           sb.raw.word_seed);
        fast.write(table_offset + first * sizeof(__le64), std::as_bytes(std::span(chunk)));
    }
}

void write_superblock(storage& fast, const superblock& sb, unsigned slot,
                      std::uint64_t generation) {
    const std::uint64_t offset = std::uint64_t{slot} * TIERED_SUPERBLOCK_BYTES;
    tiered_superblock_disk whole = sb.raw;
    whole.generation = cpu_to_le64(generation);
    tiered_superblock_seal(&whole);

    // The second write differs in the magic alone; it is whole because a device may have blocks of
    // 4 KiB.
    tiered_superblock_disk without_magic = whole;
    std::fill(std::begin(without_magic.magic), std::end(without_magic.magic), 0);
    for (const tiered_superblock_disk* contents : {&without_magic, &whole}) {
        fast.write(offset, std::as_bytes(std::span(contents, 1)));
        fast.sync();
    }
}

} // namespace

format_spec new_format_spec(const std::string& name, const tier_identity& tier) {
    format_spec spec;
    spec.name = name;
    spec.volume_id = new_uuid();
    spec.fast_id = new_uuid();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    spec.created_s =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
    spec.word_seed = random_byte();
    spec.volume_sectors = tier.size_sectors;
    spec.tier = tier;
    spec.tier.id = new_uuid();
    return spec;
}

superblock make_superblock(const format_spec& spec, std::uint64_t fast_bytes) {
    const tiered_geometry geometry = geometry_for(fast_bytes);
    require_volume_name(spec.name);

    superblock sb;
    std::copy_n(TIERED_MAGIC, TIERED_MAGIC_BYTES, sb.raw.magic);
    sb.raw.version = cpu_to_le32(TIERED_FORMAT_VERSION);
    sb.raw.generation = cpu_to_le64(1);
    std::copy(spec.volume_id.begin(), spec.volume_id.end(), sb.raw.volume_uuid);
    std::copy(spec.fast_id.begin(), spec.fast_id.end(), sb.raw.fast_uuid);
    store_padded(sb.raw.name, spec.name);
    sb.raw.created_s = cpu_to_le64(spec.created_s);
    sb.raw.volume_sectors = cpu_to_le64(spec.volume_sectors);
    sb.raw.fast_bytes = cpu_to_le64(fast_bytes);
    sb.raw.frames_total = cpu_to_le64(geometry.frames_total);
    sb.raw.words_offset_bytes = cpu_to_le64(geometry.words_offset_bytes);
    sb.raw.shadow_offset_bytes = cpu_to_le64(geometry.shadow_offset_bytes);
    sb.raw.frames_offset_bytes = cpu_to_le64(geometry.frames_offset_bytes);
    sb.raw.frame_bytes = cpu_to_le32(TIERED_FRAME_BYTES);
    sb.raw.extent_bytes = cpu_to_le32(TIERED_EXTENT_BYTES);
    sb.raw.word_seed = spec.word_seed;
    sb.raw.tiers_count = 1;
    sb.raw.tiers[0] = tier_record(spec.tier);
    tiered_superblock_seal(&sb.raw);
    if (const char* fault = tiered_superblock_fault(&sb.raw, fast_bytes))
        fail("a volume cannot be made like this: its superblock {}", fault);
    return sb;
}

void erase_superblocks(storage& fast) {
    const std::array<std::byte, TIERED_SUPERBLOCKS * TIERED_SUPERBLOCK_BYTES> zeros{};
    fast.write(0, zeros);
    fast.sync();
}

void write_format(storage& fast, const superblock& sb) {
    erase_superblocks(fast);
    write_free_words(fast, sb, sb.words_offset(), table_end(sb, sb.words_offset()));
    write_free_words(fast, sb, sb.shadow_offset(), table_end(sb, sb.shadow_offset()));
    fast.sync();
    write_superblock(fast, sb, 1, 1);
    write_superblock(fast, sb, 0, 2);
}

} // namespace tiered
