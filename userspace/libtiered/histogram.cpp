// SPDX-License-Identifier: GPL-2.0-or-later
// Histograms of latencies.
#include "histogram.hpp"

#include "../../driver/core/status.h"
#include "dm.hpp"
#include "reply.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace tiered {

std::uint64_t latency_histogram::samples() const {
    return samples_below(UINT64_MAX);
}

std::uint64_t latency_histogram::samples_below(std::uint64_t end_ns) const {
    std::uint64_t sum = 0;
    for (const latency_bucket& bucket : buckets)
        sum += bucket.end_ns <= end_ns ? bucket.count : 0;
    return sum;
}

double latency_histogram::estimated_sum_ns() const {
    constexpr double middle = 0.94; // a bucket begins between 8/9 and 15/16 of its end
    double sum = 0;
    for (const latency_bucket& bucket : buckets)
        sum += middle * static_cast<double>(bucket.end_ns) * static_cast<double>(bucket.count);
    return sum;
}

std::uint64_t latency_histogram::percentile_ns(unsigned percent) const {
    const std::uint64_t all = samples();
    std::uint64_t seen = 0;
    for (const latency_bucket& bucket : buckets) {
        seen += bucket.count;
        if (seen * 100 >= all * percent)
            return bucket.end_ns;
    }
    return 0;
}

latency_histogram latency_histogram::since(const latency_histogram& before) const {
    std::map<std::uint64_t, std::uint64_t> earlier;
    for (const latency_bucket& bucket : before.buckets)
        earlier[bucket.end_ns] = bucket.count;
    latency_histogram difference;
    for (const latency_bucket& bucket : buckets) {
        const auto found = earlier.find(bucket.end_ns);
        const std::uint64_t less = found == earlier.end() ? 0 : found->second;
        if (bucket.count > less)
            difference.buckets.push_back({bucket.end_ns, bucket.count - less});
    }
    return difference;
}

latency_histogram parse_histogram_reply(const std::string& text) {
    const reply_part part = parse_reply_part(text);
    if (part.next)
        fail_unexpected_reply(text);
    latency_histogram histogram;
    for (const std::string& word : part.words) {
        const std::size_t colon = word.find(':');
        if (colon == word.npos)
            fail_unexpected_reply(text);
        histogram.buckets.push_back({reply_number(word.substr(0, colon), text),
                                     reply_number(word.substr(colon + 1), text)});
    }
    if (!std::ranges::is_sorted(histogram.buckets, {}, &latency_bucket::end_ns))
        fail_unexpected_reply(text);
    return histogram;
}

latency_histogram ask_histogram(const std::string& name, std::string_view path) {
    return parse_histogram_reply(
        send_dm_message(name, fmt::format("{} {}", TIERED_MESSAGE_HISTOGRAM, path)));
}

} // namespace tiered
