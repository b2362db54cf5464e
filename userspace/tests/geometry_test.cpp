// SPDX-License-Identifier: GPL-2.0-or-later
// Geometry: regions apart and inside for every size, metadata within its budget.
#include "../../driver/core/superblock.h"

#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace {

constexpr std::uint64_t KiB = 1024;
constexpr std::uint64_t MiB = 1024 * KiB;
constexpr std::uint64_t GiB = 1024 * MiB;
constexpr std::uint64_t TiB = 1024 * GiB;
constexpr std::uint64_t largest_alignment = 2 * MiB;
constexpr std::uint64_t budget_per_mille = 5;

std::vector<std::uint64_t> sizes() {
    std::vector<std::uint64_t> all;
    for (std::uint64_t size = MiB; size <= 12 * TiB; size += size / 7)
        for (const std::uint64_t more : {0ull, 512ull, 4096ull, 4096ull * 255})
            all.push_back((size + more) / 512 * 512);
    for (const std::uint64_t edge : {4 * GiB, TiB, 12 * TiB})
        for (const std::uint64_t less : {0ull, 512ull, 4096ull})
            all.push_back(edge - less);
    return all;
}

TEST(Geometry, KeepsRegionsApartAndInside) {
    for (const std::uint64_t size : sizes()) {
        tiered_geometry g{};
        ASSERT_EQ(0, tiered_geometry_compute(size, &g)) << size;
        const std::uint64_t table = g.frames_total * 8;
        EXPECT_GE(g.words_offset_bytes,
                  std::uint64_t{TIERED_SUPERBLOCKS * TIERED_SUPERBLOCK_BYTES});
        EXPECT_GE(g.shadow_offset_bytes, g.words_offset_bytes + table) << size;
        EXPECT_GE(g.frames_offset_bytes, g.shadow_offset_bytes + table) << size;
        EXPECT_LE(g.frames_offset_bytes + g.frames_total * TIERED_FRAME_BYTES, size) << size;
        EXPECT_EQ(0u, g.words_offset_bytes % TIERED_FRAME_BYTES);
        EXPECT_EQ(0u, g.shadow_offset_bytes % TIERED_FRAME_BYTES);
        EXPECT_EQ(0u, g.frames_offset_bytes % TIERED_FRAME_BYTES);
    }
}

TEST(Geometry, SpendsLittleOnMetadata) {
    for (const std::uint64_t size : sizes()) {
        tiered_geometry g{};
        ASSERT_EQ(0, tiered_geometry_compute(size, &g));
        const std::uint64_t other = size - g.frames_total * TIERED_FRAME_BYTES;
        const std::uint64_t alignment =
            size >= 4 * GiB ? largest_alignment : 4 * TIERED_FRAME_BYTES;
        EXPECT_LE(other, size * budget_per_mille / 1000 + alignment) << size;
        EXPECT_LE(g.frames_offset_bytes, size * budget_per_mille / 1000 + alignment) << size;
    }
}

TEST(Geometry, WastesLessThanOneFrameBehindTheLast) {
    for (const std::uint64_t size : sizes()) {
        tiered_geometry g{};
        ASSERT_EQ(0, tiered_geometry_compute(size, &g));
        const std::uint64_t end = g.frames_offset_bytes + g.frames_total * TIERED_FRAME_BYTES;
        // The first bound on the number of frames may give up a few of them.
        EXPECT_LT(size - end, 3 * TIERED_FRAME_BYTES) << size;
    }
}

TEST(Geometry, RefusesWhatIsTooSmallOrTooLarge) {
    tiered_geometry g{};
    for (const std::uint64_t size :
         {std::uint64_t{0}, std::uint64_t{512}, MiB - 1, 17 * 1024 * TiB})
        EXPECT_EQ(-ERANGE, tiered_geometry_compute(size, &g)) << size;
    EXPECT_EQ(0, tiered_geometry_compute(MiB, &g));
}

TEST(Geometry, AlignsLargeTiersForHugeMappings) {
    tiered_geometry g{};
    ASSERT_EQ(0, tiered_geometry_compute(8 * GiB, &g));
    EXPECT_EQ(0u, g.frames_offset_bytes % largest_alignment);
}

} // namespace
