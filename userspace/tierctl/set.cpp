// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl set: shows and changes the options of an open volume, all at once or none.
#include "error.hpp"
#include "json_text.hpp"
#include "kernel_log.hpp"
#include "open_close.hpp"
#include "open_volumes.hpp"
#include "records.hpp"
#include "verbs.hpp"
#include "volume_options.hpp"

#include <memory>

namespace tierctl {

namespace {

using namespace tiered;

struct set_options {
    std::string name;
    std::vector<std::string> changes;
    bool json = false;
};

nlohmann::ordered_json values_json(const volume_table& table) {
    nlohmann::ordered_json values;
    for (const volume_option& option : volume_options())
        values[std::string(option.name)] = option_value(table, option);
    return values;
}

void show_options(const volume_table& table, bool json) {
    if (!json)
        fmt::print("{:<18} {:<8} {:<8} {}\n", "OPTION", "VALUE", "DEFAULT", "MEANING AND RANGE");
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const volume_option& option : volume_options()) {
        const std::string value = option_value(table, option);
        if (!json)
            fmt::print("{:<18} {:<8} {:<8} {} ({})\n", option.name, value, option.default_value,
                       option.meaning, option.range);
        list.push_back({{"name", option.name},
                        {"value", value},
                        {"default", option.default_value},
                        {"range", option.range},
                        {"meaning", option.meaning}});
    }
    if (json)
        fmt::print("{}\n", json_text(list));
}

volume_table changed(const volume_table& before, const std::vector<std::string>& changes) {
    volume_table after = before;
    for (const std::string& change : changes) {
        const std::size_t equals = change.find('=');
        if (equals == change.npos)
            fail("'{}' sets nothing; write it as OPTION=VALUE", change);
        set_option(after, require_volume_option(change.substr(0, equals)),
                   change.substr(equals + 1));
    }
    require_consistent_options(after);
    return after;
}

void reload(const dm_device& device, const volume_table& table) {
    kernel_log log;
    try {
        reload_dm_device(device, device.sectors, table.parameters());
    } catch (const error& e) {
        fail("the options of the volume '{}' stay as they are: {}", device.name,
             log.refusal(device.name, e.what()));
    }
}

/// The record may promise less than is true at any moment, and never more.
void change(const dm_device& device, const volume_table& before, const volume_table& after,
            bool tell) {
    const std::string uuid = describe(device).uuid;
    if (before.has("writethrough") && !after.has("writethrough"))
        note_written_back(uuid);
    reload(device, after);
    if (after.has("writethrough") && !after.has("read_only"))
        settle_writethrough(device.name, tell);
}

void show_change(const volume_table& before, const volume_table& after) {
    for (const volume_option& option : volume_options()) {
        const std::string old_value = option_value(before, option);
        const std::string new_value = option_value(after, option);
        if (old_value != new_value)
            fmt::print("{}: {} -> {}\n", option.name, old_value, new_value);
    }
    if (values_json(before) == values_json(after))
        fmt::print("nothing was changed: the volume has these values already\n");
}

int set(const set_options& options) {
    require_root("set");
    if (options.changes.empty()) {
        show_options(parse_table(require_open(options.name).table), options.json);
        return 0;
    }
    const locked_volume volume = lock_open_volume(options.name);
    const dm_device& device = volume.device;
    const volume_table before = parse_table(device.table);
    require_reloadable(device);
    const volume_table after = changed(before, options.changes);
    if (after.options != before.options)
        change(device, before, after, !options.json);
    const volume_table now = parse_table(require_open(options.name).table);
    if (options.json)
        fmt::print("{}\n", json_text(nlohmann::ordered_json{{"before", values_json(before)},
                                                            {"after", values_json(now)}}));
    else
        show_change(before, now);
    return 0;
}

} // namespace

void add_set(CLI::App& app, action& chosen) {
    auto options = std::make_shared<set_options>();
    CLI::App* verb =
        app.add_subcommand("set", "Change options of an open volume; alone, it lists them");
    verb->footer("All changes are made at once, or none; they last until the volume is closed. "
                 "Example:\n"
                 "  tierctl set srv dirty_high=30 dirty_low=10 latency_target_us=default");
    verb->add_option("NAME", options->name, "Name of an open volume")->required();
    verb->add_option("OPTION=VALUE", options->changes,
                     "admission, dirty_high, dirty_low, latency_target_us or writethrough, and its "
                     "new value or default");
    verb->add_flag("--json", options->json, "For programs");
    verb->callback([options, &chosen] { chosen = [options] { return set(*options); }; });
}

} // namespace tierctl
