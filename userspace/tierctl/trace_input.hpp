// SPDX-License-Identifier: GPL-2.0-or-later
// What the verbs that simulate a trace have in common: sizes as people write them, progress.
#pragma once

#include "cost.hpp"
#include "survey.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace tierctl {

/// Exit status of a verb that was given a trace with a mistake in it.
inline constexpr int bad_trace_status = 2;

/// Pages of a fast tier written as bytes, with K, M, G or T, or as a percentage of the footprint;
/// throws a sentence when it is none of these.
std::uint32_t fast_pages(const std::string& text, std::uint64_t footprint_pages);

/// Throws a sentence with those that there are.
tiered::sim::device_model require_device(std::string_view name);

/// A bar on the terminal that is gone when the work is done; nothing where nobody looks.
class progress_bar {
public:
    explicit progress_bar(std::string_view what_);
    ~progress_bar();
    progress_bar(const progress_bar&) = delete;
    progress_bar& operator=(const progress_bar&) = delete;

    tiered::sim::progress_report report();

private:
    void draw(double share);

    const std::string what;
    const bool shown;
    int last = -1;
};

} // namespace tierctl
