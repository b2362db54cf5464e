// SPDX-License-Identifier: GPL-2.0-or-later
// Reading and updating superblocks.
#include "superblock.hpp"

#include "error.hpp"

#include <algorithm>
#include <array>

namespace tiered {

namespace {

using slots = std::array<tiered_superblock_disk, TIERED_SUPERBLOCKS>;

bool has_magic(const tiered_superblock_disk& sb) {
    return std::memcmp(sb.magic, TIERED_MAGIC, TIERED_MAGIC_BYTES) == 0;
}

/// True when only the knowledge of this version stands between us and the superblock.
bool is_newer_format(tiered_superblock_disk sb) {
    const __le32 crc = sb.crc32c;
    tiered_superblock_seal(&sb);
    return has_magic(sb) && sb.crc32c == crc &&
           (le32_to_cpu(sb.version) > TIERED_FORMAT_VERSION ||
            le32_to_cpu(sb.incompat) & ~TIERED_INCOMPAT_KNOWN);
}

/// A superblock that the medium cannot read is none.
tiered_superblock_disk read_slot(storage& fast, unsigned slot) {
    tiered_superblock_disk sb{};
    const std::uint64_t offset = std::uint64_t{slot} * TIERED_SUPERBLOCK_BYTES;
    if (offset + sizeof(sb) > fast.size_bytes())
        return sb;
    try {
        fast.read(offset, std::as_writable_bytes(std::span(&sb, 1)));
    } catch (const media_error&) {
        return {};
    }
    return sb;
}

} // namespace

tier_identity superblock::tier() const {
    const tiered_tier_disk& disk = raw.tiers[0];
    tier_identity identity;
    std::copy_n(disk.uuid, identity.id.size(), identity.id.begin());
    identity.size_sectors = le64_to_cpu(disk.size_sectors);
    identity.adopted = le32_to_cpu(disk.flags) & TIERED_TIER_ADOPTED;
    identity.serial = padded_text(disk.serial);
    identity.fs_type = padded_text(disk.fs_type);
    identity.fs_uuid = padded_text(disk.fs_uuid);
    return identity;
}

superblock_search find_superblock(storage& fast) {
    const slots both{read_slot(fast, 0), read_slot(fast, 1)};
    superblock_search found;
    const char* fault = nullptr;
    const tiered_superblock_disk* chosen =
        tiered_superblock_choose(&both[0], &both[1], fast.size_bytes(), &fault);

    found.has_magic = has_magic(both[0]) || has_magic(both[1]);
    if (!chosen) {
        found.fault = fault;
        found.newer_format = is_newer_format(both[0]) || is_newer_format(both[1]);
        return found;
    }
    found.chosen_slot = chosen == &both[1] ? 1 : 0;
    found.chosen = superblock{*chosen};
    const char* other = tiered_superblock_fault(&both[1 - found.chosen_slot], fast.size_bytes());
    found.other_slot_fault = other ? other : "";
    return found;
}

void require_own_capacity(const superblock& sb, const storage& capacity) {
    const std::uint64_t wanted = sb.tier().size_sectors * TIERED_SECTOR_BYTES;
    if (capacity.size_bytes() < wanted) // it may have grown
        fail("this is not the capacity tier of the volume '{}': it has {} bytes, but {} were "
             "recorded; name the right one",
             sb.name(), capacity.size_bytes(), wanted);
}

void write_next_superblock(storage& fast, superblock& sb, unsigned slot) {
    sb.raw.generation = cpu_to_le64(sb.generation() + 1);
    tiered_superblock_seal(&sb.raw);
    fast.write(std::uint64_t{slot} * TIERED_SUPERBLOCK_BYTES, std::as_bytes(std::span(&sb.raw, 1)));
    fast.sync();
}

void invalidate_superblock(storage& fast, unsigned slot) {
    const std::array<std::byte, TIERED_SUPERBLOCK_BYTES> zeros{};
    fast.write(std::uint64_t{slot} * TIERED_SUPERBLOCK_BYTES, zeros);
    fast.sync();
}

void clear_needs_check(storage& fast, const superblock_search& found) {
    superblock next = *found.chosen;
    next.raw.flags = cpu_to_le32(le32_to_cpu(next.raw.flags) & ~TIERED_SB_NEEDS_CHECK);
    write_next_superblock(fast, next, 1 - found.chosen_slot);
}

} // namespace tiered
