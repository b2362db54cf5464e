// SPDX-License-Identifier: GPL-2.0-or-later
// Real superblocks for the packed ones, so that the driver's own code chooses.
#include "superblocks.h"

#include "superblock.h"

#include <cstring>
#include <map>
#include <memory>

namespace model {

namespace {

constexpr u64 fast_bytes = u64{16} << 20;

using Disk = std::unique_ptr<tiered_superblock_disk>;

Disk make_superblock(u8 packed) {
    auto sb = std::make_unique<tiered_superblock_disk>();
    const u64 sectors = u64{superblock_pages(packed)} * TIERED_SECTORS_PER_PAGE;
    tiered_geometry geometry{};

    tiered_geometry_compute(fast_bytes, &geometry);
    std::memcpy(sb->magic, TIERED_MAGIC, TIERED_MAGIC_BYTES);
    sb->version = cpu_to_le32(TIERED_FORMAT_VERSION);
    sb->generation = cpu_to_le64(superblock_generation(packed));
    sb->name[0] = 'v';
    sb->volume_sectors = cpu_to_le64(sectors);
    sb->fast_bytes = cpu_to_le64(fast_bytes);
    sb->frames_total = cpu_to_le64(geometry.frames_total);
    sb->words_offset_bytes = cpu_to_le64(geometry.words_offset_bytes);
    sb->shadow_offset_bytes = cpu_to_le64(geometry.shadow_offset_bytes);
    sb->frames_offset_bytes = cpu_to_le64(geometry.frames_offset_bytes);
    sb->frame_bytes = cpu_to_le32(TIERED_FRAME_BYTES);
    sb->tiers_count = 1;
    sb->tiers[0].size_sectors = cpu_to_le64(sectors);
    tiered_superblock_seal(sb.get());
    if (packed == torn)
        sb->reserved1[0] = 1;
    return sb;
}

const tiered_superblock_disk& superblock(u8 packed) {
    static std::array<Disk, 256> made;

    if (!made[packed])
        made[packed] = make_superblock(packed);
    return *made[packed];
}

u8 choose(const SlotImage& slots) {
    const tiered_superblock_disk& first = superblock(slots[0]);
    const tiered_superblock_disk& second = superblock(slots[1]);
    const char* fault = nullptr;
    const auto* chosen = tiered_superblock_choose(&first, &second, fast_bytes, &fault);

    if (!chosen)
        return none;
    return chosen == &first ? 0 : 1;
}

} // namespace

u8 standing_slot(const SlotImage& slots) {
    static std::map<SlotImage, u8> known;
    const auto found = known.find(slots);

    return found != known.end() ? found->second : known.emplace(slots, choose(slots)).first->second;
}

unsigned volume_pages(const SlotImage& slots) {
    const u8 slot = standing_slot(slots);

    return slot == none ? 0 : superblock_pages(slots[slot]);
}

} // namespace model
