// SPDX-License-Identifier: GPL-2.0-or-later
// Curves as an SVG picture.
#pragma once

#include <string>
#include <vector>

namespace tiered::sim {

struct curve {
    std::string name;
    /// Ascending in x; both in percent.
    std::vector<std::pair<double, double>> points;
};

/// The time of policies over sizes of the fast tier. The sizes are on a logarithmic scale.
std::string plot_svg(const std::string& title, const std::vector<curve>& curves);

} // namespace tiered::sim
