// SPDX-License-Identifier: GPL-2.0-or-later
// Admission: small requests come in, streams pass by.
#include "../../driver/core/admission.h"

#include <gtest/gtest.h>

namespace {

constexpr u32 page_bytes = 4096;
constexpr u64 page_sectors = page_bytes / TIERED_SECTOR_BYTES;

TEST(Admission, KnowsItsModesByName) {
    for (const auto mode : {TIERED_ADMIT_SMALL, TIERED_ADMIT_ALL, TIERED_ADMIT_NONE})
        EXPECT_EQ(mode, tiered_admission_mode_parse(tiered_admission_mode_name(mode)));
    EXPECT_EQ(-EINVAL, tiered_admission_mode_parse("large"));
    EXPECT_EQ(-EINVAL, tiered_admission_mode_parse(""));
}

TEST(Admission, AllAndNoneLookAtNothing) {
    tiered_streams streams{};
    EXPECT_EQ(TIERED_ADMITTED, tiered_admit(&streams, TIERED_ADMIT_ALL, 0, 1 << 20));
    EXPECT_EQ(TIERED_PASSED_MODE, tiered_admit(&streams, TIERED_ADMIT_NONE, 0, page_bytes));
}

TEST(Admission, TakesScatteredSmallRequests) {
    tiered_streams streams{};
    for (u64 i = 0; i < 1000; i++)
        EXPECT_EQ(TIERED_ADMITTED, tiered_admit(&streams, TIERED_ADMIT_SMALL,
                                                (i * 7919 + 1) % 100003 * 64, page_bytes));
}

TEST(Admission, PassesLargeRequestsBy) {
    tiered_streams streams{};
    EXPECT_EQ(TIERED_ADMITTED,
              tiered_admit(&streams, TIERED_ADMIT_SMALL, 1000, TIERED_ADMIT_SMALL_BYTES));
    EXPECT_EQ(TIERED_PASSED_LARGE,
              tiered_admit(&streams, TIERED_ADMIT_SMALL, 9000, TIERED_ADMIT_SMALL_BYTES + 512));
}

TEST(Admission, PassesAStreamByOnceItIsOne) {
    tiered_streams streams{};
    const u64 requests = 4 * TIERED_STREAM_BYTES / page_bytes;
    u64 admitted = 0;
    for (u64 i = 0; i < requests; i++)
        admitted += tiered_admit(&streams, TIERED_ADMIT_SMALL, 5000 + i * page_sectors,
                                 page_bytes) == TIERED_ADMITTED;
    EXPECT_EQ(TIERED_STREAM_BYTES / page_bytes - 1u, admitted);
}

TEST(Admission, FollowsSeveralStreamsAtOnce) {
    tiered_streams streams{};
    const u64 steps = 2 * TIERED_STREAM_BYTES / page_bytes;
    u64 late_admissions = 0;
    for (u64 step = 0; step < steps; step++)
        for (u64 s = 0; s < TIERED_STREAMS; s++)
            if (tiered_admit(&streams, TIERED_ADMIT_SMALL, s * 1'000'000 + step * page_sectors,
                             page_bytes) == TIERED_ADMITTED &&
                step >= TIERED_STREAM_BYTES / page_bytes)
                late_admissions++;
    EXPECT_EQ(0u, late_admissions);
}

TEST(Admission, ForgetsTheStreamThatStoodStillLongest) {
    tiered_streams streams{};
    const u64 requests = TIERED_STREAM_BYTES / page_bytes;
    for (u64 i = 0; i < requests; i++)
        tiered_admit(&streams, TIERED_ADMIT_SMALL, i * page_sectors, page_bytes);
    EXPECT_EQ(TIERED_PASSED_STREAM,
              tiered_admit(&streams, TIERED_ADMIT_SMALL, requests * page_sectors, page_bytes));
    for (u64 s = 1; s <= TIERED_STREAMS; s++)
        tiered_admit(&streams, TIERED_ADMIT_SMALL, s * 1'000'000, page_bytes);
    EXPECT_EQ(TIERED_ADMITTED, tiered_admit(&streams, TIERED_ADMIT_SMALL,
                                            (requests + 1) * page_sectors, page_bytes));
}

TEST(Admission, DoesNotOverflowOnALongStream) {
    tiered_streams streams{};
    u64 sector = 0;
    for (int i = 0; i < 20000; i++, sector += (1 << 20) / TIERED_SECTOR_BYTES)
        ASSERT_NE(TIERED_ADMITTED, tiered_admit(&streams, TIERED_ADMIT_SMALL, sector, 1 << 20));
}

} // namespace
