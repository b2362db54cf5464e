// SPDX-License-Identifier: GPL-2.0-or-later
// What is told out of a sample, against the whole trace.
#include "core/samples.h"
#include "sampled.hpp"
#include "simulation.hpp"
#include "synthetic.hpp"

#include <gtest/gtest.h>

namespace {

using namespace tiered::sim;

/// The sample that the driver would take of a trace; the volume has no hits.
std::vector<sampled_request> sample_of(request_source& source, unsigned rate_log2) {
    const std::uint64_t threshold = tiered_sample_threshold(rate_log2);
    constexpr std::uint64_t group_bytes = TIERED_SAMPLE_GROUP_PAGES * page_bytes;
    std::vector<sampled_request> sample;
    std::uint64_t accesses = 0;
    source.rewind();
    for (request r; source.next(r);) {
        accesses += r.pages();
        while (r.bytes) {
            request part = r;
            part.bytes = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(r.bytes, group_bytes - r.offset % group_bytes));
            if (tiered_sample_takes(part.offset / group_bytes, threshold))
                sample.push_back({part, std::exchange(accesses, 0), 0});
            r.offset += part.bytes;
            r.bytes -= part.bytes;
        }
    }
    return sample;
}

TEST(Proto, Accuracy) {
    for (const char* name : {"zipf-0.8","zipf-1.1","zipf-shift","scan","loop","uniform","dense-jump","zipf-scan"}) {
        auto source = make_synthetic(name, 1);
        if (!source) { fmt::print("{} none\n", name); continue; }
        recorded whole(*source);
        for (unsigned rate : {4u, 5u, 6u}) for (std::uint32_t base : {4096u, 16384u}) {
            const auto sample = sample_of(whole, rate);
            std::vector<std::uint32_t> sizes{base/2, base, base*2, base*4};
            const auto got = simulate_sample(sample, 1u << rate, sizes, device_models[0]);
            std::vector<sampled_request> full;
            whole.rewind();
            for (request r; whole.next(r);) full.push_back({r, r.pages(), 0});
            const auto want = simulate_sample(full, 1, sizes, device_models[0]);
            fmt::print("{:12} 1/{} samples {} foot {:.0f} vs {:.0f}; req {:.0f} vs {:.0f}:", name, 1 << rate, sample.size(), got.footprint_pages, want.footprint_pages, got.requests, want.requests);
            for (int i = 0; i < 4; i++) fmt::print("  {:.3f}/{:.3f} {:.2f}/{:.2f}", got.sizes[i].hit_ratio, want.sizes[i].hit_ratio, got.sizes[i].total_us/got.all_slow_us, want.sizes[i].total_us/want.all_slow_us);
            fmt::print("\n");
        }
    }
}

} // namespace
