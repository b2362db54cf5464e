// SPDX-License-Identifier: GPL-2.0-or-later
// The protocol's stores, flushes and fences in their order. What a crash may leave of them is the
// model checker's business; here the sequence itself is held fast.
#include "../../driver/core/protocol.h"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

constexpr std::uint32_t frames = 4;

std::array<__le64, frames> primary;
std::array<__le64, frames> shadow;
std::vector<std::string> steps;

std::string place(const __le64* word) {
    if (word >= primary.data() && word < primary.data() + frames)
        return "p" + std::to_string(word - primary.data());
    return "s" + std::to_string(word - shadow.data());
}

const tiered_words words{.primary = primary.data(),
                         .shadow = shadow.data(),
                         .pages = 100,
                         .frames = frames,
                         .seed = 1,
                         .bad_primary = nullptr,
                         .bad_shadow = nullptr};
constexpr std::array<u8, 1> first_sector{1};

using list = std::vector<std::string>;

class Protocol : public ::testing::Test {
protected:
    void SetUp() override { steps.clear(); }
    tiered_clear clear{TIERED_NO_FRAME};

    static tiered_claim claim_of(std::uint32_t frame) {
        tiered_claim claim{};
        EXPECT_EQ(0, tiered_claim_decode(primary[frame], frame, words.seed, words.pages, &claim));
        EXPECT_EQ(primary[frame], shadow[frame]);
        return claim;
    }
};

TEST_F(Protocol, PublishesAfterTheDataAndDurably) {
    tiered_claim_publish(&words, &clear, 2, {7, TIERED_CLAIM_DIRTY, 3});
    EXPECT_EQ((list{"fence", "store p2", "store s2", "flush p2", "flush s2", "fence"}), steps);
    EXPECT_EQ(7u, claim_of(2).page);
}

TEST_F(Protocol, FlushesTheFormerClearBeforeTheNextPublish) {
    tiered_claim_supersede(&words, &clear, 1);
    EXPECT_EQ((list{"store p1", "store s1", "flush p1", "flush s1"}), steps);
    EXPECT_EQ(1u, clear.unfenced_frame);
    EXPECT_EQ(TIERED_CLAIM_FREE, claim_of(1).state);
    steps.clear();
    tiered_claim_publish(&words, &clear, 2, {7, TIERED_CLAIM_DIRTY, 4});
    EXPECT_EQ((list{"flush p1", "flush s1", "fence", "store p2", "store s2", "flush p2", "flush s2",
                    "fence"}),
              steps);
    EXPECT_EQ(TIERED_NO_FRAME, clear.unfenced_frame);
}

TEST_F(Protocol, WithdrawsOldestFirst) {
    tiered_claim_withdraw(&words, &clear, 2);
    EXPECT_EQ((list{"store p2", "store s2", "flush p2", "flush s2", "fence"}), steps);
    steps.clear();
    clear.unfenced_frame = 1;
    tiered_claim_withdraw(&words, &clear, 2);
    EXPECT_EQ((list{"flush p1", "flush s1", "fence", "store p2", "store s2", "flush p2", "flush s2",
                    "fence"}),
              steps);
}

TEST_F(Protocol, MarksCleanWithoutWaiting) {
    tiered_claim_mark_clean(&words, 3, {9, TIERED_CLAIM_DIRTY, 5});
    EXPECT_EQ((list{"store p3", "store s3", "flush p3", "flush s3"}), steps);
    EXPECT_EQ(TIERED_CLAIM_CLEAN, claim_of(3).state);
    EXPECT_EQ(5, claim_of(3).version);
}

TEST_F(Protocol, SettlesManyClearsWithOneFence) {
    const std::array<u32, 2> cleared{0, 3};
    tiered_claims_settle(&words, cleared.data(), cleared.size());
    EXPECT_EQ((list{"flush p0", "flush s0", "flush p3", "flush s3", "fence"}), steps);
}

TEST_F(Protocol, RestoresOnlyTheShadowsThatDiffer) {
    for (std::uint32_t frame = 0; frame < frames; frame++)
        primary[frame] = shadow[frame] =
            tiered_claim_encode({frame, TIERED_CLAIM_DIRTY, 1}, frame, 1);
    const auto restore = [](const tiered_words& where, std::uint32_t count) {
        const auto read_primary = primary;
        const auto read_shadow = shadow;
        const tiered_word_copies copies{read_primary.data(), read_shadow.data(), 0, count};
        tiered_shadows_restore(&where, &copies);
    };
    restore(words, frames);
    EXPECT_EQ(list{}, steps);
    shadow[1] ^= 1;
    shadow[3] = 0;
    tiered_words unreadable = words;
    unreadable.bad_shadow = first_sector.data();
    restore(unreadable, frames);
    EXPECT_EQ(list{}, steps) << "a sector that cannot be read is not written";
    primary[2] ^= 1;
    restore(words, 3);
    EXPECT_EQ((list{"store s1", "flush s1", "fence"}), steps);
    EXPECT_EQ(primary[1], shadow[1]);
    EXPECT_NE(primary[3], shadow[3]);
    EXPECT_NE(primary[2], shadow[2]) << "the shadow of a damaged word is all there is";
}

TEST_F(Protocol, MarksLostDurably) {
    tiered_claim_mark_lost(&words, 3, {9, TIERED_CLAIM_DIRTY, 5});
    EXPECT_EQ((list{"store p3", "store s3", "flush p3", "flush s3", "fence"}), steps);
    EXPECT_EQ(TIERED_CLAIM_LOST, claim_of(3).state);
    EXPECT_EQ(5, claim_of(3).version);
}

TEST_F(Protocol, RetiresWithoutWaiting) {
    tiered_claim_retire(&words, 3);
    EXPECT_EQ((list{"store p3", "store s3", "flush p3", "flush s3"}), steps);
    EXPECT_EQ(TIERED_CLAIM_RETIRED, claim_of(3).state);
}

TEST_F(Protocol, NeverTouchesAWordThatCannotBeRead) {
    tiered_words unreadable = words;
    unreadable.bad_primary = first_sector.data();
    tiered_claim_mark_lost(&unreadable, 3, {9, TIERED_CLAIM_DIRTY, 5});
    tiered_claim_withdraw(&unreadable, &clear, 3);
    for (const std::string& step : steps)
        EXPECT_NE("store p3", step);
    EXPECT_NE(0, std::ranges::count(steps, "store s3"));
    steps.clear();
    unreadable.bad_primary = nullptr;
    unreadable.bad_shadow = first_sector.data();
    tiered_claim_withdraw(&unreadable, &clear, 3);
    EXPECT_EQ(0, std::ranges::count(steps, "store s3"));
    EXPECT_NE(0, std::ranges::count(steps, "store p3"));
}

} // namespace

extern "C" void tiered_pm_store(__le64* word, __le64 value) {
    *word = value;
    steps.push_back("store " + place(word));
}
extern "C" void tiered_pm_flush(const __le64* word) {
    steps.push_back("flush " + place(word));
}
extern "C" void tiered_pm_fence() {
    steps.push_back("fence");
}
