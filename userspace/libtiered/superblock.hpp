// SPDX-License-Identifier: GPL-2.0-or-later
// The two superblocks of a fast tier, as C++ sees them.
#pragma once

#include "core/superblock.h"
#include "storage.hpp"
#include "text.hpp"

#include <optional>
#include <string>

namespace tiered {

/// How a capacity tier is recognised.
struct tier_identity {
    uuid_bytes id{};
    std::uint64_t size_sectors = 0;
    bool adopted = false;
    std::string serial;  ///< empty: the disk has none
    std::string fs_type; ///< empty: none was there when the volume was made
    std::string fs_uuid;
};

/// A superblock that may be believed.
struct superblock {
    tiered_superblock_disk raw{};

    std::string name() const { return padded_text(raw.name); }
    std::string uuid() const { return uuid_text(raw.volume_uuid); }
    std::uint64_t generation() const { return le64_to_cpu(raw.generation); }
    std::uint64_t volume_sectors() const { return le64_to_cpu(raw.volume_sectors); }
    std::uint64_t volume_bytes() const { return volume_sectors() * TIERED_SECTOR_BYTES; }
    std::uint64_t fast_bytes() const { return le64_to_cpu(raw.fast_bytes); }
    std::uint64_t pages() const { return tiered_volume_pages(volume_sectors()); }
    std::uint32_t frames() const {
        return static_cast<std::uint32_t>(le64_to_cpu(raw.frames_total));
    }
    std::uint64_t words_offset() const { return le64_to_cpu(raw.words_offset_bytes); }
    std::uint64_t shadow_offset() const { return le64_to_cpu(raw.shadow_offset_bytes); }
    std::uint64_t frame_offset(std::uint32_t frame) const {
        return le64_to_cpu(raw.frames_offset_bytes) + std::uint64_t{frame} * TIERED_FRAME_BYTES;
    }
    bool needs_check() const { return le32_to_cpu(raw.flags) & TIERED_SB_NEEDS_CHECK; }
    tier_identity tier() const;
};

/// What was found where the superblocks should be.
struct superblock_search {
    std::optional<superblock> chosen;
    std::string fault;         ///< predicate of a sentence; empty when one was chosen
    bool has_magic = false;    ///< at least one of the two is of a dm-tiered volume
    bool newer_format = false; ///< whole, but of a version or with features that are unknown here
    unsigned chosen_slot = 0;  ///< 0: A, 1: B
    std::string other_slot_fault; ///< why the one that was not chosen is not valid; empty: it is
};

superblock_search find_superblock(storage& fast);

/// Throws unless `capacity` has at least the size that was recorded of the volume's disk.
void require_own_capacity(const superblock& sb, const storage& capacity);

/// Writes `sb` into `slot` as the newest superblock, durably; its generation moves on. Torn by a
/// power cut it does not check, and the other one stands.
void write_next_superblock(storage& fast, superblock& sb, unsigned slot);

/// Clears the flag that asks for a check, in the slot that is not in use and then in use by it.
void clear_needs_check(storage& fast, const superblock_search& found);

/// Makes the superblock in `slot` (0: A, 1: B) none, durably. Without both there is no volume.
void invalidate_superblock(storage& fast, unsigned slot);

} // namespace tiered
