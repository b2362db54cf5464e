// SPDX-License-Identifier: GPL-2.0-or-later
// What the verbs note for the day when a fast tier is missing.
#include "records.hpp"

#include "error.hpp"
#include "open_volumes.hpp"
#include "table.hpp"

#include <algorithm>
#include <ctime>

namespace tierctl {

using namespace tiered;

namespace {

std::vector<page_range> pins_recorded(const std::string& uuid) {
    const auto record = record_store().find_uuid(uuid);
    return record ? record->pins : std::vector<page_range>{};
}

volume_record record_of(const superblock& sb, const std::string& fast_path, homes_state homes) {
    return {.name = sb.name(),
            .uuid = sb.uuid(),
            .fast_path = fast_path,
            .volume_sectors = sb.volume_sectors(),
            .tier = sb.tier(),
            .homes = homes,
            .recorded_s = std::time(nullptr),
            .pins = pins_recorded(sb.uuid())};
}

/// A volume that this machine never opened by tierctl has no record to bring up to date.
void update(const std::string& uuid, homes_state homes, std::uint64_t missing_pages) {
    auto record = record_store().find_uuid(uuid);
    if (!record)
        return;
    record->homes = homes;
    record->missing_pages = missing_pages;
    record->recorded_s = std::time(nullptr);
    record_store().keep(*record);
}

bool older_record_would_lie(const std::string& uuid) {
    const auto record = record_store().find_uuid(uuid);
    return record && record->disk_is_whole();
}

} // namespace

locked_volume lock_open_volume(const std::string& name) {
    record_lock lock(describe(require_open(name)).uuid);
    return {std::move(lock), require_open(name)};
}

void note_format(const superblock& sb, const std::string& fast_path,
                 const std::optional<superblock>& former) {
    if (former) {
        // An open that fails because the device is claimed may be about to take its note back.
        const record_lock lock(former->uuid());
        record_store().forget(former->uuid());
    }
    record_store().keep(record_of(sb, fast_path, homes_state::whole));
}

void note_open(const found_volume& volume) {
    try {
        record_store().keep(record_of(volume.sb, volume.fast_path, homes_state::in_use));
    } catch (const error& e) {
        if (older_record_would_lie(volume.sb.uuid()))
            throw;
        fmt::print(stderr, "tierctl: warning: {}\n", e.what());
    }
}

void note_written_through(const std::string& uuid) {
    update(uuid, homes_state::writethrough, 0);
}

void note_close(const std::string& uuid, std::uint64_t missing_pages) {
    update(uuid, missing_pages ? homes_state::lacking : homes_state::whole, missing_pages);
}

void note_found_open(const dm_device& device) {
    const open_volume volume = describe(device);
    // Read-only it changes nothing; without a fast tier, and made by dmsetup, it may have no UUID.
    if (volume.status.state == TIERED_STATE_RO || volume.uuid.empty())
        return;
    const auto lock = record_lock::try_take(volume.uuid);
    if (!lock)
        return;
    const volume_table table = parse_table(device.table);
    const auto record = record_store().find_uuid(volume.uuid);
    if (volume.without_fast()) {
        if (record && record->homes != homes_state::alone && table.has("nothing_dirty"))
            note_alone(*record);
        return;
    }
    if (record && (record->homes == homes_state::in_use ||
                   (record->homes == homes_state::writethrough && table.has("writethrough"))))
        return;
    file_storage fast(volume.fast_path, file_storage::access::read_only);
    if (const superblock_search found = find_superblock(fast); found.chosen)
        record_store().keep(record_of(*found.chosen, volume.fast_path, homes_state::in_use));
}

void note_pins(const dm_device& device) {
    note_found_open(device); // who opened it by dmsetup alone has no record yet
    auto record = record_store().find_uuid(describe(device).uuid);
    if (!record)
        fail("this machine has no record of the volume '{}', and its pins last until it is closed; "
             "close it and open it by tierctl open",
             device.name);
    record->pins.clear();
    for (const pinned_range& pin : ask_pins(device.name))
        record->pins.push_back(pin.range);
    record_store().keep(*record);
}

void give_pins(const std::string& name, const std::string& uuid) {
    try {
        if (const std::vector<page_range> pins = pins_recorded(uuid); !pins.empty())
            pin_ranges(name, pins);
    } catch (const error& e) {
        fmt::print(stderr, "tierctl: warning: {}\n", e.what());
    }
}

void note_written_back(const std::string& uuid) {
    update(uuid, homes_state::in_use, 0);
}

void note_released(const found_volume& volume) {
    const volume_record released = record_of(volume.sb, volume.fast_path, homes_state::released);
    record_store().keep(released);
    note_disk_released(released);
}

void note_disk_released(const volume_record& released) {
    for (volume_record other : record_store().all()) {
        if (other.uuid == released.uuid || !is_same_disk(other.tier, released.tier))
            continue;
        if (is_open_volume(other.uuid))
            continue; // on a disk of its own, which is a copy of this one
        other.homes = homes_state::released;
        other.missing_pages = 0;
        other.recorded_s = released.recorded_s - 1; // of one name, the newest is what is let go
        record_store().keep(other);
    }
}

void note_size(const std::string& uuid, std::uint64_t sectors) {
    auto record = record_store().find_uuid(uuid);
    if (!record)
        return;
    record->volume_sectors = sectors;
    record->tier.size_sectors = std::max(record->tier.size_sectors, sectors);
    record_store().keep(*record);
}

void note_alone(volume_record record) {
    record.homes = homes_state::alone;
    record.missing_pages = 0;
    record.recorded_s = std::time(nullptr);
    record_store().keep(record);
}

void take_back(const std::string& uuid, const std::optional<volume_record>& before) {
    try {
        if (before && !is_open_volume(uuid))
            record_store().keep(*before);
    } catch (const error&) {
        return; // the failure to open is what has to be told, and what is noted promises too little
    }
}

std::string when_text(std::int64_t seconds) {
    const std::time_t time = seconds;
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[64];
    const std::size_t size = std::strftime(text, sizeof(text), "on %Y-%m-%d at %H:%M UTC", &parts);
    return {text, size};
}

} // namespace tierctl
