// SPDX-License-Identifier: GPL-2.0-or-later
// Recognising the disk of a volume by its identity.
#include "discovery.hpp"
#include "error.hpp"
#include "test_volume.hpp"

#include <gtest/gtest.h>

namespace {

using namespace tiered;
using namespace tiered::test;

constexpr std::uint64_t sectors = 16384;

superblock volume_with(const std::string& serial, bool adopted, const std::string& fs_uuid) {
    format_spec spec = small_spec(sectors);
    spec.tier.serial = serial;
    spec.tier.adopted = adopted;
    spec.tier.fs_uuid = fs_uuid;
    return make_superblock(spec, 1 << 20);
}

sought_disk disk_of(const superblock& sb) {
    return sought_disk(sb.name(), sb.tier());
}

std::string message_of(const superblock& sb, const std::vector<capacity_candidate>& candidates) {
    try {
        choose_capacity(disk_of(sb), candidates);
    } catch (const error& e) {
        return e.what();
    }
    return {};
}

TEST(Discovery, FindsTheDiskBySizeAndSerial) {
    const superblock sb = volume_with("S1", false, "");
    EXPECT_EQ("/dev/b", choose_capacity(disk_of(sb), {{"/dev/a", sectors, "S2", ""},
                                                      {"/dev/b", sectors, "S1", "anything"},
                                                      {"/dev/c", sectors - 1, "S1", ""}}));
}

TEST(Discovery, FindsADiskThatHasGrownByItsSerial) {
    const superblock sb = volume_with("S1", false, "");
    EXPECT_EQ("/dev/a", choose_capacity(disk_of(sb), {{"/dev/a", sectors + 8, "S1", ""}}));
    EXPECT_NE("", message_of(volume_with("", false, ""), {{"/dev/a", sectors + 8, "", ""}}));
}

TEST(Discovery, FindsADiskWithoutSerialByItsSizeAlone) {
    const superblock sb = volume_with("", false, "");
    EXPECT_EQ("/dev/b",
              choose_capacity(disk_of(sb), {{"/dev/a", sectors - 1, "", ""},
                                            {"/dev/b", sectors, "", "made by mkfs later"}}));
}

TEST(Discovery, AsksAnAdoptedDiskWithoutSerialForItsFileSystem) {
    const superblock sb = volume_with("", true, "F1");
    EXPECT_EQ("/dev/b", choose_capacity(disk_of(sb), {{"/dev/a", sectors, "", "F2"},
                                                      {"/dev/b", sectors, "", "F1"}}));
    EXPECT_NE("", message_of(sb, {{"/dev/a", sectors, "", "F2"}}));
}

TEST(Discovery, DoesNotAskForTheFileSystemWhereASerialIsKnown) {
    const superblock sb = volume_with("S1", true, "F1");
    EXPECT_EQ("/dev/a", choose_capacity(disk_of(sb), {{"/dev/a", sectors, "S1", "F2"}}));
}

TEST(Discovery, ReadsDisksOnlyWhereTheirFileSystemDecides) {
    const auto reads = [](const char* serial, bool adopted, const char* fs_uuid) {
        return is_known_by_file_system(volume_with(serial, adopted, fs_uuid).tier());
    };
    EXPECT_TRUE(reads("", true, "F1"));
    EXPECT_FALSE(reads("S1", true, "F1"));
    EXPECT_FALSE(reads("", true, ""));
    EXPECT_FALSE(reads("", false, ""));
}

TEST(Discovery, ComparesSerialsAsFarAsTheyAreRecorded) {
    const std::string serial(70, 'x');
    const superblock sb = volume_with(serial, false, "");
    EXPECT_EQ("/dev/a", choose_capacity(disk_of(sb), {{"/dev/a", sectors, serial, ""}}));
}

TEST(Discovery, RefusesToGuess) {
    const superblock sb = volume_with("", false, "");
    const std::string two =
        message_of(sb, {{"/dev/a", sectors, "", ""}, {"/dev/b", sectors, "S", ""}});
    EXPECT_NE(std::string::npos, two.find("/dev/a and /dev/b could both be"));
    const std::string none =
        message_of(volume_with("S1", false, ""), {{"/dev/a", sectors, "", ""}});
    EXPECT_NE(std::string::npos, none.find("serial number S1"));
    EXPECT_NE(std::string::npos, none.find("was not found"));
}

} // namespace
