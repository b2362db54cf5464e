// SPDX-License-Identifier: GPL-2.0-or-later
// Ranges of files as memory, and the flush of cache lines.
#include "cpu_flush.hpp"
#include "scratch_file.hpp"

#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <vector>

namespace {

using tiered::mapping;
using tiered::mapping_options;

constexpr std::size_t page = mapping::page_bytes;

mapping map(const scratch_file& file, mapping_options options = {}) {
    options.stores = as_far_as_files_go;
    return mapping(file.path(), options);
}

std::string contents(const scratch_file& file) {
    std::ifstream in(file.path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void expect_refusal(const std::string& said, const std::string& wanted) {
    EXPECT_NE(std::string::npos, said.find(wanted)) << "said: " << said;
}

TEST(Mapping, ShowsARangeAndTakesItsStores) {
    const scratch_file file(4 * page);
    const mapping memory = map(file, {.offset_bytes = page, .length_bytes = 2 * page});
    ASSERT_EQ(2 * page, memory.size_bytes());
    memory.bytes().front() = std::byte{'a'};
    memory.bytes().back() = std::byte{'z'};
    memory.persist(memory.bytes().data(), 2 * page);
    const std::string all = contents(file);
    EXPECT_EQ('a', all[page]);
    EXPECT_EQ('z', all[3 * page - 1]);
    EXPECT_EQ(2, std::count_if(all.begin(), all.end(), [](char c) { return c != 0; }));
}

TEST(Mapping, GoesToTheEndOfTheWholePages) {
    const scratch_file file(3 * page + 100);
    EXPECT_EQ(3 * page, map(file).size_bytes());
    EXPECT_EQ(page, map(file, {.offset_bytes = 2 * page}).size_bytes());
}

TEST(Mapping, RefusesWhatIsNotInTheFile) {
    const scratch_file file(3 * page + 100);
    expect_refusal(refusal_of([&] { map(file, {.offset_bytes = 3 * page}); }),
                   "whose whole pages end at byte 12288");
    expect_refusal(refusal_of([&] { map(file, {.offset_bytes = page, .length_bytes = 3 * page}); }),
                   "has 8192 bytes from byte 4096 on in whole pages, not 12288");
    // The sum of these two is small.
    expect_refusal(refusal_of([&] { map(file, {.offset_bytes = page, .length_bytes = -page}); }),
                   "map no more than that");
    expect_refusal(refusal_of([&] { map(file, {.offset_bytes = 512}); }), "multiples of 4096");
    expect_refusal(refusal_of([&] { map(file, {.length_bytes = 100}); }), "multiples of 4096");
}

TEST(Mapping, SaysWhatCanBeMapped) {
    expect_refusal(refusal_of([] { mapping("no-such-volume"); }),
                   "there is no /dev/tiered/no-such-volume: open the volume with tierctl open");
    expect_refusal(refusal_of([] { mapping("no such volume"); }), "may only have letters");
    expect_refusal(refusal_of([] { mapping("/dev/null"); }), "is no memory of a volume");
    expect_refusal(refusal_of([] { mapping("/dev/shm", {.read_only = true}); }),
                   "neither the memory of a volume nor a regular file");
    expect_refusal(refusal_of([] { mapping("/dev/shm/no/such"); }), "cannot open /dev/shm/no/such");
}

TEST(Mapping, DoesWithoutMapSyncOnlyWhenAsked) {
    const scratch_file file(page);
    expect_refusal(refusal_of([&] { mapping(file.path()); }), "ask for durability if_possible");
    const mapping memory = map(file);
    EXPECT_FALSE(memory.is_synchronous());
    EXPECT_EQ("msync", memory.persists_by());
    expect_refusal(memory.not_synchronous_because(), "has no MAP_SYNC, so persist() is an msync");
}

TEST(Mapping, IsAtTheAddressThatWasAskedForOrNowhere) {
    const scratch_file file(2 * page);
    const auto address = reinterpret_cast<std::uintptr_t>(map(file).bytes().data());
    const mapping memory = map(file, {.address = address});
    EXPECT_EQ(address, reinterpret_cast<std::uintptr_t>(memory.bytes().data()));
    expect_refusal(refusal_of([&] { map(file, {.address = address + page}); }),
                   "because something else of this process is within the 8192 bytes from there");
}

TEST(Mapping, CanBeReadOnly) {
    const scratch_file file(page);
    const mapping memory = map(file, {.read_only = true});
    EXPECT_TRUE(memory.is_read_only());
    EXPECT_EQ(std::byte{0}, memory.bytes().front());
    EXPECT_EXIT(memory.bytes().front() = std::byte{1}, testing::ExitedWithCode(1), "SEGV");
}

TEST(Mapping, MovesWithoutEnding) {
    const scratch_file file(2 * page);
    mapping memory = map(file, {.length_bytes = page});
    std::byte* const first = memory.bytes().data();
    mapping other = std::move(memory);
    EXPECT_EQ(first, other.bytes().data());
    EXPECT_TRUE(memory.bytes().empty()); // NOLINT
    other = map(file);
    EXPECT_EQ(2 * page, other.size_bytes());
    other.bytes().back() = std::byte{1};
}

TEST(Mapping, PersistsAndFetchesOnlyItsOwn) {
    const scratch_file file(4 * page);
    const mapping memory = map(file, {.length_bytes = 2 * page});
    const std::byte* const first = memory.bytes().data();
    memory.persist(first + 2 * page, 0);
    memory.persist(first + 100, page);
    memory.sync();
    memory.will_need(0, 2 * page);
    memory.will_need(page - 1, 2);
    for (const auto& [begin, bytes] : {std::pair{first + page, page + 1},
                                       {first - 1, 1ul},
                                       {first + 2 * page + 1, 0ul},
                                       {first + 1, ~0ul}})
        expect_refusal(refusal_of([&] { memory.persist(begin, bytes); }), "name a part of those");
    expect_refusal(refusal_of([&] { memory.will_need(page, page + 1); }), "name a part of those");
    expect_refusal(refusal_of([&] { memory.will_need(~0ul, 1); }), "name a part of those");
}

TEST(CpuFlush, MeetsEachLineOfARange) {
    using tiered::cache_line_bytes;
    const auto lines = [](std::size_t begin, std::size_t bytes) {
        std::vector<std::size_t> found;
        tiered::each_line(reinterpret_cast<const void*>(begin), bytes, [&](const char* line) {
            found.push_back(reinterpret_cast<std::size_t>(line) / cache_line_bytes);
        });
        return found;
    };
    using numbers = std::vector<std::size_t>;
    EXPECT_EQ((numbers{10}), lines(640, 64));
    EXPECT_EQ((numbers{10}), lines(703, 1));
    EXPECT_EQ((numbers{10, 11}), lines(703, 2));
    EXPECT_EQ((numbers{10, 11, 12}), lines(700, 70));
    EXPECT_EQ((numbers{}), lines(640, 0));
}

TEST(CpuFlush, LeavesContentsWithEveryInstructionOfThisCpu) {
    const tiered::line_flush best = tiered::best_line_flush();
    std::vector<int> data(1000, 7);
    for (const auto how :
         {tiered::line_flush::clflush, tiered::line_flush::clflushopt, tiered::line_flush::clwb})
        if (how <= best)
            tiered::flush_lines(how, data.data(), data.size() * sizeof(int));
    EXPECT_EQ(std::vector<int>(1000, 7), data);
    EXPECT_NE("", tiered::name_of(best));
}

} // namespace
