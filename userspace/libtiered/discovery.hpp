// SPDX-License-Identifier: GPL-2.0-or-later
// Finding volumes by their superblocks, and the disk that belongs to one.
#pragma once

#include "block_device.hpp"
#include "superblock.hpp"

#include <optional>
#include <string>
#include <vector>

namespace tiered {

struct found_volume {
    std::string fast_path;
    superblock sb;
};

struct scan_result {
    std::vector<found_volume> volumes;
    std::vector<std::string> complaints; ///< sentences about devices that could not be read
};

/// Reads the superblocks of every pmem device in fsdax mode.
scan_result scan_fast_tiers();

/// The one volume called `name`; throws when there is none or more than one.
found_volume require_volume(const std::string& name);

struct capacity_candidate {
    std::string path;
    std::uint64_t size_sectors = 0;
    std::string serial;
    std::string fs_uuid;
};

/// True when `candidate` may be the disk that `wanted` describes.
///
/// Size and, where one was recorded, serial number must match. The file system's UUID is asked for
/// only where an adopted disk has no serial number: it is the weakest of the three, because a mkfs
/// on the volume changes it in normal life.
bool is_capacity_tier(const tier_identity& wanted, const capacity_candidate& candidate);

/// Chooses the disk of a volume; throws when none or more than one matches.
std::string choose_capacity(const superblock& sb,
                            const std::vector<capacity_candidate>& candidates);

/// The path of the capacity tier of `volume` among the machine's disks.
std::string find_capacity(const found_volume& volume);

/// Throws unless the disk `path`, named by the user, has the recorded size and serial number.
void require_capacity_path(const found_volume& volume, const std::string& path);

} // namespace tiered
