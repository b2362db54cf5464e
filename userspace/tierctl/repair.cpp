// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl repair: on devices or on image files, while the volume is not open.
#include "repair.hpp"
#include "error.hpp"
#include "json_text.hpp"
#include "lost_files.hpp"
#include "offline.hpp"
#include "verbs.hpp"

#include <memory>

namespace tierctl {

namespace {

using namespace tiered;

constexpr const char* repair_help =
    "What it does: a damaged superblock is rebuilt from the other one. A damaged word that held\n"
    "nothing, or what is elsewhere as well, is written anew, and so are shadow words. A page "
    "whose\n"
    "newest contents are gone, or cannot be told from others, is named, and answers errors until "
    "it\n"
    "is written whole: older contents are never shown for it. Where even the page cannot be told\n"
    "(word and shadow of a frame are damaged), that part waits for --accept-loss: some page may "
    "show\n"
    "older contents then. What was lost before is named again.\n"
    "\n"
    "It may be interrupted at any moment, and run again.\n"
    "\n"
    "Exit status: 0 nothing to do, 1 repaired and nothing lost, 2 not repaired entirely or "
    "something\n"
    "is lost, 3 could not run. With --dry-run the one it would have.\n"
    "\n"
    "Examples:\n"
    "  tierctl repair fast0 --dry-run\n"
    "  tierctl repair fast0\n"
    "  tierctl repair --fast pmem.img --capacity disk.img --json";

struct repair_options {
    tier_options tiers;
    bool dry_run = false;
    bool accept_loss = false;
    bool json = false;
};

/// What a run found, did and left.
struct repair_report {
    repair_plan plan;
    std::vector<std::string> complaints; ///< about what the medium did not take
    std::vector<std::string> hints;      ///< how to find the files
    bool dry_run = false;
    bool left_over = false; ///< something is to be done still
};

int exit_status_of(const repair_report& report) {
    const repair_plan& plan = report.plan;
    if (plan.loses() || report.left_over || !report.complaints.empty())
        return check_damaged;
    return plan.changes_anything() ? check_repairable : check_clean;
}

const char* verdict_text(const repair_report& report) {
    const repair_plan& plan = report.plan;
    if (plan.needs_acceptance() && !plan.accepted)
        return "not repaired entirely: the volume stays closed until the loss is accepted with "
               "--accept-loss";
    if (report.left_over || !report.complaints.empty())
        return "not repaired entirely, see above";
    if (!plan.changes_anything())
        return plan.loses() ? "nothing to do; what is named above is lost" : "nothing to do";
    return plan.loses() ? "repaired; what is named above is lost" : "repaired; nothing is lost";
}

void print_unknown(const repair_plan& plan) {
    for (const frame_run& run : plan.unknown)
        fmt::print("not known: words and shadows of frames {} to {} are damaged; each of them that "
                   "was dirty had the newest contents of a page, and which cannot be told\n",
                   run.first, run.first + run.count - 1);
}

void print_plan(const repair_report& report) {
    const repair_plan& plan = report.plan;
    fmt::print("volume '{}' ({}):\n", plan.sb().name(), plan.sb().uuid());
    for (const std::string& action : plan.actions)
        fmt::print("{}: {}\n", report.dry_run ? "would" : "repair", action);
    for (const lost_pages& pages : plan.lost)
        fmt::print("lost: {} of the volume: {}\n", pages_text(pages), pages.why);
    for (const lost_pages& pages : plan.lost_beyond)
        fmt::print("lost: {}, dirty in the fast tier: {}\n", pages_text(pages), pages.why);
    print_unknown(plan);
    if (!report.hints.empty())
        fmt::print("to find the files, when the volume is open:\n");
    for (const std::string& hint : report.hints)
        fmt::print("  {}\n", hint);
    // Whoever interrupts what follows has read what is lost.
    std::fflush(stdout);
}

void print_verdict(const repair_report& report) {
    for (const std::string& complaint : report.complaints)
        fmt::print("left: {}\n", complaint);
    fmt::print("{}{}\n", verdict_text(report),
               report.dry_run ? " (--dry-run: nothing was written)" : "");
}

nlohmann::ordered_json pages_json(const std::vector<lost_pages>& runs) {
    auto list = nlohmann::ordered_json::array();
    for (const lost_pages& run : runs)
        list.push_back({{"first_page", run.first},
                        {"pages", run.count},
                        {"offset_bytes", run.first * TIERED_FRAME_BYTES},
                        {"length_bytes", run.count * TIERED_FRAME_BYTES},
                        {"why", run.why}});
    return list;
}

void print_json(const repair_report& report) {
    const repair_plan& plan = report.plan;
    auto unknown = nlohmann::ordered_json::array();
    for (const frame_run& run : plan.unknown)
        unknown.push_back({{"first_frame", run.first}, {"frames", run.count}});
    const nlohmann::ordered_json out = {
        {"name", plan.sb().name()},
        {"uuid", plan.sb().uuid()},
        {"dry_run", report.dry_run},
        {"verdict", verdict_text(report)},
        {"actions", plan.actions},
        {"lost", pages_json(plan.lost)},
        {"lost_beyond_the_end", pages_json(plan.lost_beyond)},
        {"unknown", unknown},
        {"needs_accept_loss", plan.needs_acceptance() && !plan.accepted},
        {"left", report.complaints},
        {"how_to_find_files", report.hints},
    };
    fmt::print("{}\n", json_text(out));
}

void write_changes(repair_report& report, storage& fast, storage& capacity) {
    report.complaints = carry_out(fast, report.plan);
    const repair_plan after = plan_repair(fast, capacity, report.plan.accepted);
    report.left_over = after.changes_anything() || !after.refusal.empty();
}

int repair(const repair_options& options) {
    const tier_paths paths = paths_of(options.tiers, "repair", true);
    require_closed(paths.fast, "repair");
    require_closed(paths.capacity, "repair");
    file_storage fast(paths.fast, options.dry_run ? file_storage::access::read_only
                                                  : file_storage::access::exclusive);
    file_storage capacity(paths.capacity, file_storage::access::read_only);

    repair_report report;
    report.dry_run = options.dry_run;
    report.plan = plan_repair(fast, capacity, options.accept_loss);
    if (!report.plan.refusal.empty()) {
        fmt::print(stderr, "tierctl: {}\n", report.plan.refusal);
        return check_damaged;
    }
    const superblock& sb = report.plan.sb();
    if (!report.plan.lost.empty())
        report.hints = how_to_find_files(volume_beginning(fast, capacity, sb),
                                         "/dev/mapper/" + sb.name(), report.plan.lost);
    if (!options.json)
        print_plan(report);
    if (!options.dry_run && report.plan.changes_anything())
        write_changes(report, fast, capacity);
    if (options.json)
        print_json(report);
    else
        print_verdict(report);
    return exit_status_of(report);
}

} // namespace

void add_repair(CLI::App& app, action& chosen) {
    auto options = std::make_shared<repair_options>();
    CLI::App* verb = app.add_subcommand(
        "repair", "Repair a closed volume, and name what is lost, on devices or image files");
    verb->footer(repair_help);
    const tier_arguments arguments(*verb, options->tiers, true);
    verb->add_flag("--dry-run", options->dry_run, "Say what would be done, and write nothing");
    verb->add_flag("--accept-loss", options->accept_loss,
                   "Give up what cannot be told: a page may show older contents");
    verb->add_flag("--json", options->json, "For programs");
    verb->callback([options, arguments, &chosen] {
        arguments.require_named();
        chosen = [options] { return repair(*options); };
    });
}

} // namespace tierctl
