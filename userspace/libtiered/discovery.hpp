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

/// True for persistent memory in fsdax mode.
bool can_be_fast_tier(const block_device& device);

/// The UUID of the file system on a device; empty when there is none or it cannot be read.
std::string file_system_uuid(const block_device& device);

/// Reads the superblocks of every pmem device in fsdax mode.
scan_result scan_fast_tiers();

/// The one volume called `name`, or nothing; throws when there is more than one, or one that cannot
/// be used.
std::optional<found_volume> find_volume(const std::string& name);
/// The same; throws when there is none.
found_volume require_volume(const std::string& name);

/// The disk of a volume, to be found by its identity.
struct sought_disk {
    std::string volume; ///< its name
    tier_identity tier;
    std::string fast_path; ///< which is not it

    explicit sought_disk(const found_volume& found)
        : volume(found.sb.name()), tier(found.sb.tier()), fast_path(found.fast_path) {}
    sought_disk(std::string name, tier_identity identity)
        : volume(std::move(name)), tier(std::move(identity)) {}
};

struct capacity_candidate {
    std::string path;
    std::uint64_t size_sectors = 0;
    std::string serial;
    std::string fs_uuid;
};

/// True when only its file system tells the disk from others: an adopted one without a serial
/// number. No other disk has to be read to be known.
bool is_known_by_file_system(const tier_identity& tier);

/// True when `candidate` may be the disk that `wanted` describes.
///
/// It must not be smaller and, where one was recorded, its serial number must match; a disk that is
/// known by nothing else must have the same size. The file system's UUID is asked for
/// only where an adopted disk has no serial number: it is the weakest of the three, because a mkfs
/// on the volume changes it in normal life.
bool is_capacity_tier(const tier_identity& wanted, const capacity_candidate& candidate);

/// Chooses the disk of a volume; throws when none or more than one matches.
std::string choose_capacity(const sought_disk& sought,
                            const std::vector<capacity_candidate>& candidates);

/// The path of the disk among those of the machine.
std::string find_capacity(const sought_disk& sought);

/// Whether find_capacity() would have a disk to choose.
bool capacity_is_present(const sought_disk& sought);

/// Throws unless the disk `path`, named by the user, is not smaller than recorded and has the
/// serial number. The driver looks at its contents.
void require_capacity_path(const sought_disk& sought, const std::string& path);

} // namespace tiered
