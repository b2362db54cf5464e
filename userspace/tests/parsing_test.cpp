// SPDX-License-Identifier: GPL-2.0-or-later
// Text that comes from people or from the kernel: names, kernel log, mount table, sizes.
#include "block_device.hpp"
#include "error.hpp"
#include "heat.hpp"
#include "kernel_log.hpp"
#include "pins.hpp"
#include "text.hpp"
#include "why.hpp"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

namespace {

using namespace tiered;

TEST(Name, TakesWhatDeviceNodesCanBeCalled) {
    for (const std::string& name : {std::string("a"), std::string("demo"), std::string("x.y_z+1-2"),
                                    std::string("0"), std::string("_"), std::string(63, 'n')})
        EXPECT_NO_THROW(require_volume_name(name)) << name;
}

TEST(Name, RefusesTheRest) {
    for (const std::string& name :
         {std::string(), std::string(64, 'n'), std::string("-x"), std::string(".x"),
          std::string(".."), std::string("a b"), std::string("a/b"), std::string("a\n"),
          std::string("ä"), std::string("a\0b", 3), std::string("a:b"), std::string("a%b")})
        EXPECT_THROW(require_volume_name(name), error) << name;
}

TEST(Name, EveryOtherByteIsRefused) {
    const std::string allowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-";
    for (int c = 0; c < 256; c++) {
        const std::string name = std::string("a") + static_cast<char>(c);
        if (allowed.find(static_cast<char>(c)) != std::string::npos) {
            EXPECT_NO_THROW(require_volume_name(name)) << c;
        } else {
            EXPECT_THROW(require_volume_name(name), error) << c;
        }
    }
}

TEST(KernelLog, FindsTheDriversSentence) {
    EXPECT_EQ(
        "the fast tier has a superblock with a wrong checksum",
        driver_reason({"EXT4-fs (vda): mounted",
                       "device-mapper: table: 253:0: tiered: the fast tier has a superblock with "
                       "a wrong checksum (-EINVAL)",
                       "device-mapper: ioctl: error adding target to table"}));
    EXPECT_EQ("x (y) failed", driver_reason({"device-mapper: tiered: x (y) failed"}));
}

TEST(KernelLog, TakesTheLastOfSeveral) {
    EXPECT_EQ("second",
              driver_reason({"device-mapper: tiered: first", "device-mapper: tiered: second"}));
}

TEST(KernelLog, PassesOverTheVerdictThatFollowsTheReason) {
    EXPECT_EQ(
        "demo: the superblock on 259:0 has a wrong checksum; run `tierctl check`",
        driver_reason({"device-mapper: tiered: demo: the superblock on 259:0 has a wrong "
                       "checksum; run `tierctl check`",
                       "device-mapper: table: 253:0: tiered: preresume failed, error = -22"}));
}

TEST(KernelLog, GoesOnInLowerCaseAfterAColon) {
    EXPECT_EQ(
        "the fast device cannot be opened",
        driver_reason({"device-mapper: table: 253:0: tiered: The fast device cannot be opened "
                       "(-ENXIO)"}));
    EXPECT_EQ("a device is in use", driver_reason({"device-mapper: tiered: A device is in use"}));
    EXPECT_EQ("DAX is missing", driver_reason({"device-mapper: tiered: DAX is missing"}));
}

TEST(KernelLog, FindsNothingInWhatOthersSay) {
    EXPECT_EQ("", driver_reason({}));
    EXPECT_EQ("", driver_reason({"device-mapper: table: 253:0: linear: Device lookup failed",
                                 "program[1]: tiered: not the kernel"}));
}

TEST(MountTable, FindsAMountByDeviceNumber) {
    const std::string table = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
                              "30 22 253:1 / /mnt/a\\040b rw - xfs /dev/mapper/x rw\n"
                              "short line\n";
    EXPECT_EQ("/", mount_point_in(table, makedev(254, 0)));
    EXPECT_EQ("/mnt/a b", mount_point_in(table, makedev(253, 1)));
    EXPECT_FALSE(mount_point_in(table, makedev(25, 4)));
    EXPECT_FALSE(mount_point_in("", makedev(254, 0)));
}

TEST(Text, ShowsSizesAndCounts) {
    EXPECT_EQ("0 bytes", size_text(0));
    EXPECT_EQ("1023 bytes", size_text(1023));
    EXPECT_EQ("1.0 KiB", size_text(1024));
    EXPECT_EQ("512.0 MiB", size_text(512ull << 20));
    EXPECT_EQ("1.0 GiB", size_text((1ull << 30) - 1));
    EXPECT_EQ("16.0 EiB", size_text(~0ull));
    EXPECT_EQ("0", count_text(0));
    EXPECT_EQ("999", count_text(999));
    EXPECT_EQ("1,000", count_text(1000));
    EXPECT_EQ("18,446,744,073,709,551,615", count_text(~0ull));
}

TEST(Text, ReadsSmallFilesAndSaysWhenItCannot) {
    EXPECT_TRUE(read_text_file("/proc/self/comm"));
    EXPECT_EQ("", read_text_file("/dev/null"));
    EXPECT_FALSE(read_text_file("/no/such/file"));
    // Opens, but every read fails: as an attribute in /sys that the hardware does not have.
    EXPECT_FALSE(read_text_file("/"));
}

TEST(Text, PadsAndCutsFields) {
    std::array<std::uint8_t, 4> field{9, 9, 9, 9};
    store_padded(field, "ab");
    EXPECT_EQ("ab", padded_text(field));
    EXPECT_EQ(0, field[3]);
    store_padded(field, "abcdef");
    EXPECT_EQ("abcd", padded_text(field));
}

TEST(HeatReply, TellsExtentsAndWhereToGoOn) {
    const heat_reply reply = parse_heat_reply("0:256:10:3 7:1:0:0 128");
    const std::vector<extent_heat> expected{{0, 256, 10, 3}, {7, 1, 0, 0}};
    EXPECT_EQ(reply.extents, expected);
    EXPECT_EQ(reply.next, 128);
    EXPECT_EQ(reply.extents[1].offset_bytes(), 7u << 20);
}

TEST(HeatReply, EndsWithADash) {
    const heat_reply reply = parse_heat_reply("-");
    EXPECT_TRUE(reply.extents.empty());
    EXPECT_FALSE(reply.next.has_value());
}

TEST(HeatReply, RefusesOtherTexts) {
    for (const char* text : {"", "x", "1:2:3 -", "1:2:3:4:5 -", "1:2::4 -", "1:2:3:-4 -"})
        EXPECT_THROW(parse_heat_reply(text), std::exception) << text;
}

TEST(PinsReply, TellsRangesAndWhereToGoOn) {
    const pins_reply reply = parse_pins_reply("0:16:16 4096:2:1 9000");
    const std::vector<pinned_range> expected{{{0, 16}, 16}, {{4096, 2}, 1}};
    EXPECT_EQ(reply.pins, expected);
    EXPECT_EQ(reply.next, 9000);
    EXPECT_FALSE(parse_pins_reply("-").next.has_value());
}

TEST(PinsReply, RefusesOtherTexts) {
    for (const char* text : {"", "1:2 -", "1:2:3:4 -", "1::3 -", "x:2:3 -", "1:2:3", "1:2:-3 -"})
        EXPECT_THROW(parse_pins_reply(text), std::exception) << text;
}

TEST(PagesAt, AreThoseThatTheBytesTouch) {
    constexpr std::uint64_t size = 10 * 4096 + 512; // less than a page at the end
    EXPECT_EQ((page_range{0, 1}), pages_at(0, 1, size));
    EXPECT_EQ((page_range{0, 2}), pages_at(4095, 2, size));
    EXPECT_EQ((page_range{1, 1}), pages_at(4096, 4096, size));
    EXPECT_EQ((page_range{0, 10}), pages_at(0, std::nullopt, size));
    EXPECT_EQ((page_range{9, 1}), pages_at(9 * 4096, 4096 + 512, size));
    EXPECT_THROW(pages_at(10 * 4096, std::nullopt, size), error);
    EXPECT_THROW(pages_at(0, 0, size), error);
    EXPECT_THROW(pages_at(4096, size, size), error);
    EXPECT_THROW(pages_at(4096, ~0ull, size), error);
}

TEST(WhyReply, TellsDecisionsAndWhereToGoOn) {
    const why_reply reply = parse_why_reply("3:evicted:12 900:passed_large:0 77");
    const std::vector<extent_decision> expected{{3, "evicted", 12}, {900, "passed_large", 0}};
    EXPECT_EQ(reply.decisions, expected);
    EXPECT_EQ(reply.next, 77);
    EXPECT_FALSE(parse_why_reply("-").next.has_value());
}

TEST(WhyReply, RefusesOtherTexts) {
    for (const char* text :
         {"", "3:evicted -", "3::1 -", "x:evicted:1 -", "3:evicted:1", "3:evicted:-1 -"})
        EXPECT_THROW(parse_why_reply(text), std::exception) << text;
}

TEST(WhyReply, HasASentenceForEveryReason) {
    EXPECT_EQ("no frame was free", reason_text("dropped_full"));
    EXPECT_EQ("made_up_later", reason_text("made_up_later"));
}

} // namespace
