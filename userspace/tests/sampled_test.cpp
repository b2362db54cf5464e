// SPDX-License-Identifier: GPL-2.0-or-later
// What is told out of a sample, against what the whole trace tells.
#include "core/samples.h"
#include "sampled.hpp"
#include "simulation.hpp"
#include "synthetic.hpp"

#include <gtest/gtest.h>

namespace {

using namespace tiered::sim;

constexpr std::uint64_t group_bytes = TIERED_SAMPLE_GROUP_PAGES * page_bytes;
const device_model disk = device_models[0];
const std::vector<std::uint32_t> sizes{8192, 32768};

/// The sample that the driver takes of a trace, one group in 2^rate. Every third page is a hit.
std::vector<sampled_request> sample_of(request_source& source, unsigned rate_log2) {
    const std::uint64_t threshold = tiered_sample_threshold(rate_log2);
    std::vector<sampled_request> sample;
    std::uint64_t accesses = 0, told_hits = 0, all = 0;
    source.rewind();
    for (request r; source.next(r);) {
        accesses += r.pages();
        all += r.pages();
        while (r.bytes) {
            request part = r;
            part.bytes = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(r.bytes, group_bytes - r.offset % group_bytes));
            if (tiered_sample_takes(part.offset / group_bytes, threshold)) {
                sample.push_back({part, std::exchange(accesses, 0), all / 3 - told_hits});
                told_hits = all / 3;
            }
            r.offset += part.bytes;
            r.bytes -= part.bytes;
        }
    }
    return sample;
}

std::vector<sampled_request> whole_of(request_source& source) {
    std::vector<sampled_request> all;
    source.rewind();
    for (request r; source.next(r);)
        all.push_back({r, r.pages(), 0});
    return all;
}

/// Hit ratios within `points` and times within `times` of what the disk alone takes.
void expect_near(const sample_outlook& told, const sample_outlook& whole, double points,
                 double times) {
    ASSERT_EQ(whole.sizes.size(), told.sizes.size());
    for (std::size_t i = 0; i < whole.sizes.size(); i++) {
        EXPECT_NEAR(whole.sizes[i].hit_ratio, told.sizes[i].hit_ratio, points) << i;
        EXPECT_NEAR(whole.sizes[i].total_us / whole.all_slow_us,
                    told.sizes[i].total_us / told.all_slow_us, times)
            << i;
    }
    EXPECT_NEAR(1, told.requests / whole.requests, 0.05);
    EXPECT_NEAR(1, told.all_slow_us / whole.all_slow_us, 0.1);
}

TEST(Sampled, ScatteredPagesAreWithinThreePoints) {
    for (const char* name : {"zipf-1.1", "zipf-0.8"}) {
        const auto trace = make_synthetic(name, 1);
        const sample_outlook whole = simulate_sample(whole_of(*trace), 1, sizes, disk);
        const sample_outlook told = simulate_sample(sample_of(*trace, 4), 16, sizes, disk);
        SCOPED_TRACE(name);
        expect_near(told, whole, 0.03, 0.03);
        EXPECT_NEAR(1, told.footprint_pages / whole.footprint_pages, 0.05);
        EXPECT_NEAR(1.0 / 3, told.hit_ratio.value(), 0.01);
    }
}

TEST(Sampled, StreamsStayStreams) {
    const auto trace = make_synthetic("loop", 1);
    const sample_outlook whole = simulate_sample(whole_of(*trace), 1, sizes, disk);
    const sample_outlook told = simulate_sample(sample_of(*trace, 5), 32, sizes, disk);
    expect_near(told, whole, 0.03, 0.05);
}

/// Pages of every group in turn, twice as often of those that are sampled.
TEST(Sampled, WhatTheSampleHasTooMuchIsPutRight) {
    std::vector<sampled_request> sample;
    for (std::uint64_t i = 0; i < 4000; i++)
        sample.push_back({{i, i % 20 * group_bytes, page_bytes, false}, 8, 2});
    const sample_outlook told = simulate_sample(sample, 16, {3200}, disk);
    // Half as many would be its share. Those that are too many are taken for hits.
    EXPECT_EQ(20u, told.groups);
    EXPECT_DOUBLE_EQ(0.25, told.hit_ratio.value());
    EXPECT_NEAR(16'000, told.requests, 1);
    EXPECT_NEAR(16'000 * (100 + 4096 / 500.0), told.all_slow_us, 1);
    EXPECT_NEAR(1, told.sizes[0].hit_ratio, 0.01);
    EXPECT_NEAR(16'000 * fast_us(page_bytes), told.sizes[0].total_us, 1000);
}

/// Hot pages that the sample lacks would have been hits.
TEST(Sampled, WhatTheSampleLacksIsPutRight) {
    std::vector<sampled_request> sample;
    for (std::uint64_t i = 0; i < 4000; i++)
        sample.push_back({{i, i * group_bytes, page_bytes, false}, 32, 0});
    const sample_outlook told = simulate_sample(sample, 16, {3200}, disk);
    EXPECT_NEAR(0.5, told.sizes[0].hit_ratio, 0.01);
}

TEST(Sampled, AStreamIsWhatNothingElseCameBetween) {
    std::vector<sampled_request> stream, mixed;
    for (std::uint64_t i = 0; i < 4000; i++) {
        const std::uint64_t group = i / 16 * 16, offset = i % 16 * 4 * page_bytes;
        const request r{i, group * group_bytes + offset, 4 * page_bytes, false};
        // Over fifteen groups that are not sampled.
        const std::uint64_t from_last = i % 16 ? 4 : 4 + 15 * TIERED_SAMPLE_GROUP_PAGES;
        stream.push_back({r, from_last, 0});
        mixed.push_back({r, from_last + 1, 0});
    }
    const double transfer_us = 4 * page_bytes / 500.0;
    const auto slow_us = [](const std::vector<sampled_request>& sample) {
        const sample_outlook told = simulate_sample(sample, 16, {}, disk);
        return told.all_slow_us / told.requests;
    };
    EXPECT_NEAR(transfer_us, slow_us(stream), 0.1);
    EXPECT_NEAR(100 + transfer_us, slow_us(mixed), 0.1);
}

} // namespace
