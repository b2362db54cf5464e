// SPDX-License-Identifier: GPL-2.0-or-later
// Maps of what of a volume is in its fast tier.
#include "heat_map.hpp"

#include "../../driver/core/status.h"
#include "png.hpp"
#include "reply.hpp"
#include "text.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <iterator>

namespace tiered {

namespace {

constexpr std::string_view shades = " .:-=+*#@";

std::uint64_t extents_of(std::uint64_t volume_bytes) {
    return std::max<std::uint64_t>(1, (volume_bytes + extent_bytes - 1) / extent_bytes);
}

/// Anything that is resident shows, and only what is resident whole shows as such.
std::size_t shade_of(double share) {
    const auto most = static_cast<double>(shades.size() - 1);
    if (share <= 0)
        return 0;
    return static_cast<std::size_t>(std::clamp(std::floor(share * most), 1.0, most));
}

std::uint8_t part(double from, double to, double share) {
    return static_cast<std::uint8_t>(std::lround(from + (to - from) * std::clamp(share, 0.0, 1.0)));
}

/// From nearly white to blue by what is resident, and towards red by what of it is dirty.
rgb colour_of(const heat_cell& cell) {
    const double depth = cell.resident > 0 ? 0.15 + 0.85 * cell.resident : 0;
    const double red = cell.resident > 0 ? cell.dirty / cell.resident : 0;
    return {part(244, part(31, 203, red), depth), part(244, part(97, 67, red), depth),
            part(244, part(141, 53, red), depth)};
}

std::string colour_text(const heat_cell& cell) {
    const rgb colour = colour_of(cell);
    return fmt::format("#{:02x}{:02x}{:02x}", colour.red, colour.green, colour.blue);
}

struct picture {
    std::size_t columns;
    std::size_t rows;
    std::uint64_t cell_bytes;

    static constexpr std::size_t side_px = 10;
    static constexpr std::size_t top_px = 50;
    static constexpr std::size_t margin_px = 20;
    static constexpr std::size_t most_cells = 64 * 64;
};

constexpr const char* legend =
    "blue: in the fast tier; red: dirty; offsets run from left to right, then down";

picture layout(std::size_t cells, std::uint64_t volume_bytes) {
    const auto columns = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(cells))));
    return {columns, (cells + columns - 1) / columns,
            (extents_of(volume_bytes) * extent_bytes + cells - 1) / cells};
}

std::string title(const std::string& name, std::uint64_t volume_bytes, const picture& p) {
    return fmt::format("{}: {}, a square is {}", name, size_text(volume_bytes),
                       size_text(p.cell_bytes));
}

void add_square(std::string& svg, const picture& p, std::size_t number, const heat_cell& cell) {
    fmt::format_to(std::back_inserter(svg),
                   "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"><title>at {}: "
                   "{:.0f} % resident, {:.0f} % dirty, {:.0f} % used again</title></rect>\n",
                   p.margin_px + number % p.columns * p.side_px,
                   p.top_px + number / p.columns * p.side_px, p.side_px - 1, p.side_px - 1,
                   colour_text(cell), size_text(number * p.cell_bytes), 100 * cell.resident,
                   100 * cell.dirty, 100 * cell.recent);
}

} // namespace

std::vector<extent_heat> ask_heat(const std::string& name) {
    std::vector<extent_heat> all;
    ask_in_parts(name, TIERED_MESSAGE_HEAT, [&all](const std::string& text) {
        const heat_reply reply = parse_heat_reply(text);
        all.insert(all.end(), reply.extents.begin(), reply.extents.end());
        return reply.next;
    });
    return all;
}

std::vector<heat_cell> heat_cells(std::span<const extent_heat> extents, std::uint64_t volume_bytes,
                                  std::size_t cells) {
    const std::uint64_t all = extents_of(volume_bytes);
    std::vector<heat_cell> map(std::clamp<std::uint64_t>(cells, 1, all));
    const double cell_pages = static_cast<double>(all) / static_cast<double>(map.size()) *
                              static_cast<double>(extent_pages);
    for (const extent_heat& extent : extents) {
        if (extent.extent >= all)
            continue;
        heat_cell& cell = map[extent.extent * map.size() / all];
        cell.resident += static_cast<double>(extent.resident_pages) / cell_pages;
        cell.dirty += static_cast<double>(extent.dirty_pages) / cell_pages;
        cell.recent += static_cast<double>(extent.recent_pages) / cell_pages;
    }
    return map;
}

std::string heat_row(std::span<const heat_cell> cells) {
    std::string row;
    for (const heat_cell& cell : cells)
        row += shades[shade_of(cell.resident)];
    return row;
}

std::string heat_svg(const std::string& name, std::span<const extent_heat> extents,
                     std::uint64_t volume_bytes) {
    const std::vector<heat_cell> cells = heat_cells(extents, volume_bytes, picture::most_cells);
    const picture p = layout(cells.size(), volume_bytes);
    const std::size_t width = 2 * p.margin_px + std::max<std::size_t>(p.columns * p.side_px, 420);
    const std::size_t height = p.top_px + p.margin_px + p.rows * p.side_px;
    // A volume's name has no character that XML minds.
    std::string svg =
        fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
                    "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
                    "<text x=\"{2}\" y=\"20\" font-size=\"15\">{3}</text>\n"
                    "<text x=\"{2}\" y=\"38\">{4}</text>\n",
                    width, height, p.margin_px, title(name, volume_bytes, p), legend);
    for (std::size_t i = 0; i < cells.size(); i++)
        add_square(svg, p, i, cells[i]);
    return svg + "</svg>\n";
}

std::string heat_png(const std::string& name, std::span<const extent_heat> extents,
                     std::uint64_t volume_bytes) {
    const std::vector<heat_cell> cells = heat_cells(extents, volume_bytes, picture::most_cells);
    const picture p = layout(cells.size(), volume_bytes);
    raster image{.width = 2 * p.margin_px + p.columns * p.side_px,
                 .height = 2 * p.margin_px + p.rows * p.side_px};
    for (std::size_t i = 0; i < cells.size(); i++)
        image.fill(p.margin_px + i % p.columns * p.side_px, p.margin_px + i / p.columns * p.side_px,
                   p.side_px - 1, colour_of(cells[i]));
    const std::vector<png_text> texts{{"Title", title(name, volume_bytes, p)},
                                      {"Description", legend}};
    return png_of(image, texts);
}

} // namespace tiered
