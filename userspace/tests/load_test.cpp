// SPDX-License-Identifier: GPL-2.0-or-later
// Loading: what becomes of every frame, double claims in either order, damaged words.
#include "../../driver/core/load.h"

#include <gtest/gtest.h>
#include <map>
#include <vector>

namespace {

constexpr std::uint8_t seed = 9;
constexpr std::uint32_t frames = 8;
constexpr std::uint64_t pages = 100;

struct report {
    std::uint32_t frame;
    tiered_found what;
    tiered_claim claim;
    std::uint32_t other;
};

struct loader {
    std::vector<__le64> primary;
    std::vector<__le64> shadow;
    std::map<std::uint64_t, std::pair<std::uint32_t, tiered_claim>> index;
    std::vector<report> reports;

    loader() {
        for (std::uint32_t frame = 0; frame < frames; frame++)
            primary.push_back(tiered_claim_encode({0, TIERED_CLAIM_FREE, 0}, frame, seed));
        shadow = primary;
    }

    void claim(std::uint32_t frame, std::uint64_t page, tiered_claim_state state,
               std::uint8_t version) {
        primary[frame] = shadow[frame] = tiered_claim_encode({page, state, version}, frame, seed);
    }

    void run() { run(0, frames); }

    void run(std::uint32_t first, std::uint32_t count) {
        tiered_words words{};
        words.pages = pages;
        words.frames = frames;
        words.seed = seed;
        const tiered_word_copies copies{primary.data() + first, shadow.data() + first, first,
                                        count};
        constexpr tiered_load_ops ops{find, hold, found};
        tiered_load_words(&words, &copies, &ops, this);
    }

    /// What the load makes of a frame that it reported as damaged.
    report judge(std::uint32_t frame) {
        constexpr tiered_load_ops ops{find, hold, found};
        const tiered_claim claim = about(frame).back().claim;
        tiered_load_damaged(frame, &claim, &ops, this);
        return about(frame).back();
    }

    std::vector<report> about(std::uint32_t frame) const {
        std::vector<report> matching;
        for (const report& r : reports)
            if (r.frame == frame)
                matching.push_back(r);
        return matching;
    }

