// SPDX-License-Identifier: GPL-2.0-or-later
// Finding volumes and their disks.
#include "discovery.hpp"

#include "dm.hpp"
#include "error.hpp"
#include "signature.hpp"

#include <algorithm>

namespace tiered {

namespace {

bool can_be_capacity_tier(const block_device& device, const sought_disk& sought) {
    return device.size_sectors >= sought.tier.size_sectors &&
           device.dev_path() != sought.fast_path && !device.dm_uuid.starts_with(dm_uuid_prefix);
}

std::string described(const tier_identity& tier) {
    std::string text = size_text(tier.size_sectors * TIERED_SECTOR_BYTES);
    if (!tier.serial.empty())
        text += fmt::format(", serial number {}", tier.serial);
    else if (is_known_by_file_system(tier))
        text += fmt::format(", {} with UUID {}", tier.fs_type, tier.fs_uuid);
    return text;
}

/// Nothing is read that is not needed: a disk that does not answer, of whomever, would hold up all.
std::vector<capacity_candidate> capacity_candidates(const sought_disk& sought) {
    const bool look = is_known_by_file_system(sought.tier);
    std::vector<capacity_candidate> candidates;
    for (const block_device& device : all_block_devices())
        if (can_be_capacity_tier(device, sought))
            candidates.push_back({device.dev_path(), device.size_sectors, device.serial,
                                  look ? file_system_uuid(device) : ""});
    return candidates;
}

} // namespace

bool can_be_fast_tier(const block_device& device) {
    return device.kernel_name.starts_with("pmem") && !device.partition && device.dax;
}

std::string file_system_uuid(const block_device& device) {
    try {
        const auto found = find_signature(device.dev_path());
        return found ? found->uuid : "";
    } catch (const error&) {
        return {}; // a disk that cannot be read is recognised by nothing
    }
}

scan_result scan_fast_tiers() {
    scan_result result;
    for (const block_device& device : all_block_devices()) {
        if (!can_be_fast_tier(device))
            continue;
        try {
            file_storage fast(device.dev_path(), file_storage::access::read_only);
            superblock_search found = find_superblock(fast);
            if (found.chosen)
                result.volumes.push_back({device.dev_path(), *found.chosen});
            else if (found.has_magic)
                result.complaints.push_back(fmt::format(
                    "{} holds a volume that cannot be used: its superblock {} (more from "
                    "tierctl check --fast {} --capacity DISK)",
                    device.dev_path(), found.fault, device.dev_path()));
        } catch (const error& e) {
            result.complaints.push_back(e.what());
        }
    }
    return result;
}

std::optional<found_volume> find_volume(const std::string& name) {
    const scan_result scan = scan_fast_tiers();
    std::vector<found_volume> matches;
    std::ranges::copy_if(scan.volumes, std::back_inserter(matches),
                         [&](const found_volume& volume) { return volume.sb.name() == name; });
    if (matches.size() == 1)
        return matches[0];
    if (matches.size() > 1)
        fail("{} and {} both hold a volume called '{}'; detach one of them", matches[0].fast_path,
             matches[1].fast_path, name);
    if (!scan.complaints.empty())
        fail("no volume called '{}' was found, and {}", name, scan.complaints[0]);
    return std::nullopt;
}

found_volume require_volume(const std::string& name) {
    if (auto found = find_volume(name))
        return std::move(*found);
    fail("no volume called '{}' was found on any pmem device in fsdax mode; tierctl list shows "
         "those that were",
         name);
}

bool is_known_by_file_system(const tier_identity& tier) {
    return tier.serial.empty() && tier.adopted && !tier.fs_uuid.empty();
}

bool is_capacity_tier(const tier_identity& wanted, const capacity_candidate& candidate) {
    if (candidate.size_sectors < wanted.size_sectors)
        return false;
    if (!wanted.serial.empty())
        return candidate.serial.substr(0, sizeof(tiered_tier_disk::serial)) == wanted.serial;
    if (is_known_by_file_system(wanted))
        return candidate.fs_uuid == wanted.fs_uuid;
    return candidate.size_sectors == wanted.size_sectors;
}

std::string choose_capacity(const sought_disk& sought,
                            const std::vector<capacity_candidate>& candidates) {
    std::vector<std::string> matches;
    for (const capacity_candidate& candidate : candidates)
        if (is_capacity_tier(sought.tier, candidate))
            matches.push_back(candidate.path);
    if (matches.size() == 1)
        return matches[0];
    if (matches.empty())
        fail("the capacity disk of the volume '{}' ({}) was not found; attach it, or name it with "
             "--capacity",
             sought.volume, described(sought.tier));
    fail("{} and {} could both be the capacity disk of the volume '{}' ({}); name the right one "
         "with --capacity",
         matches[0], matches[1], sought.volume, described(sought.tier));
}

std::string find_capacity(const sought_disk& sought) {
    return choose_capacity(sought, capacity_candidates(sought));
}

bool capacity_is_present(const sought_disk& sought) {
    return std::ranges::any_of(capacity_candidates(sought), [&](const capacity_candidate& one) {
        return is_capacity_tier(sought.tier, one);
    });
}

void require_capacity_path(const sought_disk& sought, const std::string& path) {
    const block_device device = inspect_block_device(path);
    const tier_identity& wanted = sought.tier;
    const bool serial_fits =
        wanted.serial.empty() ||
        device.serial.substr(0, sizeof(tiered_tier_disk::serial)) == wanted.serial;
    if (device.size_sectors < wanted.size_sectors || !serial_fits)
        fail("{} is not the capacity disk of the volume '{}': it has {} sectors and {}, but {} "
             "sectors "
             "and {} were recorded",
             path, sought.volume, device.size_sectors,
             device.serial.empty() ? "no serial number" : "serial number " + device.serial,
             wanted.size_sectors,
             wanted.serial.empty() ? "no serial number" : "serial number " + wanted.serial);
}

} // namespace tiered
