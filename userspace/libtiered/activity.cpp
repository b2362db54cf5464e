// SPDX-License-Identifier: GPL-2.0-or-later
// Differences of what a volume counts.
#include "activity.hpp"

#include "open_volumes.hpp"

namespace tiered {

namespace {

volume_counters difference(const volume_counters& before, const volume_counters& after) {
    volume_counters did;
#define TIERED_COUNTER(name) did.name = after.name > before.name ? after.name - before.name : 0;
    TIERED_STATUS_FIELDS(TIERED_COUNTER)
#undef TIERED_COUNTER
    return did;
}

} // namespace

volume_sample sample_volume(const std::string& name) {
    const dm_device device = require_open(name);
    require_fast_tier(device);
    volume_sample sample{std::chrono::steady_clock::now(), describe(device), {}};
    for (std::size_t i = 0; i < latency_paths.size(); i++)
        sample.latencies[i] = ask_histogram(name, latency_paths[i]);
    return sample;
}

volume_activity activity_between(const volume_sample& before, const volume_sample& after) {
    volume_activity activity{
        after.volume,
        std::chrono::duration<double>(after.at - before.at).count(),
        difference(*before.volume.status.counters, *after.volume.status.counters),
        {}};
    for (std::size_t i = 0; i < latency_paths.size(); i++)
        activity.latencies[i] = after.latencies[i].since(before.latencies[i]);
    return activity;
}

} // namespace tiered
