// SPDX-License-Identifier: GPL-2.0-or-later
// The suite: every policy on many traces, sizes and devices, and what is to be said about ours.
#pragma once

#include "simulation.hpp"

#include <map>
#include <string>

namespace tiered::sim {

inline constexpr std::array<std::uint32_t, 2> suite_percents{5, 10};

/// One policy's time and counts for one trace, size and device.
struct cell {
    std::string trace;
    std::uint32_t fast_percent;
    std::string device;
    std::string policy;
    double total_percent;
    double hit_ratio;
    std::uint64_t writeback_bytes;
    std::uint64_t written_bytes;
};

struct suite_trace {
    std::string name;
    std::unique_ptr<request_source> source;
};

/// The synthetic traces by that seed, and the files of `folder` (none when it is empty).
std::vector<suite_trace> suite_traces(std::uint64_t seed, const std::string& folder);

/// The references with each width and way of writing that a user could choose.
std::vector<policy_name> suite_references();

/// Runs policies on one trace at every size, on every device.
std::vector<cell> run_suite(suite_trace& trace, const std::vector<policy_name>& policies);

/// What a place (trace, size, device) looks like for ours against the references.
struct comparison {
    std::string trace;
    std::uint32_t fast_percent;
    double ours;
    double best;
    std::string best_policy;
    double clairvoyant;

    double ratio() const { return ours / best; }
};

struct verdict {
    std::string device;
    std::vector<comparison> places;
    double ours_mean; // geometric, of the percentages
    double virtual_best_mean;
    double clairvoyant_mean;
    std::string best_single;
    double best_single_mean;
    std::map<std::string, double> means; // of every policy

    const comparison& worst_ratio() const;
    const comparison& worst_total() const;
};

std::vector<verdict> judge(const std::vector<cell>& cells);

inline constexpr std::uint64_t jump_window = 10'000;

/// After a dense hot set of 384 MiB jumped, with a fast tier of 512 MiB: the time of each window of
/// requests, as a percentage of what it takes without a fast tier.
std::vector<double> recovery(const policy_name& policy, const device_model& device,
                             std::uint64_t seed);

/// The hit ratio of a hot set before and while the volume is read from one end to the other.
struct scan_effect {
    double before;
    double during;
};
scan_effect scan_resistance(const policy_name& policy, const device_model& device,
                            std::uint64_t seed);

} // namespace tiered::sim
