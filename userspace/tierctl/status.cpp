// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl status and list.
#include "block_device.hpp"
#include "discovery.hpp"
#include "error.hpp"
#include "json_text.hpp"
#include "open_volumes.hpp"
#include "verbs.hpp"

#include <algorithm>
#include <memory>

namespace tierctl {

using namespace tiered;

namespace {

struct reading_options {
    std::string name;
    bool json = false;
};

/// A device that was made without tierctl may have no UUID of its own; the driver knows the
/// volume's.
std::string volume_uuid(const dm_device& device, const open_volume& volume) {
    const std::string_view prefix = dm_uuid_prefix;
    if (device.uuid.starts_with(prefix))
        return device.uuid.substr(prefix.size());
    if (volume.status.state == TIERED_STATE_FAIL || volume.without_fast())
        return "";
    return send_dm_message(device.name, TIERED_MESSAGE_UUID);
}

int status(const reading_options& options) {
    require_root("status");
    const open_volume volume = describe(require_open(options.name));
    if (options.json)
        fmt::print("{}\n", json_text(status_json(volume)));
    else
        fmt::print("{}", status_report(volume));
    return 0;
}

struct list_entry {
    std::string name;
    std::string uuid;
    std::string state;
    std::string fast;
    std::uint64_t size_bytes = 0;
};

/// Open volumes first; then those that only their superblock tells of.
std::vector<list_entry> list_entries(const scan_result& scan) {
    std::vector<list_entry> entries;
    for (const dm_device& device : open_dm_volumes()) {
        const open_volume volume = describe(device);
        entries.push_back(
            {volume.name, volume.uuid, volume.status.state, volume.fast_path, volume.size_bytes});
    }
    const std::size_t open_ones = entries.size();
    for (const found_volume& found : scan.volumes)
        if (std::none_of(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(open_ones),
                         [&](const list_entry& entry) { return entry.fast == found.fast_path; }))
            entries.push_back({found.sb.name(), found.sb.uuid(), "closed", found.fast_path,
                               found.sb.volume_bytes()});
    return entries;
}

void print_json(const std::vector<list_entry>& entries) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const list_entry& entry : entries)
        out.push_back({{"name", entry.name},
                       {"uuid", entry.uuid},
                       {"state", entry.state},
                       {"fast", entry.fast},
                       {"size_bytes", entry.size_bytes}});
    fmt::print("{}\n", json_text(out));
}

void print_table(const std::vector<list_entry>& entries) {
    std::size_t name_width = 4;
    std::size_t fast_width = 4;
    for (const list_entry& entry : entries) {
        name_width = std::max(name_width, entry.name.size());
        fast_width = std::max(fast_width, entry.fast.size());
    }
    fmt::print("{:<{}}  {:<7} {:>10}  {:<{}}  {}\n", "NAME", name_width, "STATE", "SIZE", "FAST",
               fast_width, "UUID");
    for (const list_entry& entry : entries)
        fmt::print("{:<{}}  {:<7} {:>10}  {:<{}}  {}\n", entry.name, name_width, entry.state,
                   size_text(entry.size_bytes), entry.fast, fast_width, entry.uuid);
}

int list(bool json) {
    require_root("list");
    const scan_result scan = scan_fast_tiers();
    const std::vector<list_entry> entries = list_entries(scan);
    if (json)
        print_json(entries);
    else if (entries.empty())
        fmt::print("no volumes were found\n");
    else
        print_table(entries);
    for (const std::string& complaint : scan.complaints)
        fmt::print(stderr, "tierctl: warning: {}\n", complaint);
    return 0;
}

} // namespace

open_volume describe(const dm_device& device) {
    constexpr std::size_t fast_word = 0;
    constexpr std::size_t capacity_word = 2;
    const std::vector<std::string> words = split_words(device.table);
    if (words.size() <= capacity_word)
        fail("the table of the volume '{}' cannot be understood: {}", device.name, device.table);
    open_volume volume;
    volume.name = device.name;
    if (words[fast_word] != "-")
        volume.fast_path = device_path_of(words[fast_word]);
    volume.capacity_path = device_path_of(words[capacity_word]);
    volume.size_bytes = device.sectors * TIERED_SECTOR_BYTES;
    volume.open_count = device.open_count;
    volume.status = parse_status(device.status);
    volume.uuid = volume_uuid(device, volume);
    return volume;
}

dm_device require_open(const std::string& name) {
    const auto device = find_dm_device(name);
    if (!device)
        fail("the volume '{}' is not open; open it with: tierctl open {}", name, name);
    if (!device->is_volume())
        fail("/dev/mapper/{} is no volume of dm-tiered", name);
    return *device;
}

void add_status(CLI::App& app, action& chosen) {
    auto options = std::make_shared<reading_options>();
    CLI::App* verb = app.add_subcommand("status", "Show how an open volume is doing");
    verb->add_option("NAME", options->name, "Name of the volume")->required();
    verb->add_flag("--json", options->json, "For programs");
    verb->callback([options, &chosen] { chosen = [options] { return status(*options); }; });
}

void add_list(CLI::App& app, action& chosen) {
    auto json = std::make_shared<bool>(false);
    CLI::App* verb = app.add_subcommand("list", "Show the volumes of this machine");
    verb->add_flag("--json", *json, "For programs");
    verb->callback([json, &chosen] { chosen = [json] { return list(*json); }; });
}

} // namespace tierctl
