// SPDX-License-Identifier: GPL-2.0-or-later
// What fast tiers of several sizes would do, out of a sample of the requests.
#include "sampled.hpp"

#include "core/samples.h"
#include "simulation.hpp"

#include <algorithm>

namespace tiered::sim {

namespace {

constexpr std::uint64_t group_bytes = TIERED_SAMPLE_GROUP_PAGES * page_bytes;

std::vector<request> side_by_side(const std::vector<sampled_request>& sample) {
    std::vector<std::uint64_t> groups;
    for (const sampled_request& one : sample)
        groups.push_back(one.r.offset / group_bytes);
    std::ranges::sort(groups);
    groups.erase(std::ranges::unique(groups).begin(), groups.end());
    std::vector<request> requests;
    for (const sampled_request& one : sample) {
        request r = one.r;
        const auto place = std::ranges::lower_bound(groups, r.offset / group_bytes);
        r.offset = static_cast<std::uint64_t>(place - groups.begin()) * group_bytes +
                   r.offset % group_bytes;
        requests.push_back(r);
    }
    return requests;
}

struct sums {
    double accesses;
    double hits;
    double total_us;
};

sums simulate_size(recorded& trace, std::uint32_t pages, const device_model& device) {
    std::vector<std::unique_ptr<tier>> tiers;
    tiers.push_back(make_tier(parse_policy("ours"), pages, std::span(&device, 1)));
    simulate(trace, tiers, {}, 0);
    const counters& counts = tiers[0]->counts();
    return {static_cast<double>(counts.page_accesses), static_cast<double>(counts.page_hits),
            tiers[0]->time_on(0).total_us()};
}

/// Puts right what the second half of a sample says of a size.
class correction {
public:
    correction(double touched, double in_sample, double requests, std::uint64_t one_in)
        : share(touched / static_cast<double>(one_in)), surplus(in_sample - share),
          scale(static_cast<double>(one_in)),
          page_us(fast_us(static_cast<std::uint64_t>(page_bytes * in_sample / requests)) * requests /
                  in_sample) {}

    double hit_ratio(double hits) const { return std::clamp((hits - surplus) / share, 0.0, 1.0); }
    double total_us(double us) const { return std::max(us - surplus * page_us, 0.0) * scale; }
    double all_slow_us(double us) const { return us * scale * share / (share + surplus); }

private:
    double share; ///< pages of the sample, were it as all requests are
    double surplus;
    double scale;
    double page_us; ///< of a page that hits
};

} // namespace

sample_outlook simulate_sample(const std::vector<sampled_request>& sample, std::uint64_t one_in,
                               const std::vector<std::uint32_t>& pages,
                               const device_model& device) {
    const std::vector<request> requests = side_by_side(sample);
    const auto middle = static_cast<std::ptrdiff_t>(sample.size() / 2);
    recorded all(requests), before({requests.begin(), requests.begin() + middle});
    const survey of_all = survey_trace(all, std::span(&device, 1));
    const survey of_before = survey_trace(before, std::span(&device, 1));
    double touched = 0, hit = 0;
    for (auto one = sample.begin() + middle; one != sample.end(); ++one) {
        touched += static_cast<double>(one->accesses);
        hit += static_cast<double>(one->hits);
    }
    const auto in_sample = static_cast<double>(of_all.page_accesses - of_before.page_accesses);
    const auto scale = static_cast<double>(one_in);
    const auto count = static_cast<double>(of_all.requests - of_before.requests);
    const correction correct(touched, in_sample, count, one_in);
    sample_outlook outlook;
    outlook.samples = of_all.requests;
    outlook.page_accesses = touched;
    outlook.requests = count * touched / in_sample;
    outlook.footprint_pages = static_cast<double>(of_all.footprint_pages) * scale;
    outlook.all_slow_us = correct.all_slow_us(of_all.all_slow_us[0] - of_before.all_slow_us[0]);
    if (touched > 0)
        outlook.hit_ratio = hit / touched;
    for (const std::uint32_t size : pages) {
        const std::uint32_t scaled = size / static_cast<std::uint32_t>(one_in);
        const sums late = simulate_size(all, scaled, device);
        const sums early = simulate_size(before, scaled, device);
        outlook.sizes.push_back({size, correct.hit_ratio(late.hits - early.hits),
                                 correct.total_us(late.total_us - early.total_us)});
    }
    return outlook;
}

} // namespace tiered::sim
