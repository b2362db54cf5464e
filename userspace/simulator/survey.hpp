// SPDX-License-Identifier: GPL-2.0-or-later
// What has to be known of a trace before tiers can be simulated on it, found by reading it once.
#pragma once

#include "cost.hpp"

#include <functional>
#include <string>
#include <vector>

namespace tiered::sim {

/// Called now and then with a share between 0 and 1.
using progress_report = std::function<void(double)>;
inline constexpr std::uint64_t report_every = 1 << 14; // requests

struct survey {
    std::uint64_t requests = 0;
    std::uint64_t page_accesses = 0;
    std::uint64_t footprint_pages = 0;
    std::uint64_t written_bytes = 0;
    std::vector<double> all_slow_us; // one for each device

    std::uint64_t footprint_bytes() const { return footprint_pages * page_bytes; }
};

survey survey_trace(request_source& source, std::span<const device_model> devices,
                    const progress_report& report = {});

/// For each page access in order, the number of the access that uses the page next, or UINT64_MAX.
/// In a file without a name, so that a long trace does not need the memory.
class future {
public:
    future(request_source& source, std::uint64_t page_accesses);
    ~future();
    future(const future&) = delete;
    future& operator=(const future&) = delete;

    std::span<const std::uint64_t> next_uses() const { return uses; }

private:
    std::span<std::uint64_t> uses;
};

} // namespace tiered::sim
