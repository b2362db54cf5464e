// SPDX-License-Identifier: GPL-2.0-or-later
// Open volumes in Prometheus' text exposition format 0.0.4.
#pragma once

#include "histogram.hpp"
#include "status.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tiered {

struct monitored_volume {
    open_volume volume;
    /// By path; empty where the driver cannot be asked (failed, or without its fast tier).
    std::map<std::string, latency_histogram, std::less<>> latencies;
};

/// One exposition of all of them. Each field of the status line, except the percentiles, is the
/// metric `tiered_FIELD`, with the suffix `_total` when it counts; times are in seconds. A volume
/// that has failed has no more than its state.
std::string prometheus_text(const std::vector<monitored_volume>& volumes);

/// Whether the exposition has a metric for this field of the status line.
bool is_exposed(std::string_view field);

} // namespace tiered
