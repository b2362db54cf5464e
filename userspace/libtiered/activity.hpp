// SPDX-License-Identifier: GPL-2.0-or-later
// What an open volume did between two looks at it.
#pragma once

#include "histogram.hpp"
#include "status.hpp"

#include <array>
#include <chrono>

namespace tiered {

/// A look at the volume.
struct volume_sample {
    std::chrono::steady_clock::time_point at;
    open_volume volume;
    std::array<latency_histogram, latency_paths.size()> latencies;
};

struct volume_activity {
    open_volume volume;  ///< as it is at the end
    double seconds = 0;  ///< between the looks
    volume_counters did; ///< what was counted meanwhile; fields that are no counters mean nothing
    std::array<latency_histogram, latency_paths.size()> latencies; ///< of meanwhile

    double per_second(std::uint64_t count) const {
        return seconds > 0 ? static_cast<double>(count) / seconds : 0;
    }
    std::uint64_t read_pages() const { return did.read_hits + did.read_misses; }
    std::uint64_t write_pages() const {
        return did.write_hits + did.write_fills + did.write_bypass;
    }
};

/// Looks at the open volume `name`; throws a sentence when it is not open, has failed or has no
/// fast tier.
volume_sample sample_volume(const std::string& name);

/// A volume that was closed and opened in between counted from 0 again; then there is only what
/// exceeds the earlier count.
volume_activity activity_between(const volume_sample& before, const volume_sample& after);

} // namespace tiered
