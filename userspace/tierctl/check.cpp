// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl check: on devices or on image files; of an open volume by a snapshot of its metadata.
#include "check.hpp"
#include "discovery.hpp"
#include "error.hpp"
#include "json_text.hpp"
#include "offline.hpp"
#include "open_volumes.hpp"
#include "verbs.hpp"

#include <memory>

namespace tierctl {

namespace {

using namespace tiered;

struct check_verb_options {
    tier_options tiers;
    bool verify_clean = false;
    bool clear_needs_check = false;
    bool json = false;
};

/// The tiers of a volume, and whether it is open meanwhile.
struct checked_tiers {
    tier_paths paths;
    bool live = false;
};

checked_tiers tiers_of_open(const dm_device& device) {
    require_root("check of an open volume");
    const open_volume volume = describe(device);
    if (volume.without_fast())
        fail("the volume '{}' is open without its fast tier, so that there is nothing to check",
             volume.name);
    return {{volume.fast_path, volume.capacity_path}, true};
}

checked_tiers tiers_to_check(const tier_options& options) {
    if (options.fast.empty()) {
        require_root("check NAME");
        if (const auto device = find_dm_device(options.name); device && device->is_volume())
            return tiers_of_open(*device);
    } else if (const auto device = open_volume_on(options.fast)) {
        return tiers_of_open(*device);
    }
    const tier_paths paths = paths_of(options, "check", true);
    require_closed(paths.fast, "check");
    return {paths, false};
}

int exit_status_of(severity worst) {
    switch (worst) {
    case severity::note:
        return check_clean;
    case severity::repairable:
        return check_repairable;
    case severity::damage:
        break;
    }
    return check_damaged;
}

const char* level_text(severity level) {
    switch (level) {
    case severity::note:
        return "note";
    case severity::repairable:
        return "repairable";
    case severity::damage:
        break;
    }
    return "damaged";
}

const char* verdict_text(severity worst) {
    return worst == severity::note ? "clean" : level_text(worst);
}

void print_report(const check_report& report) {
    for (const finding& found : report.findings)
        fmt::print("{}: {}\n", level_text(found.level), found.text);
    if (report.findings_left_out > 0)
        fmt::print("and {} findings more\n", count_text(report.findings_left_out));
    if (report.sb.frames() == 0) {
        fmt::print("{}\n", verdict_text(report.worst));
        return;
    }
    const check_counts& c = report.counts;
    fmt::print("volume '{}': {} frames: {} dirty, {} clean, {} free, {} lost, {} retired: {}\n",
               report.sb.name(), count_text(report.sb.frames()), count_text(c.dirty),
               count_text(c.clean), count_text(c.free), count_text(c.lost), count_text(c.retired),
               verdict_text(report.worst));
}

void print_json(const check_report& report) {
    using json = nlohmann::ordered_json;
    const check_counts& c = report.counts;
    json findings = json::array();
    for (const finding& found : report.findings)
        findings.push_back({{"level", level_text(found.level)}, {"text", found.text}});
    const json out = {{"name", report.sb.name()},
                      {"uuid", report.sb.uuid()},
                      {"verdict", verdict_text(report.worst)},
                      {"frames_total", report.sb.frames()},
                      {"frames_free", c.free},
                      {"frames_clean", c.clean},
                      {"frames_dirty", c.dirty},
                      {"frames_lost", c.lost},
                      {"frames_retired", c.retired},
                      {"older_claims", c.losers},
                      {"damaged_words", c.damaged},
                      {"conflicts", c.conflicts},
                      {"changed_words", c.changed},
                      {"findings", findings},
                      {"findings_left_out", report.findings_left_out}};
    fmt::print("{}\n", json_text(out));
}

/// Only what the check itself has shown to be all right may be said to need no check.
bool may_clear(const check_report& report) {
    return report.sb.frames() > 0 && report.sb.needs_check() && report.worst != severity::damage &&
           !tiered_superblock_read_only(&report.sb.raw);
}

void clear_flag(const std::string& fast_path) {
    file_storage fast(fast_path, file_storage::access::exclusive);
    clear_needs_check(fast, find_superblock(fast));
}

int check(const check_verb_options& options) {
    const auto [paths, live] = tiers_to_check(options.tiers);
    if (live && options.clear_needs_check)
        fail("the volume is open, and its driver keeps the request for a check; close it first");
    check_report report;
    {
        file_storage fast(paths.fast, file_storage::access::read_only);
        file_storage capacity(paths.capacity, file_storage::access::read_only);
        report =
            check_volume(fast, &capacity, {.verify_clean = options.verify_clean, .live = live});
    }
    if (options.clear_needs_check && may_clear(report)) {
        clear_flag(paths.fast);
        report.findings.push_back(
            {severity::repairable, "that request for a check is cleared now"});
    }
    if (options.json)
        print_json(report);
    else
        print_report(report);
    return exit_status_of(report.worst);
}

} // namespace

void add_check(CLI::App& app, action& chosen) {
    auto options = std::make_shared<check_verb_options>();
    CLI::App* verb = app.add_subcommand("check", "Check a volume, on devices or image files");
    verb->footer(
        "Of an open volume the metadata is read twice, and what both readings agree on counts.\n"
        "Exit status: 0 clean, 1 repaired or repairable, 2 damaged, 3 could not run.");
    const tier_arguments arguments(*verb, options->tiers, true);
    verb->add_flag("--verify-clean", options->verify_clean,
                   "Compare clean frames with their homes");
    verb->add_flag("--clear-needs-check", options->clear_needs_check,
                   "Clear the driver's request for a check when nothing is damaged");
    verb->add_flag("--json", options->json, "For programs");
    verb->callback([options, arguments, &chosen] {
        arguments.require_named();
        chosen = [options] { return check(*options); };
    });
}

} // namespace tierctl
