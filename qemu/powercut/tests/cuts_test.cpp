// SPDX-License-Identifier: GPL-2.0-or-later
// Cuts: the same for the same seed, all legal, and together all there are.
#include "replay.hpp"
#include "test_record.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace powercut {
namespace {

using test::guest;

/// Two words of one line and one of another are open, the first with two values.
struct Open : testing::Test {
    Open() {
        vm.arm();
        vm.store(0, 1);
        vm.store(0, 2);
        vm.store(1, 3);
        vm.store(8, 4);
        vm.record().mark(0, 77, 0);
        vm.flush(0);
        vm.fence();
        vm.record().end();
    }

    guest vm;
};

std::vector<std::uint64_t> contents(const replay& run, const image& drawn) {
    std::vector<std::uint64_t> words(run.model().durable().begin(), run.model().durable().end());
    for (const survivor& one : drawn.survivors)
        words[one.word] = one.value;
    return words;
}

TEST_F(Open, MomentsAreMarksFencesAndTheEnd) {
    const log_file log(vm.path);
    EXPECT_EQ(find_moments(log, moments::every).size(), 3u);
}

TEST_F(Open, EveryLegalImageIsDrawnAndNoOther) {
    const log_file log(vm.path);
    const auto all = find_moments(log, moments::every);
    replay run(log);
    run.advance(all[0]);
    EXPECT_FALSE(run.last_mark());
    std::set<std::vector<std::uint64_t>> images;
    for (std::uint64_t number = 0; number < 3000; number++) {
        const auto words = contents(run, draw(run.model(), {all[0], 5, number}));
        images.insert({words[0], words[1], words[8]});
        EXPECT_EQ(words[2], 0u);
    }
    EXPECT_EQ(images.size(), 3u * 2 * 2);
}

TEST_F(Open, TheSameSeedGivesTheSameImage) {
    const log_file log(vm.path);
    const auto all = find_moments(log, moments::every);
    for (std::uint64_t number = 0; number < 50; number++) {
        const cut one = choose_cut(9, number, all);
        EXPECT_EQ(one.moment, choose_cut(9, number, all).moment);
        replay first(log), second(log);
        first.advance(one.moment);
        second.advance(one.moment);
        EXPECT_EQ(contents(first, draw(first.model(), one)),
                  contents(second, draw(second.model(), one)));
    }
}

TEST_F(Open, SeedsDiffer) {
    const log_file log(vm.path);
    const auto all = find_moments(log, moments::every);
    std::set<std::vector<std::size_t>> sequences;
    for (std::uint64_t seed = 0; seed < 20; seed++) {
        std::vector<std::size_t> sequence;
        for (std::uint64_t number = 0; number < 20; number++)
            sequence.push_back(choose_cut(seed, number, all).moment);
        sequences.insert(sequence);
    }
    EXPECT_EQ(sequences.size(), 20u);
}

TEST_F(Open, LossesAreTheWordsWithoutTheirNewestValue) {
    const log_file log(vm.path);
    const auto all = find_moments(log, moments::every);
    replay run(log);
    run.advance(all[0]);
    const std::map<std::uint64_t, std::uint64_t> newest{{0, 2}, {1, 3}, {8, 4}};
    for (std::uint64_t number = 0; number < 200; number++) {
        const image drawn = draw(run.model(), {all[0], 1, number});
        const auto words = contents(run, drawn);
        std::set<std::uint64_t> lost;
        for (const loss& one : drawn.losses) {
            EXPECT_EQ(one.newest, newest.at(one.word));
            lost.insert(one.word);
        }
        for (const auto& [word, value] : newest)
            EXPECT_EQ(lost.contains(word), words[word] != value);
    }
}

TEST_F(Open, AllButTheLossesIsTheNewest) {
    const log_file log(vm.path);
    const auto all = find_moments(log, moments::every);
    replay run(log);
    run.advance(all[0]);
    const std::vector<loss> losses{{1, 3, 0}};
    const auto words = contents(run, {all_but(run.model(), losses, {}), {}});
    EXPECT_EQ(words[0], 2u);
    EXPECT_EQ(words[1], 0u);
    EXPECT_EQ(words[8], 4u);
}

TEST_F(Open, LinesThatNobodyReadsLoseNothing) {
    const log_file log(vm.path);
    const auto all = find_moments(log, moments::every);
    replay run(log);
    run.advance(all[0]);
    std::set<std::vector<std::uint64_t>> images;
    for (std::uint64_t number = 0; number < 300; number++) {
        const image drawn =
            draw(run.model(), {all[0], 5, number}, [](std::uint64_t line) { return line == 1; });
        const auto words = contents(run, drawn);
        images.insert({words[0], words[1], words[8]});
        for (const loss& one : drawn.losses)
            EXPECT_EQ(one.word, 8u);
    }
    EXPECT_EQ(images, (std::set<std::vector<std::uint64_t>>{{2, 3, 0}, {2, 3, 4}}));
}

TEST_F(Open, AWordMayHaveAnyOfItsValues) {
    const log_file log(vm.path);
    replay run(log);
    run.advance(find_moments(log, moments::every)[0]);
    const auto may_be = [&](std::uint64_t word, std::uint64_t value) {
        return run.model().any_value(word, [&](std::uint64_t one) { return one == value; });
    };
    EXPECT_TRUE(may_be(0, 0) && may_be(0, 1) && may_be(0, 2));
    EXPECT_FALSE(may_be(0, 3));
    EXPECT_TRUE(may_be(2, 0));
    EXPECT_FALSE(may_be(2, 3));
}

TEST_F(Open, APlaceIsCutOnce) {
    const log_file log(vm.path);
    EXPECT_EQ(find_moments(log, moments::per_stack).size(), 3u);
    guest twice;
    twice.arm();
    for (std::uint64_t word = 0; word < 5; word++) {
        twice.nt_store(word, 1);
        twice.fence();
    }
    twice.record().end();
    const log_file more(twice.path);
    EXPECT_EQ(find_moments(more, moments::every).size(), 6u);
    EXPECT_EQ(find_moments(more, moments::per_stack).size(), 2u);
}

TEST(Cuts, InOrderAreTheSameCuts) {
    const std::vector<std::size_t> all{10, 20, 30, 40};
    const auto cuts = cuts_in_order(3, 100, 50, all);
    EXPECT_TRUE(std::ranges::is_sorted(cuts, {}, &cut::moment));
    for (const cut& one : cuts)
        EXPECT_EQ(one.moment, choose_cut(3, one.number, all).moment);
}

TEST(Minimise, FindsTheWordsThatMatter) {
    std::vector<loss> losses;
    for (std::uint64_t word = 0; word < 100; word++)
        losses.push_back({word, 0, 0});
    const auto fewest = minimise<loss>(losses, [](std::span<const loss> some) {
        return std::ranges::count_if(
                   some, [](const loss& one) { return one.word == 17 || one.word == 63; }) == 2;
    });
    ASSERT_EQ(fewest.size(), 2u);
    EXPECT_EQ(fewest[0].word, 17u);
    EXPECT_EQ(fewest[1].word, 63u);
}

} // namespace
} // namespace powercut
