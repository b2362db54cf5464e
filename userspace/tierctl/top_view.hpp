// SPDX-License-Identifier: GPL-2.0-or-later
// What tierctl top shows: a screen, a line, or JSON.
#pragma once

#include "activity.hpp"
#include "heat.hpp"
#include "why.hpp"

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace tierctl {

struct observation {
    tiered::volume_activity activity;
    std::vector<tiered::extent_heat> heat;
    std::vector<tiered::extent_decision> decisions;
};

/// Of a terminal, in characters.
struct screen_size {
    std::size_t columns = 80;
    std::size_t rows = 24;
};

/// Lines that fit into `size`, the first as many as do, without line ends.
std::vector<std::string> top_screen(const observation& seen, const screen_size& size);

/// One line, without its end.
std::string top_line(const observation& seen);

/// One object.
nlohmann::ordered_json top_json(const observation& seen);

} // namespace tierctl
