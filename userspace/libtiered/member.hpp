// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a device belongs to a volume, so that nobody mounts or formats it by mistake.
#pragma once

#include "block_device.hpp"
#include "superblock.hpp"

#include <optional>
#include <string>

namespace tiered {

struct member {
    enum class role { fast, capacity };

    role as;
    std::string volume; ///< its name; empty: a fast tier whose superblocks cannot be used
    std::string uuid;   ///< of the volume; empty where the name is, or for a table by dmsetup alone
    bool open = false;  ///< the volume is open now
};

/// The volume that `device` belongs to, as far as this machine knows; reads, and writes nothing.
///
/// A disk is known by an open volume above it, or by what the superblocks of the fast tiers that
/// are here and the records in /var/lib/tiered say: by serial number or, where an adopted disk has
/// none, its file system's UUID. A disk with neither is not claimed for its size alone.
std::optional<member> member_of(const block_device& device);

/// True when `candidate` is, beyond doubt, the disk that `wanted` describes.
bool is_surely_capacity_tier(const tier_identity& wanted, const block_device& candidate,
                             const std::string& fs_uuid);

} // namespace tiered
