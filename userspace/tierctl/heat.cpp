// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl heat: what of a volume is in its fast tier, extent by extent.
#include "../../driver/core/format.h"
#include "heat_map.hpp"
#include "json_text.hpp"
#include "open_volumes.hpp"
#include "replace_file.hpp"
#include "text.hpp"
#include "verbs.hpp"

#include <memory>

namespace tierctl {

using namespace tiered;

namespace {

struct heat_options {
    std::string name;
    std::string svg; ///< paths of pictures to be made
    std::string png;
    bool json = false;
};

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

void write_picture(const std::string& path, const std::string& picture) {
    constexpr mode_t mode = 0644;
    replace_file(path, picture, mode);
    fmt::print("wrote {}\n", path);
}

void write_pictures(const heat_options& options, const dm_device& device,
                    const std::vector<extent_heat>& extents) {
    const std::uint64_t volume_bytes = device.sectors * TIERED_SECTOR_BYTES;
    if (!options.svg.empty())
        write_picture(options.svg, heat_svg(options.name, extents, volume_bytes));
    if (!options.png.empty())
        write_picture(options.png, heat_png(options.name, extents, volume_bytes));
}

int heat(const heat_options& options) {
    require_root("heat");
    const dm_device device = require_open(options.name);
    require_fast_tier(device);
    const std::vector<extent_heat> extents = ask_heat(options.name);
    if (!options.svg.empty() || !options.png.empty()) {
        write_pictures(options, device, extents);
        return 0;
    }
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
    CLI::Option* svg =
        verb->add_option("--svg", options->svg, "Make a picture of it, in this file");
    CLI::Option* png =
        verb->add_option("--png", options->png, "Make a picture of pixels, in this file");
    verb->add_flag("--json", options->json, "for programs")->excludes(svg)->excludes(png);
    verb->footer("Example:\n  tierctl heat srv --svg /tmp/srv.svg");
    verb->callback([options, &chosen] { chosen = [options] { return heat(*options); }; });
}

} // namespace tierctl
