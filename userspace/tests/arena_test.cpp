// SPDX-License-Identifier: GPL-2.0-or-later
// Allocation in mappings, over memory that takes no advice but will-need, as a volume's takes none.
#include "arena.hpp"
#include "scratch_file.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <list>
#include <set>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <vector>

namespace {

/// The range in which madvise() is refused, and how often that was.
std::atomic<std::uintptr_t> refusing_begin, refusing_end;
std::atomic<int> refused;

} // namespace

/// In place of the C library's, for memkind too: a volume answers EINVAL to what jemalloc gives
/// memory back with.
extern "C" int madvise(void* begin, std::size_t bytes, int advice) noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(begin);
    if (at >= refusing_begin && at < refusing_end && advice != MADV_WILLNEED) {
        refused++;
        errno = EINVAL;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_madvise, begin, bytes, advice));
}

namespace {

using tiered::arena;
using tiered::mapping;

constexpr std::size_t mib = 1 << 20;

/// An arena over memory that is not zero, and takes no advice.
struct over_old_contents {
    explicit over_old_contents(std::size_t bytes) : file(bytes), heap(map()) {}
    ~over_old_contents() { refusing_end = 0; }

    mapping map() const {
        mapping memory(file.path(), {.stores = as_far_as_files_go});
        std::memset(memory.bytes().data(), 0xff, memory.size_bytes());
        refused = 0;
        refusing_begin = reinterpret_cast<std::uintptr_t>(memory.bytes().data());
        refusing_end = refusing_begin + memory.size_bytes();
        return memory;
    }

    scratch_file file;
    arena heap;
};

bool is_in(const arena& heap, const void* begin, std::size_t bytes) {
    const auto range = heap.memory().bytes();
    const auto* const at = static_cast<const std::byte*>(begin);
    return at >= range.data() && at + bytes <= range.data() + range.size();
}

TEST(Arena, AllocatesInItsRangeAsAligned) {
    over_old_contents o(32 * mib);
    for (const std::size_t alignment : {1, 8, 16, 64, 4096, 65536})
        for (const std::size_t bytes : {0ul, 1ul, 8ul, 100ul, 5000ul, 3 * mib}) {
            void* const p = o.heap.allocate(bytes, alignment);
            EXPECT_EQ(0u, reinterpret_cast<std::uintptr_t>(p) % alignment);
            EXPECT_TRUE(is_in(o.heap, p, bytes));
            std::memset(p, 1, bytes);
            o.heap.deallocate(p, bytes, alignment);
        }
    EXPECT_EQ(0u, o.heap.allocated_bytes());
}

TEST(Arena, GivesNothingBackToTheVolumeAndFailsOfNothing) {
    over_old_contents o(32 * mib);
    for (int round = 0; round < 20; round++) {
        std::vector<void*> all;
        for (std::size_t bytes = 1; bytes < 4 * mib; bytes += bytes / 2 + 1)
            all.push_back(o.heap.allocate(bytes));
        EXPECT_LE(4 * mib, o.heap.allocated_bytes());
        EXPECT_LE(o.heap.allocated_bytes(), o.heap.active_bytes());
        for (void* p : all)
            o.heap.deallocate(p, 0);
    }
    EXPECT_EQ(0, refused) << "memkind gives memory back by madvise, which a volume refuses";
}

TEST(Arena, WhatWasFreedInSmallPiecesServesLargeOnes) {
    over_old_contents o(32 * mib);
    std::vector<void*> small;
    try {
        for (;;)
            small.push_back(o.heap.allocate(4000));
    } catch (const tiered::arena_full&) {
    }
    EXPECT_LE(31 * mib, small.size() * 4000);
    for (void* p : small)
        o.heap.deallocate(p, 4000);
    void* const large = o.heap.allocate(2 * mib);
    std::memset(large, 1, 2 * mib);
    o.heap.deallocate(large, 2 * mib);
}

TEST(Arena, SaysWhenItIsFull) {
    over_old_contents o(16 * mib);
    try {
        static_cast<void>(o.heap.allocate(17 * mib));
        FAIL() << "17 of 16 MiB were allocated";
    } catch (const std::bad_alloc& e) {
        EXPECT_NE(nullptr, std::strstr(e.what(), "no 17825792 bytes are free in one piece in the "
                                                 "16.0 MiB of the arena over /dev/shm/"));
    }
    // What fits is there all the same.
    o.heap.deallocate(o.heap.allocate(mib), mib);
}

TEST(Arena, ServesContainers) {
    over_old_contents o(32 * mib);
    {
        std::pmr::vector<std::pmr::list<int>> lists(&o.heap);
        for (int i = 0; i < 100; i++)
            lists.emplace_back().assign(1000, i);
        EXPECT_TRUE(is_in(o.heap, &lists[99], sizeof(lists[99])));
        EXPECT_TRUE(is_in(o.heap, &lists[99].back(), sizeof(int)));
        for (int i = 0; i < 100; i++)
            EXPECT_EQ(1000, std::count(lists[i].begin(), lists[i].end(), i));
        EXPECT_LE(100 * 1000 * sizeof(int), o.heap.allocated_bytes());
    }
    EXPECT_EQ(0u, o.heap.allocated_bytes());
}

TEST(Arena, ServesManyThreadsAtOnce) {
    over_old_contents o(64 * mib);
    std::atomic<int> wrong = 0;
    const auto work = [&](int number) {
        std::pmr::multiset<int> mine(&o.heap);
        for (int round = 0; round < 200; round++) {
            for (int i = 0; i < 100; i++)
                mine.insert(number);
            wrong += static_cast<int>(mine.size() - mine.count(number));
            mine.erase(mine.begin(), std::next(mine.begin(), 50));
        }
    };
    std::vector<std::thread> threads;
    for (int number = 0; number < 8; number++)
        threads.emplace_back(work, number);
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(0, wrong);
    EXPECT_EQ(0u, o.heap.allocated_bytes());
}

TEST(Arena, StandsBesideOthers) {
    over_old_contents o(16 * mib);
    const scratch_file file(16 * mib);
    for (int round = 0; round < 3; round++) {
        arena other(mapping(file.path(), {.stores = as_far_as_files_go}));
        void* const here = o.heap.allocate(1000);
        void* const there = other.allocate(1000);
        EXPECT_TRUE(is_in(o.heap, here, 1000));
        EXPECT_TRUE(is_in(other, there, 1000));
        EXPECT_FALSE(o.heap.is_equal(other));
        o.heap.deallocate(here, 1000);
        other.deallocate(there, 1000);
    }
}

TEST(Arena, NeedsMemoryThatItMayStoreTo) {
    const scratch_file file(16 * mib);
    const std::string said = refusal_of(
        [&] { arena(mapping(file.path(), {.read_only = true, .stores = as_far_as_files_go})); });
    EXPECT_NE(std::string::npos, said.find("map it for writing")) << said;
}

} // namespace