    static std::uint32_t find(void* context, std::uint64_t page, tiered_claim* claim) {
        const auto& index = static_cast<loader*>(context)->index;
        const auto found = index.find(page);
        if (found == index.end())
            return TIERED_NO_FRAME;
        *claim = found->second.second;
        return found->second.first;
    }
    static void hold(void* context, std::uint32_t frame, const tiered_claim* claim,
                     std::uint32_t instead_of) {
        auto& index = static_cast<loader*>(context)->index;
        const auto former = index.find(claim->page);
        EXPECT_EQ(former == index.end() ? TIERED_NO_FRAME : former->second.first, instead_of);
        index[claim->page] = {frame, *claim};
    }
    static void found(void* context, std::uint32_t frame, tiered_found what,
                      const tiered_claim* claim, std::uint32_t other) {
        static_cast<loader*>(context)->reports.push_back({frame, what, *claim, other});
    }
};

TEST(Load, FindsFreeHeldAndRetiredFrames) {
    loader l;
    l.claim(1, 7, TIERED_CLAIM_DIRTY, 3);
    l.claim(2, 0, TIERED_CLAIM_RETIRED, 0);
    l.claim(3, 8, TIERED_CLAIM_LOST, 1);
    l.run();
    EXPECT_EQ(TIERED_FOUND_FREE, l.about(0)[0].what);
    EXPECT_EQ(TIERED_FOUND_HOLDER, l.about(1)[0].what);
    EXPECT_EQ(TIERED_FOUND_RETIRED, l.about(2)[0].what);
    EXPECT_EQ(TIERED_FOUND_HOLDER, l.about(3)[0].what);
    EXPECT_EQ(frames, l.reports.size());
    EXPECT_EQ(1u, l.index.at(7).first);
    EXPECT_EQ(2u, l.index.size());
}

TEST(Load, GivesThePageToTheNewerClaimInEitherOrder) {
    for (std::uint8_t version = 0; version < TIERED_VERSIONS; version++)
        for (const bool newer_first : {false, true}) {
            loader l;
            const std::uint32_t newer = newer_first ? 2 : 5;
            const std::uint32_t older = newer_first ? 5 : 2;
            l.claim(older, 7, TIERED_CLAIM_DIRTY, version);
            l.claim(newer, 7, TIERED_CLAIM_CLEAN, tiered_version_next(version));
            l.run();
            EXPECT_EQ(newer, l.index.at(7).first);
            EXPECT_EQ(TIERED_FOUND_HOLDER, l.about(newer).back().what);
            EXPECT_EQ(TIERED_FOUND_LOSER, l.about(older).back().what);
            EXPECT_EQ(newer, l.about(older).back().other);
        }
}

TEST(Load, ReportsAConflictOfVersionsThatAreNoNeighbours) {
    for (int distance = 0; distance < 16; distance++) {
        if (distance == 1 || distance == 15)
            continue;
        loader l;
        l.claim(2, 7, TIERED_CLAIM_DIRTY, 4);
        l.claim(5, 7, TIERED_CLAIM_DIRTY, static_cast<std::uint8_t>((4 + distance) % 16));
        l.run();
        EXPECT_EQ(TIERED_FOUND_CONFLICT, l.about(5).back().what) << distance;
        EXPECT_EQ(2u, l.about(5).back().other);
        EXPECT_EQ(2u, l.index.at(7).first);
    }
}

TEST(Load, TellsFromTheShadowWhatADamagedWordMayHaveHeld) {
    loader l;
    l.claim(2, 7, TIERED_CLAIM_DIRTY, 4);
    l.primary[2] ^= 1;
    l.claim(3, 8, TIERED_CLAIM_DIRTY, 4);
    l.primary[3] ^= 1;
    l.shadow[3] ^= 2;
    l.run();
    EXPECT_EQ(TIERED_FOUND_DAMAGED, l.about(2)[0].what);
    EXPECT_EQ(7u, l.about(2)[0].claim.page);
    EXPECT_EQ(TIERED_CLAIM_DIRTY, l.about(2)[0].claim.state);
    EXPECT_EQ(TIERED_FOUND_UNKNOWN, l.about(3)[0].what);
    EXPECT_EQ(TIERED_CLAIM_FREE, l.about(3)[0].claim.state);
    EXPECT_TRUE(l.index.empty()) << "a shadow never resurrects a claim";
}

TEST(Load, RefusesAPageWhoseDamagedWordMayHaveHadItsNewestContents) {
    for (const auto state : {TIERED_CLAIM_DIRTY, TIERED_CLAIM_LOST}) {
        loader l;
        l.claim(2, 7, state, 4);
        l.primary[2] ^= 1;
        l.run();
        EXPECT_EQ(TIERED_FOUND_HOLDER, l.judge(2).what);
        EXPECT_EQ(2u, l.index.at(7).first);
        EXPECT_EQ(TIERED_CLAIM_LOST, l.index.at(7).second.state);
        EXPECT_EQ(4, l.index.at(7).second.version);
    }
}

TEST(Load, RefusesAPageWhoseDamagedWordIsNewerThanAnotherClaim) {
    for (const auto state : {TIERED_CLAIM_DIRTY, TIERED_CLAIM_CLEAN}) {
        loader l;
        l.claim(2, 7, state, 5);
        l.primary[2] ^= 1;
        l.claim(5, 7, TIERED_CLAIM_DIRTY, 4);
        l.run();
        EXPECT_EQ(TIERED_FOUND_HOLDER, l.judge(2).what);
        EXPECT_EQ(TIERED_CLAIM_LOST, l.index.at(7).second.state);
        EXPECT_EQ(TIERED_FOUND_LOSER, l.about(5).back().what);
    }
}

TEST(Load, LosesNothingByADamagedWordThatAloneWasCleanOrOldOrFree) {
    loader l;
    l.claim(2, 7, TIERED_CLAIM_CLEAN, 4);
    l.claim(3, 8, TIERED_CLAIM_DIRTY, 4);
    l.claim(4, 8, TIERED_CLAIM_DIRTY, 5);
    for (const std::uint32_t frame : {1u, 2u, 3u})
        l.primary[frame] ^= 1;
    l.run();
    for (const std::uint32_t frame : {1u, 2u, 3u})
        EXPECT_EQ(TIERED_FOUND_LOSER, l.judge(frame).what) << frame;
    EXPECT_EQ(0u, l.index.count(7));
    EXPECT_EQ(4u, l.index.at(8).first);
    EXPECT_EQ(TIERED_CLAIM_DIRTY, l.index.at(8).second.state);
}

TEST(Load, TakesNoWipedWordForFree) {
    for (const __le64 wiped : {__le64{0}, ~__le64{0}})
        for (std::uint32_t frame = 0; frame < 4096; frame++) {
            tiered_claim claim;
            EXPECT_NE(0, tiered_claim_decode(wiped, frame, seed, pages, &claim)) << frame;
        }
}

TEST(Load, DoesNotTrustPagesBeyondTheVolume) {
    loader l;
    l.claim(2, pages, TIERED_CLAIM_DIRTY, 4);
    l.claim(3, pages - 1, TIERED_CLAIM_DIRTY, 4);
    l.run();
    EXPECT_EQ(TIERED_FOUND_UNKNOWN, l.about(2)[0].what);
    EXPECT_EQ(TIERED_FOUND_HOLDER, l.about(3)[0].what);
}

TEST(Load, ReadsOnlyTheFramesItIsAskedFor) {
    loader l;
    l.claim(2, 7, TIERED_CLAIM_DIRTY, 4);
    l.claim(5, 9, TIERED_CLAIM_DIRTY, 4);
    l.run(4, 4);
    EXPECT_EQ(4u, l.reports.size());
    EXPECT_EQ(0u, l.index.count(7));
    EXPECT_EQ(5u, l.index.at(9).first);
}

} // namespace
