// SPDX-License-Identifier: GPL-2.0-or-later
// What this machine remembers of volumes.
#include "record.hpp"

#include "error.hpp"
#include "replace_file.hpp"

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

namespace tiered {

namespace {

constexpr int record_version = 1;

struct state_name {
    homes_state state;
    const char* name;
};

constexpr std::array state_names{
    state_name{homes_state::whole, "whole"},
    state_name{homes_state::writethrough, "writethrough"},
    state_name{homes_state::lacking, "lacking"},
    state_name{homes_state::in_use, "in_use"},
    state_name{homes_state::alone, "alone"},
    state_name{homes_state::released, "released"},
};

unique_fd lock_file(const std::string& uuid, const std::string& folder) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    const std::string path = folder + "/" + uuid + ".lock";
    unique_fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file)
        fail("{} cannot be made ({}), so that another tierctl might be at the same volume; make "
             "its folder writable",
             path, errno_text(errno));
    return file;
}

const char* name_of(homes_state state) {
    for (const state_name& known : state_names)
        if (known.state == state)
            return known.name;
    return "in_use";
}

homes_state state_called(const std::string& name) {
    for (const state_name& known : state_names)
        if (name == known.name)
            return known.state;
    throw std::invalid_argument("unknown state " + name);
}

} // namespace

record_lock::record_lock(const std::string& uuid, const std::string& folder) {
    if (uuid.empty())
        return;
    file_ = lock_file(uuid, folder);
    while (::flock(file_.get(), LOCK_EX))
        if (errno != EINTR)
            fail("the volume {} cannot be locked: {}; try again", uuid, errno_text(errno));
}

std::optional<record_lock> record_lock::try_take(const std::string& uuid,
                                                 const std::string& folder) {
    unique_fd file = lock_file(uuid, folder);
    if (::flock(file.get(), LOCK_EX | LOCK_NB))
        return std::nullopt;
    return record_lock(std::move(file));
}

bool is_same_disk(const tier_identity& one, const tier_identity& other) {
    if (!one.serial.empty() || !other.serial.empty())
        return one.serial == other.serial;
    return !one.fs_uuid.empty() && one.fs_uuid == other.fs_uuid;
}

std::string record_text(const volume_record& record) {
    nlohmann::ordered_json pins = nlohmann::ordered_json::array();
    for (const page_range& pin : record.pins)
        pins.push_back({{"first_page", pin.first_page}, {"pages", pin.pages}});
    const nlohmann::ordered_json json{
        {"version", record_version},
        {"name", record.name},
        {"uuid", record.uuid},
        {"fast_path", record.fast_path},
        {"volume_sectors", record.volume_sectors},
        {"homes", name_of(record.homes)},
        {"missing_pages", record.missing_pages},
        {"recorded_s", record.recorded_s},
        {"capacity",
         {{"size_sectors", record.tier.size_sectors},
          {"adopted", record.tier.adopted},
          {"serial", record.tier.serial},
          {"fs_type", record.tier.fs_type},
          {"fs_uuid", record.tier.fs_uuid}}},
        {"pins", pins},
    };
    // A serial number may be any bytes.
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

volume_record record_from_text(const std::string& text, const std::string& path) {
    try {
        const auto json = nlohmann::json::parse(text);
        if (json.at("version") != record_version)
            fail("{} was written by another version of tierctl; use that one", path);
        const auto& capacity = json.at("capacity");
        volume_record record;
        record.name = json.at("name");
        record.uuid = json.at("uuid");
        record.fast_path = json.at("fast_path");
        record.volume_sectors = json.at("volume_sectors");
        record.homes = state_called(json.at("homes"));
        record.missing_pages = json.at("missing_pages");
        record.recorded_s = json.at("recorded_s");
        record.tier.size_sectors = capacity.at("size_sectors");
        record.tier.adopted = capacity.at("adopted");
        record.tier.serial = capacity.at("serial");
        record.tier.fs_type = capacity.at("fs_type");
        record.tier.fs_uuid = capacity.at("fs_uuid");
        // Records were made before there were pins.
        for (const auto& pin : json.value("pins", nlohmann::json::array()))
            record.pins.push_back({pin.at("first_page"), pin.at("pages")});
        return record;
    } catch (const error&) {
        throw;
    } catch (const std::exception&) {
        fail("{} is damaged and tells nothing about its volume; remove it", path);
    }
}

namespace {

/// Replacements of a record that a power cut ended: files beside it, with an ending of their own.
void remove_unfinished(const std::filesystem::path& record) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(record.parent_path(), none))
        if (entry.path().stem() == record.filename())
            std::filesystem::remove(entry.path(), none);
}

} // namespace

std::string record_store::path_of(const std::string& uuid) const {
    return folder_ + "/" + uuid + ".json";
}

void record_store::keep(const volume_record& record) const {
    std::error_code failed;
    std::filesystem::create_directories(folder_, failed);
    try {
        replace_file(path_of(record.uuid), record_text(record), 0644);
    } catch (const error& e) {
        fail("{} (tierctl keeps there what it has to know when a fast tier is missing)", e.what());
    }
}

void record_store::forget(const std::string& uuid) const {
    const std::string path = path_of(uuid);
    if (::unlink(path.c_str()) && errno != ENOENT)
        fail("{} cannot be removed ({}); remove it, for its volume is gone", path,
             errno_text(errno));
    remove_unfinished(path);
}

std::optional<volume_record> record_store::find_uuid(const std::string& uuid) const {
    const auto text = read_text_file(path_of(uuid));
    if (!text)
        return std::nullopt;
    return record_from_text(*text, path_of(uuid));
}

std::optional<volume_record> record_store::find_name(const std::string& name) const {
    std::optional<volume_record> newest;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, none)) {
        if (entry.path().extension() != ".json")
            continue;
        const auto text = read_text_file(entry.path());
        if (!text)
            continue;
        volume_record record = record_from_text(*text, entry.path());
        if (record.name == name && (!newest || newest->recorded_s < record.recorded_s))
            newest = std::move(record);
    }
    return newest;
}

std::vector<volume_record> record_store::all() const {
    std::vector<volume_record> records;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, none)) {
        if (entry.path().extension() != ".json")
            continue;
        try {
            if (const auto text = read_text_file(entry.path()))
                records.push_back(record_from_text(*text, entry.path()));
        } catch (const error&) {
            continue; // whoever asks for that volume is told
        }
    }
    return records;
}

} // namespace tiered
