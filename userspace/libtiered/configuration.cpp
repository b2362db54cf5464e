// SPDX-License-Identifier: GPL-2.0-or-later
// Reads /etc/tiered.d.
#include "configuration.hpp"

#include "error.hpp"
#include "text.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

namespace tiered {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t longest_wait_s = 3600;

/// One line `key = value` of a file.
struct entry {
    std::string where; ///< "FILE, line N"
    std::string key;
    std::string value;
};

entry entry_of(std::string_view line, std::string where) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos)
        fail("{}: '{}' is no setting; write KEY = VALUE", where, line);
    return {std::move(where), std::string(trimmed(line.substr(0, equals))),
            std::string(trimmed(line.substr(equals + 1)))};
}

std::vector<entry> entries_in(std::string_view text, const std::string& path) {
    std::vector<entry> entries;
    for (std::size_t number = 1; !text.empty(); number++) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!line.empty() && line[0] != '#')
            entries.push_back(entry_of(line, fmt::format("{}, line {}", path, number)));
    }
    return entries;
}

open_when parsed_open(const entry& given) {
    if (given.value == "boot")
        return open_when::boot;
    if (given.value == "initramfs")
        return open_when::initramfs;
    if (given.value == "no")
        return open_when::never;
    fail("{}: 'open' cannot be '{}'; write boot, initramfs or no", given.where, given.value);
}

std::chrono::seconds parsed_wait(const entry& given) {
    std::uint32_t seconds = 0;
    const char* end = given.value.data() + given.value.size();
    const auto [stop, ec] = std::from_chars(given.value.data(), end, seconds);
    if (ec != std::errc() || stop != end || seconds > longest_wait_s)
        fail("{}: 'wait' cannot be '{}'; write a number of seconds from 0 to {}", given.where,
             given.value, longest_wait_s);
    return std::chrono::seconds(seconds);
}

void take_options(configured_volume& volume, const entry& given) {
    for (const std::string& word : split_words(given.value)) {
        if (word == "read_only")
            volume.read_only = true;
        else if (word == "writethrough")
            volume.writethrough = true;
        else if (word == "memory_only")
            volume.memory_only = true;
        else if (word == "without_fast")
            volume.without_fast = true;
        else
            fail(
                "{}: there is no option '{}'; choose from read_only, writethrough, memory_only and "
                "without_fast",
                given.where, word);
    }
}

void take_name(configured_volume& volume, const entry& given) {
    try {
        require_volume_name(given.value);
    } catch (const error& e) {
        fail("{}: {}", given.where, e.what());
    }
    volume.name = given.value;
}

void take_capacity(configured_volume& volume, const entry& given) {
    if (!given.value.starts_with("/dev/"))
        fail("{}: 'capacity' cannot be '{}'; write the path of a device, such as "
             "/dev/disk/by-id/...",
             given.where, given.value);
    volume.capacity = given.value;
}

void take(configured_volume& volume, const entry& given) {
    if (given.key == "name")
        take_name(volume, given);
    else if (given.key == "open")
        volume.open = parsed_open(given);
    else if (given.key == "options")
        take_options(volume, given);
    else if (given.key == "capacity")
        take_capacity(volume, given);
    else if (given.key == "wait")
        volume.wait = parsed_wait(given);
    else
        fail("{}: there is no setting '{}'; choose from name, open, options, capacity and wait",
             given.where, given.key);
}

std::vector<fs::path> files_in(const std::string& folder) {
    std::vector<fs::path> files;
    std::error_code none;
    for (const fs::directory_entry& file : fs::directory_iterator(folder, none))
        if (file.path().extension() == ".conf")
            files.push_back(file.path());
    std::ranges::sort(files);
    return files;
}

configured_volume configuration_from_file(const std::string& path) {
    const auto text = read_text_file(path);
    if (!text)
        fail("{} cannot be read; check that it is a file, and its permissions", path);
    return configuration_from_text(*text, path);
}

} // namespace

configured_volume configuration_from_text(std::string_view text, const std::string& path) {
    configured_volume volume;
    volume.path = path;
    std::set<std::string> seen;
    for (const entry& given : entries_in(text, path)) {
        if (!seen.insert(given.key).second)
            fail("{}: '{}' stands in this file already; write it once", given.where, given.key);
        take(volume, given);
    }
    if (volume.name.empty())
        fail("{} names no volume; add a line name = NAME", path);
    if (volume.memory_only && (volume.read_only || volume.writethrough || volume.without_fast))
        fail("{} has the option 'memory_only' beside others, none of which leaves the volume "
             "memory; choose one of them",
             path);
    if (volume.open == open_when::initramfs && volume.without_fast)
        fail("{} has 'open = initramfs' with the option 'without_fast', but the initramfs cannot "
             "know whether the disk has everything; leave the option away, or write open = boot",
             path);
    return volume;
}

configuration read_configuration(const std::string& folder) {
    configuration read;
    for (const fs::path& file : files_in(folder)) {
        try {
            configured_volume volume = configuration_from_file(file);
            const auto first =
                std::ranges::find(read.volumes, volume.name, &configured_volume::name);
            if (first != read.volumes.end())
                fail("{} is about the volume '{}', as is {}; remove one of the two", volume.path,
                     volume.name, first->path);
            read.volumes.push_back(std::move(volume));
        } catch (const error& e) {
            read.complaints.emplace_back(e.what());
        }
    }
    return read;
}

configured_volume require_configured(const std::string& name, const std::string& folder) {
    configuration read = read_configuration(folder);
    const auto found = std::ranges::find(read.volumes, name, &configured_volume::name);
    if (found != read.volumes.end())
        return std::move(*found);
    if (!read.complaints.empty())
        fail("no usable file in {} is about the volume '{}', and {}", folder, name,
             read.complaints[0]);
    fail("no file in {} is about the volume '{}'; write one (tiered.d(5)), or leave --configured "
         "away",
         folder, name);
}

} // namespace tiered
