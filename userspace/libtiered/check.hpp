// SPDX-License-Identifier: GPL-2.0-or-later
// Checking a volume, closed or in use: what its tiers say, and whether anything was lost.
#pragma once

#include "storage.hpp"
#include "superblock.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace tiered {

enum class severity {
    note,       ///< normal, for instance after a crash
    repairable, ///< wrong, but nothing is lost by it
    damage,     ///< contents of the volume are lost or may be
};

struct finding {
    severity level;
    std::string text;
};

struct check_counts {
    std::uint64_t free = 0;
    std::uint64_t clean = 0;
    std::uint64_t dirty = 0;
    std::uint64_t lost = 0;
    std::uint64_t retired = 0;
    std::uint64_t losers = 0;
    std::uint64_t damaged = 0;
    std::uint64_t conflicts = 0;
    std::uint64_t changed = 0; ///< words that changed while a volume in use was read: not judged
};

struct check_report {
    superblock sb;
    check_counts counts;
    std::vector<finding> findings;
    std::uint64_t findings_left_out = 0; ///< beyond the number that is kept
    std::uint64_t damages = 0;           ///< findings that are damage, kept or not

    /// True when there is damage, and all of it is pages that are known to be lost.
    bool only_lost() const { return damages > 0 && damages == counts.lost; }

    severity worst = severity::note;
};

struct check_options {
    bool verify_clean = false; ///< compare every clean frame with its home
    bool live = false;         ///< the volume is in use: only what two readings agree on counts
};

/// Throws when there is no volume to check or the capacity tier cannot be its own; a superblock
/// that is damaged is a finding. `capacity` may be null where only the fast tier's words matter.
check_report check_volume(storage& fast, storage* capacity, const check_options& options);

/// Whether a frame of the volume `sb` holds a page, or may: an empty volume has none that does.
bool holds_pages(storage& fast, const superblock& sb);

/// Number of dirty pages of the volume `sb`, for a warning before they are destroyed.
std::uint64_t count_dirty_pages(storage& fast, const superblock& sb);

} // namespace tiered
