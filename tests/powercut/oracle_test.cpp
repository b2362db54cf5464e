// SPDX-License-Identifier: GPL-2.0-or-later
// The oracle: what was acknowledged must be there, what was begun may be, and a page in a frame is
// never a mix.
#include "oracle.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <utility>

namespace campaign {
namespace {

page_state all(std::uint32_t number) {
    page_state state;
    state.fill(number);
    return state;
}

page_state half(std::uint32_t first, std::uint32_t second) {
    page_state state = all(first);
    std::fill(state.begin() + page_sectors / 2, state.end(), second);
    return state;
}

oracle of(std::initializer_list<operation> operations) {
    std::vector<operation> plan(1);
    plan.insert(plan.end(), operations);
    return oracle(plan);
}

const operation plain{action::write, 0, page_sectors};
const operation dsync{action::write_dsync, 0, page_sectors};
const operation second_half{action::write_dsync, page_sectors / 2, page_sectors / 2};

bool in_frame(const oracle& known, const page_state& state) {
    return known.judge_frame(0, state).empty();
}
bool on_disk(const oracle& known, const page_state& state) {
    return known.judge_home(0, state).empty();
}

TEST(Oracle, AtFirstAllIsZero) {
    const oracle known = of({});
    EXPECT_TRUE(on_disk(known, all(0)));
    EXPECT_FALSE(on_disk(known, all(1)));
}

TEST(Oracle, AWriteMayBeThereOnceItBegan) {
    oracle known = of({dsync});
    EXPECT_FALSE(in_frame(known, all(1)));
    known.begin(1);
    EXPECT_TRUE(in_frame(known, all(0)));
    EXPECT_TRUE(in_frame(known, all(1)));
}

TEST(Oracle, AnAcknowledgedWriteMustBeThere) {
    oracle known = of({dsync});
    known.begin(1);
    known.acknowledge(1);
    EXPECT_TRUE(in_frame(known, all(1)));
    EXPECT_FALSE(in_frame(known, all(0)));
    EXPECT_FALSE(on_disk(known, all(0)));
}

TEST(Oracle, APlainWriteMayBeLostUntilTheSync) {
    oracle known = of({plain, {action::sync, 0, 0}});
    known.begin(1);
    known.acknowledge(1);
    EXPECT_TRUE(on_disk(known, all(0)));
    known.begin(2);
    EXPECT_TRUE(on_disk(known, all(0)));
    known.acknowledge(2);
    EXPECT_FALSE(on_disk(known, all(0)));
    EXPECT_TRUE(on_disk(known, all(1)));
}

TEST(Oracle, APageInAFrameIsNoMixAndOneOnTheDiskMayBe) {
    oracle known = of({plain, plain});
    known.begin(1);
    known.acknowledge(1);
    known.begin(2);
    EXPECT_FALSE(in_frame(known, half(1, 2)));
    EXPECT_TRUE(on_disk(known, half(1, 2)));
}

TEST(Oracle, ADurablePartLeavesTheRestAsItMayBe) {
    oracle known = of({plain, second_half});
    for (std::uint32_t number : {1, 2}) {
        known.begin(number);
        known.acknowledge(number);
    }
    EXPECT_TRUE(on_disk(known, half(0, 2)));
    EXPECT_TRUE(on_disk(known, half(1, 2)));
    EXPECT_FALSE(on_disk(known, all(1)));
}

TEST(Oracle, WhatWasDiscardedDoesNotComeBack) {
    oracle known = of({dsync, {action::discard, 0, page_sectors}});
    known.begin(1);
    known.acknowledge(1);
    known.begin(2);
    EXPECT_TRUE(in_frame(known, all(1)));
    EXPECT_TRUE(on_disk(known, all(0)));
    known.acknowledge(2);
    EXPECT_FALSE(in_frame(known, all(1)));
    EXPECT_TRUE(on_disk(known, all(0)));
}

const operation first_half{action::write_dsync, 0, page_sectors / 2};

TEST(Oracle, WhatIsDoneAtOnceMayHappenInAnyOrder) {
    oracle known = of({dsync, dsync, dsync});
    known.begin(1);
    known.begin(2);
    known.acknowledge(2);
    EXPECT_TRUE(in_frame(known, all(1))) << "the first came last";
    EXPECT_TRUE(in_frame(known, all(2)));
    EXPECT_FALSE(in_frame(known, all(0))) << "what was acknowledged is gone";
    known.acknowledge(1);
    EXPECT_TRUE(in_frame(known, all(1)));
    EXPECT_TRUE(in_frame(known, all(2)));
    known.begin(3);
    known.acknowledge(3);
    EXPECT_FALSE(in_frame(known, all(1))) << "came before the third";
    EXPECT_TRUE(in_frame(known, all(3)));
}

TEST(Oracle, PartsThatAreWrittenAtOnceAreBothThere) {
    oracle known = of({dsync, first_half, second_half, dsync});
    known.begin(1);
    known.acknowledge(1);
    known.begin(2);
    known.begin(3);
    EXPECT_TRUE(in_frame(known, half(2, 1)));
    EXPECT_TRUE(in_frame(known, half(1, 3)));
    EXPECT_TRUE(in_frame(known, half(2, 3)));
    known.acknowledge(2);
    EXPECT_FALSE(in_frame(known, half(1, 3)));
    known.acknowledge(3);
    EXPECT_FALSE(in_frame(known, half(2, 1)));
    EXPECT_TRUE(in_frame(known, half(2, 3)));
    EXPECT_FALSE(in_frame(known, all(1)));
}

TEST(Oracle, ASyncMakesWhatRacedDurableWhicheverCameLast) {
    oracle known = of({plain, plain, {action::sync, 0, 0}});
    known.begin(1);
    known.begin(2);
    known.acknowledge(1);
    known.acknowledge(2);
    EXPECT_TRUE(in_frame(known, all(0)));
    known.begin(3);
    known.acknowledge(3);
    EXPECT_EQ(known.settled_by(0), 3u);
    EXPECT_FALSE(in_frame(known, all(0)));
    EXPECT_TRUE(in_frame(known, all(1)));
    EXPECT_TRUE(in_frame(known, all(2)));
}

const operation into_page{action::store, 0, page_sectors};
const operation flushed_into_page{action::store_flush, 0, page_sectors};
const operation all_pages_home{action::flush, 0, 0};

/// The words that operation `number` stores, as they are found.
std::vector<odd_word> of_store(std::uint32_t number) {
    std::vector<odd_word> odd;
    for (const unsigned word : stored_words(number))
        odd.push_back({word, stored_value(number, word)});
    return odd;
}

bool words_hold(const oracle& known, const page_state& filled, const std::vector<odd_word>& odd) {
    return known.judge_frame(0, filled).empty() && known.judge_stores(0, filled, odd).empty();
}

void do_all(oracle& known, std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t number = first; number <= last; number++) {
        known.begin(number);
        known.acknowledge(number);
    }
}

TEST(Stores, OneThatNobodyFlushedMayBeThereOrNotWordByWord) {
    // The third operation stores several words.
    oracle known = of({dsync, dsync, into_page});
    do_all(known, 1, 2);
    std::vector<odd_word> odd = of_store(3);
    ASSERT_GT(odd.size(), 1u);
    EXPECT_FALSE(words_hold(known, all(2), odd)) << "before it was begun";
    known.begin(3);
    EXPECT_TRUE(words_hold(known, all(2), odd));
    known.acknowledge(3);
    EXPECT_TRUE(words_hold(known, all(2), {}));
    odd.pop_back();
    EXPECT_TRUE(words_hold(known, all(2), odd));
    odd.front().value ^= std::uint64_t{1} << 40;
    EXPECT_FALSE(words_hold(known, all(2), odd)) << "nobody stored that";
}

TEST(Stores, OneThatWasFlushedMustBeThereWithWhatItWasStoredOver) {
    oracle known = of({plain, flushed_into_page});
    known.begin(1);
    known.acknowledge(1);
    known.begin(2);
    EXPECT_TRUE(words_hold(known, all(0), {}));
    EXPECT_TRUE(words_hold(known, all(1), {}));
    EXPECT_FALSE(words_hold(known, all(0), of_store(2))) << "over what was there before";
    known.acknowledge(2);
    EXPECT_TRUE(words_hold(known, all(1), of_store(2)));
    EXPECT_FALSE(words_hold(known, all(1), {}));
    EXPECT_FALSE(words_hold(known, all(0), {}));
    EXPECT_EQ(known.settled_by(0), 2u);
}

TEST(Stores, AnMsyncIsOfItsPages) {
    oracle known = of(
        {into_page, {action::msync, page_sectors, page_sectors}, {action::msync, 0, page_sectors}});
    do_all(known, 1, 2);
    EXPECT_TRUE(words_hold(known, all(0), {}));
    known.begin(3);
    EXPECT_TRUE(words_hold(known, all(0), {}));
    known.acknowledge(3);
    EXPECT_FALSE(words_hold(known, all(0), {}));
    EXPECT_TRUE(words_hold(known, all(0), of_store(1)));
}

TEST(Stores, AFlushIsOfWhatWasStoredBeforeItBegan) {
    oracle known = of({into_page, all_pages_home, into_page});
    do_all(known, 1, 1);
    known.begin(2);
    do_all(known, 3, 3);
    known.acknowledge(2);
    EXPECT_FALSE(words_hold(known, all(0), {}));
    EXPECT_TRUE(words_hold(known, all(0), of_store(1)));
}

TEST(Stores, ABlockWriteComesOverThem) {
    oracle known = of({flushed_into_page, plain, {action::sync, 0, 0}});
    do_all(known, 1, 2);
    EXPECT_TRUE(words_hold(known, all(2), {}));
    EXPECT_FALSE(words_hold(known, all(2), of_store(1)));
    EXPECT_TRUE(words_hold(known, all(0), of_store(1))) << "nobody synced it";
    EXPECT_FALSE(words_hold(known, all(0), {})) << "the store was durable";
    do_all(known, 3, 3);
    EXPECT_FALSE(words_hold(known, all(0), of_store(1)));
}

TEST(Stores, DoNotComeBackAfterADiscard) {
    oracle known = of({flushed_into_page, {action::discard, 0, page_sectors}, into_page});
    do_all(known, 1, 1);
    known.begin(2);
    EXPECT_TRUE(words_hold(known, all(0), of_store(1)));
    EXPECT_TRUE(words_hold(known, all(0), {}));
    known.acknowledge(2);
    EXPECT_FALSE(words_hold(known, all(0), of_store(1)));
    do_all(known, 3, 3);
    EXPECT_TRUE(words_hold(known, all(0), of_store(3)));
}

TEST(Stores, NeverChangeWhatSaysWhoFilledASector) {
    for (std::uint32_t number = 1; number < 2000; number++)
        for (const unsigned word : stored_words(number)) {
            EXPECT_LT(word, page_bytes / 8);
            EXPECT_NE(word % (sector_bytes / 8), 0u);
            EXPECT_EQ(stored_by(stored_value(number, word), word), number);
            EXPECT_EQ(stored_by(stored_value(number, word), word + 1), 0u);
        }
}

TEST(Plan, WithMemoryHasStoresOfEveryKindAndOneReloadBesideThem) {
    for (std::uint64_t seed = 1; seed < 20; seed++) {
        const auto plan = make_plan({.seed = seed, .amount = 300, .memory = true});
        std::array<unsigned, 16> met{};
        unsigned beside_reload = 0;
        for (std::size_t at = 1; at < plan.size(); at++) {
            met.at(static_cast<std::size_t>(plan[at].what))++;
            beside_reload += plan[at].joined && plan[at - 1].what == action::reload;
            EXPECT_LE(plan[at].end(), volume_pages * page_sectors);
        }
        for (const action what :
             {action::store, action::store_flush, action::msync, action::load, action::grow})
            EXPECT_GT(met.at(static_cast<std::size_t>(what)), 0u) << seed;
        EXPECT_EQ(beside_reload, 1u) << seed;
    }
}

TEST(Plan, IsTheSameForTheSameSeed) {
    const auto first = make_plan({5, 400, true});
    const auto second = make_plan({5, 400, true});
    const auto other = make_plan({6, 400, true});
    ASSERT_EQ(first.size(), 401u);
    const auto same = [&](const std::vector<operation>& one) {
        for (std::size_t at = 0; at < first.size(); at++)
            if (first[at].what != one[at].what || first[at].first != one[at].first ||
                first[at].count != one[at].count)
                return false;
        return true;
    };
    EXPECT_TRUE(same(second));
    EXPECT_FALSE(same(other));
}

TEST(Plan, StaysInsideTheVolumeAndDiscardsWholePages) {
    std::uint32_t sectors = volume_pages_at_first * page_sectors;
    for (const operation& one : make_plan({1, 20000, true})) {
        if (one.what == action::grow) {
            EXPECT_GT(one.count, sectors);
            EXPECT_LE(one.count, volume_pages * page_sectors);
            sectors = one.count;
            continue;
        }
        EXPECT_LE(one.end(), sectors);
        if (one.what == action::discard) {
            EXPECT_EQ(one.first % page_sectors, 0u);
            EXPECT_EQ(one.count % page_sectors, 0u);
        }
    }
}

TEST(Plan, HasOfEverythingEvenWhenItIsShort) {
    for (std::uint64_t seed = 1; seed < 20; seed++) {
        std::array<unsigned, 16> met{};
        unsigned joined = 0;
        for (const operation& one : make_plan({seed, 150})) {
            met.at(static_cast<std::size_t>(one.what))++;
            joined += one.joined;
        }
        EXPECT_EQ(met.at(static_cast<std::size_t>(action::grow)), 3u) << seed;
        EXPECT_EQ(met.at(static_cast<std::size_t>(action::format)), 1u) << seed;
        EXPECT_GT(joined, 0u) << seed;
    }
}

TEST(Plan, WritesAtOnceOnlyWhatFitsTheWritersBuffers) {
    std::uint32_t at_once = 0;
    for (const operation& one : make_plan({3, 20000})) {
        at_once = one.joined ? at_once + 1 : 0;
        EXPECT_LT(at_once, writers);
        EXPECT_TRUE(!one.joined || one.count <= burst_sectors_max);
    }
}

TEST(Plan, OfAControlTargetStaysInItsFewPages) {
    for (const operation& one : make_plan({1, 2000, false, true})) {
        EXPECT_LE(one.end(), hot_pages * page_sectors);
        EXPECT_TRUE(one.what == action::write || one.what == action::write_dsync ||
                    one.what == action::read || one.what == action::sync ||
                    one.what == action::rest)
            << "only [0] rests";
    }
}

TEST(Sector, TellsWhoWroteIt) {
    std::array<std::uint64_t, sector_bytes / 8> words{};
    std::uint32_t number = 9;
    EXPECT_TRUE(read_sector(words, 3, number));
    EXPECT_EQ(number, 0u);
    fill_sector(7, 3, words);
    EXPECT_TRUE(read_sector(words, 3, number));
    EXPECT_EQ(number, 7u);
    EXPECT_FALSE(read_sector(words, 4, number));
    for (std::uint64_t& word : words) {
        const std::uint64_t kept = std::exchange(word, 0);
        EXPECT_FALSE(read_sector(words, 3, number)) << "a lost word";
        word = kept;
    }
}

TEST(Sector, TellsWhichOfItsWordsAreOdd) {
    std::array<std::uint64_t, sector_bytes / 8> words{};
    std::uint32_t number = 9;
    std::vector<odd_word> odd;
    words[5] = 1;
    EXPECT_FALSE(read_sector(words, 11, number));
    EXPECT_TRUE(read_sector(words, 11, number, &odd));
    EXPECT_EQ(number, 0u);
    ASSERT_EQ(odd.size(), 1u);
    EXPECT_EQ(odd[0].word, 3 * words.size() + 5) << "counts from the page's beginning";
    EXPECT_EQ(odd[0].value, 1u);
    words[0] = 1;
    EXPECT_FALSE(read_sector(words, 11, number, &odd)) << "nobody filled it";
}

} // namespace
} // namespace campaign
