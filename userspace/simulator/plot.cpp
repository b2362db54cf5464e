// SPDX-License-Identifier: GPL-2.0-or-later
// Curves as an SVG picture.
#include "plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <iterator>

namespace tiered::sim {

namespace {

constexpr double width = 760, height = 460;
constexpr double margin_left = 60, margin_right = 180, margin_top = 40, margin_bottom = 50;
constexpr std::array<const char*, 8> colours{"#c0392b", "#2471a3", "#1e8449", "#b9770e",
                                             "#76448a", "#5d6d7e", "#17a589", "#784212"};

/// From values to places in the picture.
struct scale {
    double x_least, x_most, y_most;

    double x(double value) const {
        const double share = std::log(value / x_least) / std::log(x_most / x_least);
        return margin_left + share * (width - margin_left - margin_right);
    }
    double y(double value) const {
        return height - margin_bottom - value / y_most * (height - margin_top - margin_bottom);
    }
};

scale scale_of(const std::vector<curve>& curves) {
    scale s{1e9, 0, 100};
    for (const curve& c : curves)
        for (const auto& [x, y] : c.points) {
            s.x_least = std::min(s.x_least, x);
            s.x_most = std::max(s.x_most, x);
            s.y_most = std::max(s.y_most, y);
        }
    s.x_most = std::max(s.x_most, 1.001 * s.x_least);
    s.y_most = std::ceil(s.y_most / 20) * 20;
    return s;
}

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text)
        out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
    return out;
}

void add_axes(std::string& svg, const scale& s, const std::vector<curve>& curves) {
    const auto out = std::back_inserter(svg);
    for (double y = 0; y <= s.y_most; y += 20)
        fmt::format_to(out,
                       "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>"
                       "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{} %</text>\n",
                       margin_left, width - margin_right, s.y(y), s.y(y), margin_left - 6,
                       s.y(y) + 4, y);
    for (const auto& [x, y] : curves.front().points)
        fmt::format_to(out, "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.3g}</text>\n",
                       s.x(x), height - margin_bottom + 18, x);
    fmt::format_to(out,
                   "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">fast tier, % of the "
                   "footprint</text>\n",
                   (margin_left + width - margin_right) / 2, height - 10);
}

void add_curve(std::string& svg, const scale& s, const curve& c, std::size_t number) {
    const auto out = std::back_inserter(svg);
    const char* colour = colours[number % colours.size()];
    const char* dashes = number < colours.size() ? "" : " stroke-dasharray=\"5 3\"";
    fmt::format_to(out, "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{} points=\"",
                   colour, dashes);
    for (const auto& [x, y] : c.points)
        fmt::format_to(out, "{:.1f},{:.1f} ", s.x(x), s.y(y));
    const double y = margin_top + 18 * static_cast<double>(number);
    fmt::format_to(out,
                   "\"/>\n<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"{3}\" "
                   "stroke-width=\"2\"{4}/><text x=\"{5}\" y=\"{6}\">{7}</text>\n",
                   width - margin_right + 15, width - margin_right + 40, y, colour, dashes,
                   width - margin_right + 46, y + 4, escaped(c.name));
}

} // namespace

std::string plot_svg(const std::string& title, const std::vector<curve>& curves) {
    std::string svg =
        fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
                    "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
                    "<text x=\"{2}\" y=\"22\" font-size=\"15\">{3}</text>\n",
                    width, height, margin_left, escaped(title));
    const scale s = scale_of(curves);
    add_axes(svg, s, curves);
    for (std::size_t i = 0; i < curves.size(); i++)
        add_curve(svg, s, curves[i], i);
    return svg + "</svg>\n";
}

} // namespace tiered::sim
