// SPDX-License-Identifier: GPL-2.0-or-later
// Sampled latencies of an open volume: the reply to the message `histogram` (driver/core/status.h).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tiered {

/// The ways of a request that are told apart, as the message names them.
inline constexpr std::array<std::string_view, 4> latency_paths{"read_hit", "read_miss",
                                                               "write_fast", "write_bypass"};

/// `count` samples of less than `end_ns` nanoseconds, and of at least the end of the bucket before,
/// which is 12 % less at most.
struct latency_bucket {
    std::uint64_t end_ns = 0;
    std::uint64_t count = 0;

    bool operator==(const latency_bucket&) const = default;
};

/// Buckets in ascending order, those that are not empty.
struct latency_histogram {
    std::vector<latency_bucket> buckets;

    std::uint64_t samples() const;
    /// Samples of less than `end_ns`; exact where a bucket ends there, as at every power of two.
    std::uint64_t samples_below(std::uint64_t end_ns) const;
    /// The sum of all samples, 6 % off at most: each counts as the middle of its bucket.
    double estimated_sum_ns() const;
    /// The end of the bucket in which `percent` (1 to 100) of the samples are reached; 0: no
    /// sample.
    std::uint64_t percentile_ns(unsigned percent) const;
    /// What came since `before`, an earlier histogram of the same volume.
    latency_histogram since(const latency_histogram& before) const;
};

/// Throws when the text is not such a reply.
latency_histogram parse_histogram_reply(const std::string& text);

/// Asks the open volume `name`; `path` is one of latency_paths.
latency_histogram ask_histogram(const std::string& name, std::string_view path);

} // namespace tiered
