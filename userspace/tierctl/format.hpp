// SPDX-License-Identifier: GPL-2.0-or-later
// Making a volume of a fast tier and a disk.
#pragma once

#include "discovery.hpp"

#include <string>
#include <vector>

namespace tierctl {

struct format_options {
    std::string name;
    std::string fast;
    std::vector<std::string> capacity;
    bool adopt = false;
    bool force = false;
    bool convert_namespace = false;
};

/// Makes the volume; throws before anything is written when something is in the way of it.
tiered::found_volume make_volume(const format_options& options);

} // namespace tierctl
