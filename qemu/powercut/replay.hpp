// SPDX-License-Identifier: GPL-2.0-or-later
// Goes through a record from cut to cut, forwards only.
#pragma once

#include "cuts.hpp"

#include <optional>

namespace powercut {

class replay {
public:
    explicit replay(const log_file& log) : log_(log), model_(log.header().bytes) {}

    /// Applies all events before `moment`, which must not lie behind the last one.
    void advance(std::size_t moment);

    const line_model& model() const { return model_; }
    line_model& model() { return model_; }
    /// The last mark so far: what the guest said, or nothing.
    std::optional<event> last_mark() const { return mark_; }
    /// Requests to the recorded disk that were completed so far.
    std::uint64_t disk_requests() const { return disk_; }

private:
    const log_file& log_;
    line_model model_;
    std::size_t at_ = 0;
    std::optional<event> mark_;
    std::uint64_t disk_ = 0;
};

/// The cuts of numbers `first` to `first` + `count` - 1 in the order of their moments.
std::vector<cut> cuts_in_order(std::uint64_t seed, std::uint64_t first, std::uint64_t count,
                               std::span<const std::size_t> all_moments);

} // namespace powercut
