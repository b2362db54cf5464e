// SPDX-License-Identifier: GPL-2.0-or-later
// Which disks are surely a volume's, so that they may be hidden from everybody else.
#include "member.hpp"

#include <gtest/gtest.h>

namespace {

using namespace tiered;

constexpr std::uint64_t sectors = 1 << 20;

block_device disk(const std::string& serial) {
    block_device device;
    device.kernel_name = "vda";
    device.size_sectors = sectors;
    device.serial = serial;
    return device;
}

tier_identity identity(const std::string& serial, const std::string& fs_uuid, bool adopted) {
    tier_identity tier;
    tier.size_sectors = sectors;
    tier.serial = serial;
    tier.fs_uuid = fs_uuid;
    tier.adopted = adopted;
    return tier;
}

TEST(Member, IsKnownByItsSerialNumber) {
    EXPECT_TRUE(is_surely_capacity_tier(identity("S1", "", false), disk("S1"), ""));
    EXPECT_FALSE(is_surely_capacity_tier(identity("S1", "", false), disk("S2"), ""));
    EXPECT_FALSE(is_surely_capacity_tier(identity("S1", "U", true), disk(""), "U"));
}

TEST(Member, IsKnownByItsFileSystemWhereItWasAdopted) {
    EXPECT_TRUE(is_surely_capacity_tier(identity("", "U", true), disk(""), "U"));
    EXPECT_FALSE(is_surely_capacity_tier(identity("", "U", true), disk(""), "V"));
    EXPECT_FALSE(is_surely_capacity_tier(identity("", "U", true), disk(""), ""));
}

TEST(Member, IsNeverTakenForItsSizeAlone) {
    EXPECT_FALSE(is_surely_capacity_tier(identity("", "", false), disk(""), ""));
    EXPECT_FALSE(is_surely_capacity_tier(identity("", "", true), disk("S1"), ""));
    EXPECT_FALSE(is_surely_capacity_tier(identity("", "U", false), disk("S1"), "U"));
}

} // namespace
