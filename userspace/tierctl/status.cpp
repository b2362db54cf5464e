// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl status and list.
#include "discovery.hpp"
#include "error.hpp"
#include "json_text.hpp"
#include "open_volumes.hpp"
#include "prometheus.hpp"
#include "replace_file.hpp"
#include "verbs.hpp"

#include <algorithm>
#include <memory>

namespace tierctl {

using namespace tiered;

namespace {

struct reading_options {
    std::string name;
    std::string output;
    bool json = false;
    bool prometheus = false;
};

monitored_volume monitored(const dm_device& device) {
    monitored_volume m{describe(device), {}};
    if (!m.volume.without_fast() && m.volume.status.counters)
        for (const std::string_view path : latency_paths)
            m.latencies.emplace(path, ask_histogram(device.name, path));
    return m;
}

/// A volume that is closed while the others are asked is no trouble.
std::vector<monitored_volume> all_monitored() {
    std::vector<monitored_volume> all;
    for (const dm_device& device : open_dm_volumes()) {
        try {
            all.push_back(monitored(device));
        } catch (const error&) {
            if (find_dm_device(device.name))
                throw;
        }
    }
    return all;
}

int expose(const reading_options& options) {
    constexpr mode_t mode = 0640;
    const std::string text =
        prometheus_text(options.name.empty()
                            ? all_monitored()
                            : std::vector<monitored_volume>{monitored(require_open(options.name))});
    if (options.output.empty())
        fmt::print("{}", text);
    else
        replace_file(options.output, text, mode);
    return 0;
}

int status(const reading_options& options) {
    require_root("status");
    if (options.prometheus)
        return expose(options);
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

void add_status(CLI::App& app, action& chosen) {
    auto options = std::make_shared<reading_options>();
    CLI::App* verb = app.add_subcommand("status", "Show how an open volume is doing");
    verb->footer("Example, for the textfile collector of Prometheus' node_exporter:\n"
                 "  tierctl status --prometheus --output /var/lib/prometheus/node-exporter/"
                 "tiered.prom");
    CLI::Option* name = verb->add_option(
        "NAME", options->name, "Name of the volume; with --prometheus, all where not given");
    CLI::Option* json = verb->add_flag("--json", options->json, "For programs");
    CLI::Option* prometheus =
        verb->add_flag("--prometheus", options->prometheus, "For Prometheus, in its text format")
            ->excludes(json);
    verb->add_option("--output", options->output,
                     "Replace this file, whose mode and group stay (new: 0640)")
        ->needs(prometheus);
    verb->callback([options, name, &chosen] {
        if (name->empty() && !options->prometheus)
            throw CLI::RequiredError("NAME");
        chosen = [options] { return status(*options); };
    });
}

void add_list(CLI::App& app, action& chosen) {
    auto json = std::make_shared<bool>(false);
    CLI::App* verb = app.add_subcommand("list", "Show the volumes of this machine");
    verb->add_flag("--json", *json, "For programs");
    verb->callback([json, &chosen] { chosen = [json] { return list(*json); }; });
}

} // namespace tierctl
