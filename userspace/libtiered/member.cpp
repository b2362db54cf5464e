// SPDX-License-Identifier: GPL-2.0-or-later
// Recognising the devices of volumes.
#include "member.hpp"

#include "discovery.hpp"
#include "dm.hpp"
#include "open_volumes.hpp"
#include "record.hpp"

#include <filesystem>

namespace tiered {

namespace {

/// A volume whose disk `device` may be.
struct known_volume {
    std::string name;
    std::string uuid;
    tier_identity tier;
};

std::vector<known_volume> known_volumes() {
    std::vector<known_volume> known;
    for (const found_volume& found : scan_fast_tiers().volumes)
        known.push_back({found.sb.name(), found.sb.uuid(), found.sb.tier()});
    for (const volume_record& record : record_store().all())
        if (record.homes != homes_state::released) // the disk is to be used by itself
            known.push_back({record.name, record.uuid, record.tier});
    return known;
}

/// The open volume that stands on `device`.
std::optional<dm_device> volume_above(const block_device& device) {
    std::error_code none;
    for (const auto& holder :
         std::filesystem::directory_iterator(device.sysfs + "/holders", none)) {
        const auto name = read_text_file(holder.path() / "dm/name");
        if (!name)
            continue;
        if (auto above = find_dm_device(*name); above && above->is_volume())
            return above;
    }
    return std::nullopt;
}

std::string volume_uuid_in(const std::string& dm_uuid) {
    const std::string_view prefix = dm_uuid_prefix;
    return dm_uuid.starts_with(prefix) ? dm_uuid.substr(prefix.size()) : "";
}

std::optional<dm_device> mapped_device(const block_device& device) {
    const auto name = read_text_file(device.sysfs + "/dm/name");
    return name ? find_dm_device(*name) : std::nullopt;
}

std::optional<member> fast_member(const block_device& device) {
    file_storage fast(device.dev_path(), file_storage::access::read_only);
    const superblock_search found = find_superblock(fast);
    if (!found.has_magic)
        return std::nullopt;
    member as{.as = member::role::fast, .volume = "", .uuid = "", .open = false};
    as.open = volume_above(device).has_value();
    if (found.chosen) {
        as.volume = found.chosen->name();
        as.uuid = found.chosen->uuid();
    }
    return as;
}

std::optional<member> capacity_member(const block_device& device) {
    if (const auto above = volume_above(device))
        return member{member::role::capacity, above->name, volume_uuid_in(above->uuid), true};
    const auto mapped = mapped_device(device);
    if (mapped && mapped->is_volume())
        return std::nullopt; // not a part of one, whatever it is known by
    for (const known_volume& known : known_volumes()) {
        if (mapped && is_open_volume(known.uuid))
            continue; // it has its disk; what is mapped above it looks the same
        const std::string fs_uuid =
            is_known_by_file_system(known.tier) ? file_system_uuid(device) : "";
        if (is_surely_capacity_tier(known.tier, device, fs_uuid))
            return member{member::role::capacity, known.name, known.uuid, false};
    }
    return std::nullopt;
}

} // namespace

bool is_surely_capacity_tier(const tier_identity& wanted, const block_device& candidate,
                             const std::string& fs_uuid) {
    const bool by_size_alone = wanted.serial.empty() && !is_known_by_file_system(wanted);
    return !by_size_alone && is_capacity_tier(wanted, {candidate.dev_path(), candidate.size_sectors,
                                                       candidate.serial, fs_uuid});
}

std::optional<member> member_of(const block_device& device) {
    if (can_be_fast_tier(device))
        if (auto fast = fast_member(device))
            return fast;
    return capacity_member(device);
}

} // namespace tiered
