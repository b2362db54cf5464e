// SPDX-License-Identifier: GPL-2.0-or-later
// Repairing a closed volume: everything that damage did not hit is as it was, what it hit is named.
//
// The protocol. Everything that is wrong is found first (plan_repair()), then written in steps,
// each durable before the next begins (carry_out()):
//
//   1. the superblock that is damaged, from the other one; that one is not touched meanwhile
//   2. shadows, as their words say
//   3. *lost* into word and shadow of each page that is lost; of the claims that contradict each
//      other, into all of them, with their versions as they are
//   4. older claims: free
//   5. all others that go: free, or retired where the frame cannot be read
//   6. the driver's request for a check away, in one superblock after the other
//
// A word takes effect by one store of 8 bytes, which neither power cut nor signal tears, and in
// each step any subset of the stores may be missing: whoever comes then, driver or repair, finds
// the page as before or as after.
//   * 2 before 4: were a winner's word lost after its loser went, its shadow must say so.
//   * 3 before 4 and 5: what was answered with an error, or could not be told from another, must
//   not
//     be answered with older contents once its rival is gone. Claims that contradict each other
//     stay a contradiction until all of them say *lost*: only versions decide who contradicts whom.
//   * 4 before 5: were the newest claim of a page cleared first, the older one would stand again.
//   * Where one of two rivals stays, the one that goes is cleared by one store, and of more than
//   two
//     one stays only if all have the same contents.
//   * 6 last: until then the volume asks for a check.
// A word whose sector takes no write is left as it is; then its shadow says what the driver has to
// do: *lost*, or *retired* instead of *free*, because it would be asked at each load.
#pragma once

#include "../../driver/core/claim.h"
#include "superblock.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace tiered {

enum class repair_step { shadows, lost, losers, others };

struct word_change {
    std::uint32_t frame;
    repair_step step;
    tiered_claim claim; ///< what word and shadow are to say; in the step `shadows` the shadow alone
};

/// Pages next to each other that were lost in the same way.
struct lost_pages {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    std::string why; ///< predicate of a sentence about a page: "is lost: ..."
};

struct frame_run {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
};

struct repair_plan {
    std::string refusal; ///< why nothing can be done and what to do, a sentence; empty: go on
    superblock_search superblocks;
    bool rebuild_superblock = false;
    bool clear_needs_check = false;
    std::vector<word_change> changes; ///< in the order of their steps

    std::vector<std::string> actions; ///< what is done, each as an order: "clear 3 older claims"
    std::vector<lost_pages> lost;     ///< pages that answer errors until they are written whole
    /// Claims beyond the volume's end whose contents no home has.
    std::vector<lost_pages> lost_beyond;
    /// Frames of which neither word nor shadow can be read: each may have had a page's newest
    /// contents, and that page shows older ones then.
    std::vector<frame_run> unknown;
    bool accepted = false; ///< lost_beyond and unknown are given up; else their words stay

    const superblock& sb() const { return *superblocks.chosen; }
    bool needs_acceptance() const { return !unknown.empty() || !lost_beyond.empty(); }
    bool loses() const { return !lost.empty() || needs_acceptance(); }
    bool changes_anything() const {
        return rebuild_superblock || clear_needs_check || !changes.empty();
    }
};

/// Finds what is wrong and what to do about it; reads only. Throws when there is no volume, the
/// disk cannot be its own, or this version may not write the volume. `accept_loss`: give up what
/// cannot be told.
repair_plan plan_repair(storage& fast, storage& capacity, bool accept_loss);

/// Does it. Returns sentences about what the medium did not take; all the rest is done and durable.
/// After an exception or a power cut the volume can be planned and repaired again.
std::vector<std::string> carry_out(storage& fast, const repair_plan& plan);

} // namespace tiered
