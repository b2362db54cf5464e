// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl heat: what of a volume is in its fast tier, extent by extent.
#include "heat.hpp"
#include "json_text.hpp"
#include "open_volumes.hpp"
#include "reply.hpp"
#include "text.hpp"
#include "verbs.hpp"

#include <memory>

namespace tierctl {

using namespace tiered;

namespace {

struct heat_options {
    std::string name;
    bool json = false;
};

std::vector<extent_heat> ask_heat(const std::string& name) {
    std::vector<extent_heat> all;
    ask_in_parts(name, TIERED_MESSAGE_HEAT, [&all](const std::string& text) {
        const heat_reply reply = parse_heat_reply(text);
        all.insert(all.end(), reply.extents.begin(), reply.extents.end());
        return reply.next;
    });
    return all;
}

nlohmann::json heat_json(const std::vector<extent_heat>& extents) {
    nlohmann::json list = nlohmann::json::array();
    for (const extent_heat& e : extents)
        list.push_back({{"offset_bytes", e.offset_bytes()},
                        {"resident_pages", e.resident_pages},
                        {"dirty_pages", e.dirty_pages},
                        {"recent_pages", e.recent_pages}});
    return {{"extent_bytes", extent_bytes}, {"extents", std::move(list)}};
}

/// A digit for each tenth of the extent that is resident.
void print_extent(const extent_heat& e) {
    const auto tenths = (10 * e.resident_pages + extent_pages - 1) / extent_pages;
    fmt::print("{:>12}  {:10}  {:>8} {:>8} {:>8}\n", size_text(e.offset_bytes()),
               std::string(tenths, '#'), e.resident_pages, e.dirty_pages, e.recent_pages);
}

int heat(const heat_options& options) {
    require_root("heat");
    const std::vector<extent_heat> extents = ask_heat(require_open(options.name).name);
    if (options.json) {
        fmt::print("{}\n", json_text(heat_json(extents)));
        return 0;
    }
    fmt::print("{:>12}  {:10}  {:>8} {:>8} {:>8}\n", "offset", "resident", "pages", "dirty",
               "recent");
    for (const extent_heat& e : extents)
        print_extent(e);
    return 0;
}

} // namespace

void add_heat(CLI::App& app, action& chosen) {
    CLI::App* verb =
        app.add_subcommand("heat", "Shows what of a volume is in its fast tier, 1 MiB a line.");
    auto options = std::make_shared<heat_options>();
    verb->add_option("NAME", options->name, "an open volume")->required();
    verb->add_flag("--json", options->json, "for programs");
    verb->callback([options, &chosen] { chosen = [options] { return heat(*options); }; });
}

} // namespace tierctl
