// SPDX-License-Identifier: GPL-2.0-or-later
// Generated traces: each a seeded sequence of requests that one kind of workload would make.
#pragma once

#include "request.hpp"

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace tiered::sim {

struct synthetic_trace {
    std::string_view name;
    std::string_view what;
    std::function<std::unique_ptr<request_source>(std::uint64_t seed)> make;
};

const std::vector<synthetic_trace>& synthetic_traces();

/// A hot set that is read at random; then also the whole volume is, in order. Requests of the scan
/// are large.
struct scan_shape {
    std::uint64_t hot_pages;
    std::uint64_t volume_pages;
    std::uint64_t requests_before;
};
inline constexpr std::uint32_t scan_request_pages = 64;
std::unique_ptr<request_source> make_scan(const scan_shape& shape, std::uint64_t seed);

/// The trace of that name, or null.
std::unique_ptr<request_source> make_synthetic(std::string_view name, std::uint64_t seed);

} // namespace tiered::sim
