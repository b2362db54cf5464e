// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl restore: metadata that cannot be read any more, from a dump.
#include "restore.hpp"
#include "error.hpp"
#include "json_text.hpp"
#include "offline.hpp"
#include "records.hpp"
#include "signature.hpp"
#include "verbs.hpp"

#include <fstream>
#include <iterator>
#include <memory>

namespace tierctl {

namespace {

using namespace tiered;

constexpr const char* restore_help =
    "What reads on the fast tier stays, for it is as new as the dump or newer. From the dump come "
    "the\n"
    "superblocks, where neither can be believed, and the words of frames of which neither word "
    "nor\n"
    "shadow can be read. Claims that were made after the dump and cannot be read are lost; where "
    "a\n"
    "frame's contents show that there was one, restore refuses, and does it with --accept-loss.\n"
    "\n"
    "It may be interrupted at any moment, and run again. Run tierctl check after it.\n"
    "\n"
    "Examples:\n"
    "  tierctl restore fast0.dump --fast /dev/pmem0 --dry-run\n"
    "  tierctl restore fast0.dump --fast /dev/pmem0";

struct restore_options {
    std::string file;
    std::string fast;
    bool dry_run = false;
    bool accept_loss = false;
    bool json = false;
};

std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        fail("the dump {} cannot be opened: {}; give the file that tierctl dump wrote", path,
             errno_text(errno));
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (file.bad())
        fail("the dump {} cannot be read: {}; copy it to a disk that can", path, errno_text(errno));
    return text;
}

/// What took the place of the volume's beginning is somebody's, perhaps.
void require_nothing_else(const std::string& path) {
    if (const auto found = find_signature(path))
        fail("{} holds {}; if that took the volume's place by mistake, remove it first: wipefs -a "
             "{}",
             path, found->described(), path);
}

void print_plan(const restore_plan& plan, const volume_dump& dump, const char* what) {
    if (plan.write_superblocks)
        fmt::print("{}: write both superblocks of '{}' ({}), {}\n", what, plan.sb.name(),
                   plan.sb.uuid(), size_text(plan.sb.volume_bytes()));
    if (!plan.changes.empty())
        fmt::print("{}: write the words of {} frames, which cannot be read; {} pages that were "
                   "dirty or lost come back\n",
                   what, count_text(plan.changes.size()), count_text(plan.claims));
    for (const lost_pages& pages : plan.lost)
        fmt::print("lost: {} of the volume: {}\n", pages_text(pages), pages.why);
    for (const frame_run& run : plan.newer)
        fmt::print("lost: what frames {} to {} hold is newer than the dump, and which pages it "
                   "belongs to is not known: these show older contents\n",
                   run.first, run.first + run.count - 1);
    if (plan.claims > 0 && plan.used_since > 0)
        fmt::print(
            "in doubt: the volume was in use after the dump ({} other frames changed): of the "
            "pages that come back some may have been written since\n",
            count_text(plan.used_since));
    if (plan.changes_anything())
        fmt::print("claims that were made after the dump ({}) and cannot be read are lost\n",
                   when_text(dump.made_s));
    std::fflush(stdout);
}

void print_json(const restore_plan& plan, const volume_dump& dump, const restore_options& options,
                const std::vector<std::string>& complaints) {
    auto lost = nlohmann::ordered_json::array();
    for (const lost_pages& run : plan.lost)
        lost.push_back({{"first_page", run.first}, {"pages", run.count}, {"why", run.why}});
    auto newer = nlohmann::ordered_json::array();
    for (const frame_run& run : plan.newer)
        newer.push_back({{"first_frame", run.first}, {"frames", run.count}});
    const nlohmann::ordered_json out = {{"name", plan.sb.name()},
                                        {"uuid", plan.sb.uuid()},
                                        {"dump_made_s", dump.made_s},
                                        {"dry_run", options.dry_run},
                                        {"writes_superblocks", plan.write_superblocks},
                                        {"frames_written", plan.changes.size()},
                                        {"claims_restored", plan.claims},
                                        {"frames_used_since", plan.used_since},
                                        {"lost", lost},
                                        {"frames_newer_than_the_dump", newer},
                                        {"needs_accept_loss", plan.needs_acceptance()},
                                        {"left", complaints}};
    fmt::print("{}\n", json_text(out));
}

int restore(const restore_options& options) {
    require_closed(options.fast, "restore");
    file_storage fast(options.fast, options.dry_run ? file_storage::access::read_only
                                                    : file_storage::access::exclusive);
    const volume_dump dump = parse_dump(text_of(options.file), options.file, fast.size_bytes());
    const auto record = record_store().find_uuid(dump.sb.uuid());
    const restore_plan plan =
        plan_restore(fast, options.fast, dump, record ? record->volume_sectors : 0);
    if (plan.write_superblocks)
        require_nothing_else(options.fast);
    if (!options.json)
        print_plan(plan, dump, options.dry_run ? "would" : "restore");
    if (plan.needs_acceptance() && !options.accept_loss && !options.dry_run)
        fail("nothing was restored, because something is lost by it ({}); give --accept-loss to go "
             "on all the same",
             options.json ? "--dry-run tells what" : "see above");
    std::vector<std::string> complaints;
    if (!options.dry_run && plan.changes_anything())
        complaints = carry_out(fast, plan);
    if (options.json)
        print_json(plan, dump, options, complaints);
    else if (!plan.changes_anything())
        fmt::print("nothing to restore: everything can be read on {}\n", options.fast);
    for (const std::string& complaint : complaints)
        fmt::print(stderr, "tierctl: {}\n", complaint);
    if (!options.json && !options.dry_run && plan.changes_anything() && complaints.empty())
        fmt::print("restored; see what tierctl check and tierctl repair say of it now\n");
    return complaints.empty() ? 0 : 1;
}

} // namespace

void add_restore(CLI::App& app, action& chosen) {
    auto options = std::make_shared<restore_options>();
    CLI::App* verb = app.add_subcommand(
        "restore", "Write back from a dump what of a volume's metadata cannot be read");
    verb->footer(restore_help);
    verb->add_option("FILE", options->file, "What tierctl dump wrote")->required();
    verb->add_option("--fast", options->fast, "The volume's fast tier: device or image")
        ->required();
    verb->add_flag("--dry-run", options->dry_run, "Say what would be done, and write nothing");
    verb->add_flag("--accept-loss", options->accept_loss, "Also where claims are lost by it");
    verb->add_flag("--json", options->json, "For programs");
    verb->callback([options, &chosen] { chosen = [options] { return restore(*options); }; });
}

} // namespace tierctl
