// SPDX-License-Identifier: GPL-2.0-or-later
// A small volume in full use whose truth is known, every kind of damage to it, and what each costs.
#pragma once

#include "../../driver/core/protocol.h"
#include "test_volume.hpp"

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace tiered::test {

/// Damage has hit every frame that there was of a kind.
struct no_frame_left : std::exception {};

/// A volume with pages in all states, as a crash may leave it, and what each page reads.
struct known_volume {
    static constexpr std::uint64_t pages = 180;
    static constexpr std::uint64_t fast_bytes = 1 << 20;

    test_volume v;
    std::map<std::uint32_t, tiered_claim> claims; ///< the newest of each resident page, by frame
    std::vector<std::byte> truth;                 ///< of every page, each filled with one byte
    std::set<std::uint64_t> lost;                 ///< from the beginning

    explicit known_volume(std::mt19937& random);

    /// A frame that holds a page in `state` and has no older claim, chosen at random; no frame
    /// twice.
    std::uint32_t any_frame(tiered_claim_state state, std::mt19937& random);
    /// One that is free; no frame twice.
    std::uint32_t any_free_frame() { return v.sb.frames() - ++free_given_; }
    /// No frame with a word in the sector of that of `frame` is given any more.
    void keep_sector(std::uint32_t frame);

private:
    void add_page(std::uint64_t page, std::uint32_t& frame, std::mt19937& random);

    std::set<std::uint32_t> not_given_;
    std::uint32_t free_given_ = 0;
};

/// What a kind of damage did to a volume.
struct damage {
    std::string kind;
    std::set<std::uint64_t> hit{}; ///< pages that may answer errors for it, and have to be named
    /// Pages that may show older contents, which nobody can name, once the loss is accepted.
    std::set<std::uint64_t> untold{};
    bool needs_acceptance = false;
    bool refused = false;  ///< nothing can be repaired
    bool harmless = false; ///< nothing that a repair has to do
};

using damager = damage (*)(known_volume&, std::mt19937&);
/// Every kind.
const std::vector<damager>& all_damagers();

} // namespace tiered::test
