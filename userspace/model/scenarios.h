// SPDX-License-Identifier: GPL-2.0-or-later
// What is explored.
#pragma once

#include "explore.h"

#include <vector>

namespace model {

// What `make check` runs: under a minute on one core.
std::vector<Scenario> short_scenarios();
// The long run.
std::vector<Scenario> deep_scenarios();

} // namespace model
