// SPDX-License-Identifier: GPL-2.0-or-later
// What fast tiers of several sizes would do, out of a sample of the requests: all requests of some
// groups of pages (driver/core/samples.h).
//
// A fast tier as many times smaller than the real one sees of the sample what the real one sees of
// all requests. Three things are put right:
//  - Groups of the sample are laid side by side, so that a stream goes on from one to the next; it
//  is one
//    if no other pages were touched meanwhile.
//  - Every tier begins empty, whereas the volume was in use before. So the first half of the sample
//    only fills the tiers, and what is told is of the second half.
//  - Few groups may have more or fewer of the hottest pages than their share. How many pages were
//    touched in all is known: what the sample lacks of its share, or has too much, are taken for
//    pages that every size holds ("SHARDS-adj").
#pragma once

#include "cost.hpp"

#include <optional>
#include <vector>

namespace tiered::sim {

/// A request of the sample, and pages that were touched since the one before it, by all requests.
struct sampled_request {
    request r;
    std::uint64_t accesses;
    std::uint64_t hits; ///< of these, in the volume as it was
};

/// Of the second half, and of all requests.
struct size_outlook {
    std::uint32_t pages; ///< of the fast tier
    double hit_ratio;
    double total_us;
};

struct sample_outlook {
    std::uint64_t groups = 0;
    double footprint_pages = 0;
    double requests = 0; ///< of the second half, as all below
    double all_slow_us = 0;
    std::optional<double> hit_ratio; ///< of the volume as it was
    std::vector<size_outlook> sizes;
};

/// `sample` is in the order of time, one group of `one_in`. `pages` are sizes of fast tiers.
sample_outlook simulate_sample(const std::vector<sampled_request>& sample, std::uint64_t one_in,
                               const std::vector<std::uint32_t>& pages, const device_model& device);

} // namespace tiered::sim
