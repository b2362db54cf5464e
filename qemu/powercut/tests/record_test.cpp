// SPDX-License-Identifier: GPL-2.0-or-later
// The record: what is written comes back, and what cannot be believed is refused.
#include "log_reader.hpp"
#include "test_record.hpp"

#include <algorithm>
#include <fstream>

namespace powercut {
namespace {

using test::guest;

std::vector<record_type> types_in(const log_file& log) {
    std::vector<record_type> types;
    for (std::size_t at = 0; at < log.size(); at++)
        if (log.at(at).head.type != record_type::site)
            types.push_back(log.at(at).head.type);
    return types;
}

TEST(Record, KeepsTheOrderOfEvents) {
    guest vm;
    vm.memory[9] = 7;
    vm.arm();
    vm.store(1, 10);
    vm.flush(1);
    vm.fence();
    vm.record().mark(1, 2, 3);
    vm.record().disk(4);
    vm.record().visit(1, {0x500, {0xffffffff81000000}});
    ASSERT_TRUE(vm.record().end());
    const log_file log(vm.path);
    using enum record_type;
    EXPECT_EQ(types_in(log), (std::vector{image, store, flush, fence, mark, disk, visit, end}));
    const event visited = log.site(log.at(log.size() - 2).head.site);
    EXPECT_EQ(visited.head.where, 0x500u);
    EXPECT_EQ(visited.words[0], 0xffffffff81000000u);
    EXPECT_EQ(log.fault(), "");
    EXPECT_EQ(log.at(0).words[9], 7u);
}

TEST(Record, JoinsStoresAroundTheCacheThatFollowEachOther) {
    guest vm;
    vm.arm();
    for (std::uint64_t word = 3; word < 8; word++)
        vm.nt_store(word, word);
    vm.nt_store(20, 1);
    vm.nt_store(21, 1, 1);
    vm.record().end();
    const log_file log(vm.path);
    std::vector<std::size_t> lengths;
    for (std::size_t at = 0; at < log.size(); at++)
        if (log.at(at).head.type == record_type::nt_store)
            lengths.push_back(log.at(at).words.size());
    EXPECT_EQ(lengths, (std::vector<std::size_t>{5, 1, 1}));
}

TEST(Record, NamesThePlaceOfAnEvent) {
    guest vm;
    vm.arm();
    vm.flush(0);
    vm.record().end();
    const log_file log(vm.path);
    for (std::size_t at = 0; at < log.size(); at++) {
        if (log.at(at).head.type != record_type::flush)
            continue;
        const event from = log.site(log.at(at).head.site);
        EXPECT_EQ(from.head.where, 0x300u);
        ASSERT_EQ(from.words.size(), 1u);
        EXPECT_EQ(from.words[0], 0xffffffff81000000u);
    }
}

TEST(Record, AFenceWithNothingToDoIsLeftOut) {
    guest vm;
    vm.arm();
    vm.store(0, 1);
    vm.fence();
    vm.flush(0);
    vm.fence(1);
    vm.fence(0);
    vm.fence(0);
    vm.record().end();
    const log_file log(vm.path);
    EXPECT_EQ(std::ranges::count(types_in(log), record_type::fence), 1);
}

TEST(Record, DirectMemoryAccessIsAFault) {
    guest vm;
    vm.arm();
    vm.store(1, 1);
    vm.memory[100] = 5; // no store says so
    vm.record().end();
    EXPECT_NE(log_file(vm.path).fault().find("1 times words of the NVDIMM changed without a store"),
              std::string::npos);
}

TEST(Record, DirectMemoryAccessIsSeenByAFlushToo) {
    guest vm;
    vm.arm();
    vm.memory[100] = 5;
    vm.flush(100);
    vm.record().end();
    EXPECT_NE(log_file(vm.path).fault(), "");
}

TEST(Record, LightModeFindsCachedStoresWhenTheyAreFlushed) {
    guest vm(false);
    vm.arm();
    vm.store(8, 1);
    vm.store(15, 2);
    vm.flush(8);
    vm.record().end();
    const log_file log(vm.path);
    using enum record_type;
    EXPECT_EQ(types_in(log), (std::vector{found, found, flush, end}));
    EXPECT_EQ(log.fault(), "");
}

TEST(Record, ALightOneOfAnotherPlaceIsAFault) {
    guest vm(false);
    vm.arm();
    vm.store(1, 1); // and neither flushes nor fences
    vm.record().end();
    EXPECT_NE(log_file(vm.path).fault(), "");
}

TEST(Record, AddressesThatWereNotKnownAreAFault) {
    guest vm;
    vm.arm();
    vm.record().count(end_unknown_address);
    vm.record().end();
    EXPECT_NE(log_file(vm.path).fault().find("whose address"), std::string::npos);
}

TEST(Record, WithoutItsEndIsAFault) {
    guest vm;
    vm.arm();
    vm.store(1, 1);
    vm.record().end();
    std::filesystem::resize_file(vm.path, std::filesystem::file_size(vm.path) - 1);
    EXPECT_NE(log_file(vm.path).fault().find("no end"), std::string::npos);
}

TEST(Record, DamageIsRefused) {
    guest vm;
    vm.arm();
    vm.store(1, 1);
    vm.record().end();
    std::fstream file(vm.path, std::ios::in | std::ios::out | std::ios::binary);
    // The second record is the store (the first names its place): let it lie outside the NVDIMM.
    file.seekp(sizeof(log_header) + sizeof(record) + offsetof(record, where));
    const std::uint64_t outside = words_per_page;
    file.write(reinterpret_cast<const char*>(&outside), sizeof(outside));
    file.close();
    EXPECT_THROW(log_file{vm.path}, log_error);
}

TEST(Record, OtherFilesAreRefused) {
    guest vm;
    std::ofstream(vm.path) << std::string(200, 'x');
    EXPECT_THROW(log_file{vm.path}, log_error);
    EXPECT_THROW(log_file{vm.path + ".none"}, log_error);
}

} // namespace
} // namespace powercut
