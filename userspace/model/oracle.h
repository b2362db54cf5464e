// SPDX-License-Identifier: GPL-2.0-or-later
// Judges a state: what users read now, and every image that a crash now could leave.
#pragma once

#include "state.h"

#include <cstdint>
#include <functional>

namespace model {

// Throws Violation when a page reads as something it may not.
void check_reads(const State& state);

// Throws Violation when those that are under way all wait.
void check_progress(const State& state);

// The state as a crash sees it: media and promises only.
State crash_view(const State& state);

// Throws Violation when an image is wrong. Returns the number of images examined, those with one
// unreadable word included.
uint64_t check_crashes(const State& view);

// Calls `next` with the state of the machine that starts from each image.
void for_each_restart(const State& view, const std::function<void(const State&)>& next);

} // namespace model
