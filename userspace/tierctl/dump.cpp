// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl dump: the metadata of a closed volume as JSON.
#include "dump.hpp"
#include "error.hpp"
#include "offline.hpp"
#include "replace_file.hpp"
#include "verbs.hpp"

#include <ctime>
#include <memory>

namespace tierctl {

namespace {

using namespace tiered;

constexpr const char* dump_help =
    "The dump has superblocks, frame words and shadows, and a checksum of each frame's contents, "
    "which\n"
    "are all read. It has no contents: it is no backup of the volume. libtiered/dump.hpp says "
    "what\n"
    "stands where.\n"
    "\n"
    "Examples:\n"
    "  tierctl dump fast0 -o fast0.dump\n"
    "  tierctl dump --fast pmem.img | jq '.words[] | select(.state == \"dirty\")'";

struct dump_options {
    tier_options tiers;
    std::string output;
    bool json = false; ///< taken, and of no effect
};

int dump(const dump_options& options) {
    const tier_paths paths = paths_of(options.tiers, "dump", false);
    require_closed(paths.fast, "dump");
    file_storage fast(paths.fast, file_storage::access::read_only);
    const std::string text = dump_text(fast, std::time(nullptr));
    if (options.output.empty()) {
        fmt::print("{}", text);
        return 0;
    }
    replace_file(options.output, text, 0600); // as private as what it is about
    fmt::print("wrote {} of metadata to {}\n", size_text(text.size()), options.output);
    return 0;
}

} // namespace

void add_dump(CLI::App& app, action& chosen) {
    auto options = std::make_shared<dump_options>();
    CLI::App* verb = app.add_subcommand("dump", "Write the metadata of a closed volume as JSON");
    verb->footer(dump_help);
    const tier_arguments arguments(*verb, options->tiers, false);
    verb->add_option("-o,--output", options->output, "The file to write; standard output without");
    verb->add_flag("--json", options->json, "For programs; a dump has no other form");
    verb->callback([options, arguments, &chosen] {
        arguments.require_named();
        chosen = [options] { return dump(*options); };
    });
}

} // namespace tierctl
