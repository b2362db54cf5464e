// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl why: what was decided last about each extent of a volume.
#include "why.hpp"
#include "error.hpp"
#include "heat.hpp"
#include "json_text.hpp"
#include "open_volumes.hpp"
#include "text.hpp"
#include "verbs.hpp"

#include <memory>

namespace tierctl {

using namespace tiered;

namespace {

struct why_options {
    std::string name;
    std::optional<std::uint64_t> offset_bytes;
    bool json = false;
};

void keep_extent_at(std::vector<extent_decision>& decisions, std::uint64_t offset_bytes) {
    std::erase_if(decisions, [extent = offset_bytes / extent_bytes](const extent_decision& d) {
        return d.extent != extent;
    });
}

nlohmann::json why_json(const std::vector<extent_decision>& decisions) {
    nlohmann::json list = nlohmann::json::array();
    for (const extent_decision& d : decisions)
        list.push_back({{"offset_bytes", d.extent * extent_bytes},
                        {"reason", d.reason},
                        {"text", reason_text(d.reason)},
                        {"age_s", d.age_s}});
    return {{"extent_bytes", extent_bytes}, {"extents", std::move(list)}};
}

void print_decisions(const std::vector<extent_decision>& decisions) {
    fmt::print("{:>12} {:>10}  {}\n", "offset", "seconds ago", "last decision");
    for (const extent_decision& d : decisions)
        fmt::print("{:>12} {:>11}  {}: {}\n", size_text(d.extent * extent_bytes), d.age_s, d.reason,
                   reason_text(d.reason));
}

int why(const why_options& options) {
    require_root("why");
    const dm_device device = require_open(options.name);
    if (options.offset_bytes && *options.offset_bytes / 512 >= device.sectors)
        fail("the volume '{}' ends at {}; give an --offset below that", options.name,
             size_text(device.sectors * 512));
    std::vector<extent_decision> decisions = ask_why(device.name);
    if (options.offset_bytes)
        keep_extent_at(decisions, *options.offset_bytes);
    if (options.json)
        fmt::print("{}\n", json_text(why_json(decisions)));
    else
        print_decisions(decisions);
    return 0;
}

} // namespace

void add_why(CLI::App& app, action& chosen) {
    CLI::App* verb = app.add_subcommand(
        "why", "Tell what was decided last about each extent of 1 MiB: kept, passed by, evicted");
    auto options = std::make_shared<why_options>();
    verb->add_option("NAME", options->name, "Name of an open volume")->required();
    verb->add_option("--offset", options->offset_bytes,
                     "Only the extent at this offset, in bytes or with K, M, G, T")
        ->transform(CLI::AsSizeValue(false));
    verb->add_flag("--json", options->json, "For programs");
    verb->callback([options, &chosen] { chosen = [options] { return why(*options); }; });
}

} // namespace tierctl
