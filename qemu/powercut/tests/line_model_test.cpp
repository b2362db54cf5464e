// SPDX-License-Identifier: GPL-2.0-or-later
// What may be lost when: the rules of persistent memory, one test each.
#include "line_model.hpp"
#include "test_record.hpp"

#include <algorithm>
#include <map>

namespace powercut {
namespace {

using test::guest;

/// Replays the whole record and tells, for each word that is open, the values it may have beside
/// the durable one.
struct outcome {
    explicit outcome(guest& vm) {
        EXPECT_TRUE(vm.record().end());
        const log_file log(vm.path);
        line_model model(log.header().bytes);
        for (std::size_t at = 0; at < log.size(); at++)
            model.apply(log.at(at));
        durable.assign(model.durable().begin(), model.durable().end());
        for (const open_line& line : model.open_lines())
            for (const later_value& one : line.values)
                open[line.line * words_per_line + one.word].push_back(one.value);
    }

    std::vector<std::uint64_t> durable;
    std::map<std::uint64_t, std::vector<std::uint64_t>> open;
};

using values = std::vector<std::uint64_t>;

TEST(Lines, AStoreAloneMayBeLost) {
    guest vm;
    vm.arm();
    vm.store(3, 1);
    vm.store(3, 2);
    outcome after(vm);
    EXPECT_EQ(after.durable[3], 0u);
    EXPECT_EQ(after.open[3], (values{1, 2}));
}

TEST(Lines, AFlushWithoutAFencePromisesNothing) {
    guest vm;
    vm.arm();
    vm.store(3, 1);
    vm.flush(3);
    outcome after(vm);
    EXPECT_EQ(after.durable[3], 0u);
    EXPECT_EQ(after.open[3], values{1});
}

TEST(Lines, FlushAndFenceMakeDurable) {
    guest vm;
    vm.arm();
    vm.store(3, 1);
    vm.flush(3);
    vm.fence();
    outcome after(vm);
    EXPECT_EQ(after.durable[3], 1u);
    EXPECT_TRUE(after.open.empty());
}

TEST(Lines, AFlushCoversWhatWasThereThen) {
    guest vm;
    vm.arm();
    vm.store(3, 1);
    vm.flush(3);
    vm.store(3, 2);
    vm.store(4, 5);
    vm.fence();
    outcome after(vm);
    EXPECT_EQ(after.durable[3], 1u);
    EXPECT_EQ(after.open[3], values{2});
    EXPECT_EQ(after.open[4], values{5});
}

TEST(Lines, AFlushCoversItsWholeLineAndNoOther) {
    guest vm;
    vm.arm();
    vm.store(8, 1);
    vm.store(15, 2);
    vm.store(16, 3);
    vm.flush(11);
    vm.fence();
    outcome after(vm);
    EXPECT_EQ(after.durable[8], 1u);
    EXPECT_EQ(after.durable[15], 2u);
    EXPECT_EQ(after.open, (std::map<std::uint64_t, values>{{16, {3}}}));
}

TEST(Lines, AFenceCompletesOnlyItsOwnProcessorsFlushes) {
    guest vm;
    vm.arm();
    vm.store(3, 1, 0);
    vm.flush(3, 0);
    vm.nt_store(20, 9, 0);
    vm.flush(30, 1); // gives the other fence something to do
    vm.fence(1);
    outcome after(vm);
    EXPECT_EQ(after.open[3], values{1});
    EXPECT_EQ(after.open[20], values{9});
}

TEST(Lines, AnotherProcessorMayFlushAgain) {
    guest vm;
    vm.arm();
    vm.store(3, 1, 0);
    vm.flush(3, 0);
    vm.flush(3, 1);
    vm.fence(1);
    vm.fence(0); // must not undo or disturb what is durable
    outcome after(vm);
    EXPECT_EQ(after.durable[3], 1u);
    EXPECT_TRUE(after.open.empty());
}

TEST(Lines, AnOldPromiseDoesNotBringOldContentsBack) {
    guest vm;
    vm.arm();
    vm.store(3, 1, 0);
    vm.flush(3, 0);
    vm.store(3, 2, 1);
    vm.flush(3, 1);
    vm.fence(1);
    vm.store(3, 4, 1);
    vm.fence(0);
    outcome after(vm);
    EXPECT_EQ(after.durable[3], 2u);
    EXPECT_EQ(after.open[3], values{4});
}

TEST(Lines, AStoreAroundTheCacheNeedsOnlyAFence) {
    guest vm;
    vm.arm();
    vm.store(4, 7);
    vm.nt_store(3, 1);
    vm.nt_store(12, 2);
    vm.fence();
    outcome after(vm);
    EXPECT_EQ(after.durable[3], 1u);
    EXPECT_EQ(after.durable[12], 2u);
    EXPECT_EQ(after.open, (std::map<std::uint64_t, values>{{4, {7}}}));
}

TEST(Lines, WhatWasThereAtTheStartIsDurable) {
    guest vm;
    vm.memory[100] = 6;
    vm.arm();
    EXPECT_EQ(outcome(vm).durable[100], 6u);
}

TEST(Lines, ManyOpenLinesAreKeptApart) {
    guest vm;
    vm.arm();
    for (std::uint64_t word = 0; word < words_per_page; word += words_per_line)
        vm.store(word, word + 1);
    for (std::uint64_t word = 0; word < words_per_page; word += 2 * words_per_line)
        vm.flush(word);
    vm.fence();
    outcome after(vm);
    EXPECT_EQ(after.open.size(), words_per_page / words_per_line / 2);
    for (std::uint64_t word = 0; word < words_per_page; word += words_per_line)
        EXPECT_EQ(after.open.contains(word), word % (2 * words_per_line) != 0) << word;
}

} // namespace
} // namespace powercut
