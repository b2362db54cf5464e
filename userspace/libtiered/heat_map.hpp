// SPDX-License-Identifier: GPL-2.0-or-later
// A volume as a row of cells, each as much of it as the others: how much of it is in the fast tier.
#pragma once

#include "heat.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tiered {

/// Shares between 0 and 1 of a cell's pages.
struct heat_cell {
    double resident = 0;
    double dirty = 0;
    double recent = 0; ///< used again since reclaim last came by
};

/// Everything that the driver says of the open volume `name`, in order of the extents.
std::vector<extent_heat> ask_heat(const std::string& name);

/// `cells` of them, at most one for an extent, over a volume of `volume_bytes`.
std::vector<heat_cell> heat_cells(std::span<const extent_heat> extents, std::uint64_t volume_bytes,
                                  std::size_t cells);

/// A character for each cell: a space where nothing is resident, then .:-=+*#@ by its share.
std::string heat_row(std::span<const heat_cell> cells);

/// The map as an SVG picture of at most 64 times 64 squares, which tell their numbers on hovering.
std::string heat_svg(const std::string& name, std::span<const extent_heat> extents,
                     std::uint64_t volume_bytes);

/// The same squares as a PNG picture; what they mean is in its texts Title and Description.
std::string heat_png(const std::string& name, std::span<const extent_heat> extents,
                     std::uint64_t volume_bytes);

} // namespace tiered
