// SPDX-License-Identifier: GPL-2.0-or-later
// What the checker prints.
#pragma once

#include "explore.h"

#include <string>

namespace model {

std::string figures_heading();
std::string figures_text(const Scenario& scenario, const Figures& figures, double seconds);
// One line a step: the way to a violation.
std::string trace_text(const std::vector<TraceEntry>& trace);

} // namespace model
