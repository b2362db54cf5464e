// SPDX-License-Identifier: GPL-2.0-or-later
// What fast tiers of several sizes would do, out of a sample of the requests.
#include "sampled.hpp"

#include "core/samples.h"
#include "simulation.hpp"

#include <algorithm>

namespace tiered::sim {

namespace {

constexpr std::uint64_t group_bytes = TIERED_SAMPLE_GROUP_PAGES * page_bytes;

std::vector<std::uint64_t> groups_of(const std::vector<sampled_request>& sample) {
    std::vector<std::uint64_t> groups;
    for (const sampled_request& one : sample)
        groups.push_back(one.r.offset / group_bytes);
    std::ranges::sort(groups);
    groups.erase(std::ranges::unique(groups).begin(), groups.end());
    return groups;
}

/// Whether one request follows the other in a stream: what was touched in between is what lies in
/// between, as far as the driver counts.
bool in_stream(const request& before, const sampled_request& one, std::uint64_t one_in) {
    constexpr std::uint64_t counted_one_in = 256; // or by as many more as groups are fewer
    if (one.r.offset < before.end())
        return false;
    const std::uint64_t between = one.r.last_page() - before.last_page();
    return one.accesses <=
           std::max<std::uint64_t>(between, one.r.pages()) + one_in / counted_one_in;
}

std::vector<request> side_by_side(const std::vector<sampled_request>& sample,
                                  const std::vector<std::uint64_t>& groups, std::uint64_t one_in) {
    std::vector<request> requests;
    std::optional<request> before;
    for (const sampled_request& one : sample) {
        request r = one.r;
        const auto place = std::ranges::lower_bound(groups, r.offset / group_bytes);
        r.offset = static_cast<std::uint64_t>(place - groups.begin()) * group_bytes +
                   r.offset % group_bytes;
        r.apart = before && !in_stream(*before, one, one_in);
        requests.push_back(r);
        before = one.r;
    }
    return requests;
}

struct sums {
    double hits;
    double total_us;
};

sums simulate_size(recorded& trace, std::uint32_t pages, const device_model& device) {
    std::vector<std::unique_ptr<tier>> tiers;
    tiers.push_back(make_tier(parse_policy("ours"), pages, std::span(&device, 1)));
    simulate(trace, tiers, {}, 0);
    const counters& counts = tiers[0]->counts();
    return {static_cast<double>(counts.page_hits), tiers[0]->time_on(0).total_us()};
}

/// The sample, and what of it comes before the part that is judged.
struct halves {
    recorded all;
    recorded before;
    survey of_all;
    survey of_before;
};

halves halve(std::vector<request> requests, const device_model& device) {
    const auto middle = requests.begin() + static_cast<std::ptrdiff_t>(requests.size() / 2);
    recorded before({requests.begin(), middle}), all(std::move(requests));
    survey of_all = survey_trace(all, std::span(&device, 1));
    survey of_before = survey_trace(before, std::span(&device, 1));
    return {std::move(all), std::move(before), std::move(of_all), std::move(of_before)};
}

/// Puts right what the second half of a sample says of a size.
class correction {
public:
    correction(const halves& h, double touched, double one_in)
        : scale(one_in),
          in_sample(static_cast<double>(h.of_all.page_accesses - h.of_before.page_accesses)),
          share(touched > 0 ? touched / one_in : in_sample), surplus(in_sample - share),
          requests(static_cast<double>(h.of_all.requests - h.of_before.requests)) {}

    /// Of all requests, from the number in the sample, or their time by the disk alone.
    double of_all(double of_sample) const { return of_sample * scale * share / in_sample; }
    double requests_of_all() const { return of_all(requests); }
    double hit_ratio(double hits) const { return std::clamp((hits - surplus) / share, 0.0, 1.0); }
    double total_us(double us) const {
        const double page_us =
            requests * fast_us(static_cast<std::uint64_t>(page_bytes * in_sample / requests)) /
            in_sample;
        return std::max(us - surplus * page_us, 0.0) * scale;
    }

private:
    const double scale;
    const double in_sample; ///< pages touched
    const double share;     ///< as many as there would be, were the sample as all requests are
    const double surplus;
    const double requests;
};

} // namespace

sample_outlook simulate_sample(const std::vector<sampled_request>& sample, std::uint64_t one_in,
                               const std::vector<std::uint32_t>& pages,
                               const device_model& device) {
    const std::vector<std::uint64_t> groups = groups_of(sample);
    halves h = halve(side_by_side(sample, groups, one_in), device);
    double touched = 0, hit = 0;
    for (std::size_t i = sample.size() / 2; i < sample.size(); i++) {
        touched += static_cast<double>(sample[i].accesses);
        hit += static_cast<double>(sample[i].hits);
    }
    const correction correct(h, touched, static_cast<double>(one_in));
    sample_outlook outlook;
    outlook.groups = groups.size();
    outlook.footprint_pages = static_cast<double>(h.of_all.footprint_pages * one_in);
    outlook.requests = correct.requests_of_all();
    outlook.all_slow_us = correct.of_all(h.of_all.all_slow_us[0] - h.of_before.all_slow_us[0]);
    if (touched > 0)
        outlook.hit_ratio = hit / touched;
    for (const std::uint32_t size : pages) {
        const auto scaled = static_cast<std::uint32_t>(size / one_in);
        const sums all = simulate_size(h.all, scaled, device);
        const sums before = simulate_size(h.before, scaled, device);
        outlook.sizes.push_back({size, correct.hit_ratio(all.hits - before.hits),
                                 correct.total_us(all.total_us - before.total_us)});
    }
    return outlook;
}

} // namespace tiered::sim
