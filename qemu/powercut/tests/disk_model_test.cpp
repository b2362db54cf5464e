// SPDX-License-Identifier: GPL-2.0-or-later
// A recorded disk after a power cut: what was flushed is there, of the rest anything may be.
#include "disk_model.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <unistd.h>

namespace powercut {
namespace {

constexpr std::uint32_t write_type = 1, flush_type = 3, zeroes_type = 6;

struct Disk : testing::Test {
    ~Disk() override { std::filesystem::remove(path); }

    void add(std::uint64_t sector, std::uint64_t sectors, std::uint32_t type, char fill = 0) {
        std::ofstream file(path, std::ios::binary | std::ios::app);
        const std::uint64_t head[2]{sector * sector_bytes, sectors * sector_bytes};
        const std::uint32_t tail[2]{type, 0};
        file.write(reinterpret_cast<const char*>(head), sizeof(head));
        file.write(reinterpret_cast<const char*>(tail), sizeof(tail));
        if (type == write_type)
            file << std::string(sectors * sector_bytes, fill);
    }

    /// The first byte of each of the first four sectors, over many cuts after `count` requests.
    std::set<std::string> outcomes(std::uint64_t count) {
        disk_model disk(path, 8 * sector_bytes);
        disk.advance(count);
        std::set<std::string> found;
        for (std::uint64_t number = 0; number < 500; number++) {
            disk.lose_power({0, 1, number});
            std::string text;
            for (std::size_t sector = 0; sector < 4; sector++) {
                const auto byte = static_cast<char>(disk.contents()[sector * sector_bytes]);
                text += byte ? byte : '.';
            }
            found.insert(text);
        }
        return found;
    }

    const std::string path = testing::TempDir() + "powercut-disk-" + std::to_string(getpid());
};

TEST_F(Disk, EachSectorOfAnUnflushedWriteMayBeLost) {
    add(0, 2, write_type, 'a');
    EXPECT_EQ(outcomes(1), (std::set<std::string>{"....", "a...", ".a..", "aa.."}));
}

TEST_F(Disk, WhatWasFlushedIsThere) {
    add(0, 2, write_type, 'a');
    add(0, 0, flush_type);
    EXPECT_EQ(outcomes(2), std::set<std::string>{"aa.."});
}

TEST_F(Disk, AnOlderValueMayBeThereInPlaceOfANewerOne) {
    add(1, 1, write_type, 'a');
    add(0, 0, flush_type);
    add(1, 1, write_type, 'b');
    add(1, 1, write_type, 'c');
    EXPECT_EQ(outcomes(4), (std::set<std::string>{".a..", ".b..", ".c.."}));
}

TEST_F(Disk, WhatWasNotCompletedIsNotThere) {
    add(0, 1, write_type, 'a');
    add(1, 1, write_type, 'b');
    EXPECT_EQ(outcomes(1), (std::set<std::string>{"....", "a..."}));
}

TEST_F(Disk, ZeroesMayBeLostToo) {
    add(0, 1, write_type, 'a');
    add(0, 0, flush_type);
    add(0, 1, zeroes_type);
    EXPECT_EQ(outcomes(3), (std::set<std::string>{"a...", "...."}));
}

TEST_F(Disk, GoesOnAfterACut) {
    add(0, 1, write_type, 'a');
    add(0, 0, flush_type);
    disk_model disk(path, 8 * sector_bytes);
    disk.advance(1);
    for (std::uint64_t number = 0; number < 10; number++)
        disk.lose_power({0, 1, number});
    disk.advance(2);
    disk.lose_power({0, 1, 0});
    EXPECT_EQ(static_cast<char>(disk.contents()[0]), 'a');
}

TEST_F(Disk, ADamagedLogIsRefused) {
    add(7, 2, write_type, 'a'); // beyond its end
    disk_model disk(path, 8 * sector_bytes);
    EXPECT_THROW(disk.advance(1), log_error);
    add(0, 1, write_type, 'a');
    std::filesystem::resize_file(path, 10);
    disk_model cut_off(path, 8 * sector_bytes);
    EXPECT_THROW(cut_off.advance(1), log_error);
}

} // namespace
} // namespace powercut
