// SPDX-License-Identifier: GPL-2.0-or-later
// Claims: round trips, every small corruption detected, the order of all pairs of versions.
#include "../../driver/core/claim.h"

#include <bit>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace {

constexpr std::uint64_t pages = TIERED_PAGES_MAX;

struct placed_claim {
    tiered_claim claim;
    std::uint32_t frame;
    std::uint8_t seed;
};

std::vector<placed_claim> sample_claims() {
    std::mt19937_64 random(1);
    std::vector<placed_claim> samples;
    for (const std::uint64_t page : {std::uint64_t{0}, std::uint64_t{1}, pages / 2, pages - 1})
        for (const auto state : {TIERED_CLAIM_CLEAN, TIERED_CLAIM_DIRTY, TIERED_CLAIM_LOST})
            for (std::uint8_t version = 0; version < TIERED_VERSIONS; version++)
                samples.push_back({{page, state, version},
                                   static_cast<std::uint32_t>(random()),
                                   static_cast<std::uint8_t>(random())});
    for (const auto state : {TIERED_CLAIM_FREE, TIERED_CLAIM_RETIRED})
        samples.push_back({{0, state, 0}, 77, 3});
    return samples;
}

__le64 encode(const placed_claim& placed) {
    return tiered_claim_encode(placed.claim, placed.frame, placed.seed);
}

bool decodes(__le64 word, const placed_claim& placed) {
    tiered_claim claim{};
    return tiered_claim_decode(word, placed.frame, placed.seed, pages, &claim) == 0;
}

/// The same code bit by bit, straight from the polynomial.
std::uint8_t crc8_by_bits(std::uint8_t crc, std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) {
        crc ^= static_cast<std::uint8_t>(value >> 8 * i);
        for (int bit = 0; bit < 8; bit++)
            crc = static_cast<std::uint8_t>(crc << 1 ^ (crc & 0x80 ? 0x2f : 0));
    }
    return crc;
}

TEST(Claim, DecodesWhatItEncodes) {
    for (const placed_claim& placed : sample_claims()) {
        tiered_claim claim{};
        ASSERT_EQ(0, tiered_claim_decode(encode(placed), placed.frame, placed.seed, pages, &claim));
        EXPECT_EQ(placed.claim.page, claim.page);
        EXPECT_EQ(placed.claim.state, claim.state);
        EXPECT_EQ(placed.claim.version, claim.version);
    }
}

TEST(Claim, CarriesTheDocumentedCrc) {
    for (const placed_claim& placed : sample_claims()) {
        const std::uint64_t raw = le64_to_cpu(encode(placed));
        const std::uint8_t crc = crc8_by_bits(crc8_by_bits(placed.seed, placed.frame, 4), raw, 7);
        EXPECT_EQ(crc, raw >> 56);
    }
}

TEST(Claim, DetectsEveryFlipOfUpToThreeBits) {
    for (const placed_claim& placed : sample_claims()) {
        const __le64 word = encode(placed);
        for (int a = 0; a < 64; a++)
            for (int b = a; b < 64; b++)
                for (int c = b; c < 64; c++) {
                    const __le64 flips = 1ull << a ^ 1ull << b ^ 1ull << c;
                    ASSERT_FALSE(decodes(word ^ flips, placed)) << a << ' ' << b << ' ' << c;
                }
    }
}

TEST(Claim, DoesNotDecodeForAFrameNumberOneBitOff) {
    for (placed_claim placed : sample_claims()) {
        const __le64 word = encode(placed);
        for (int bit = 0; bit < 32; bit++) {
            placed_claim other = placed;
            other.frame ^= 1u << bit;
            EXPECT_FALSE(decodes(word, other));
        }
    }
}

TEST(Claim, DoesNotDecodeForAnotherSeed) {
    const placed_claim placed{{5, TIERED_CLAIM_DIRTY, 3}, 9, 100};
    for (int seed = 0; seed < 256; seed++) {
        placed_claim other = placed;
        other.seed = static_cast<std::uint8_t>(seed);
        EXPECT_EQ(seed == placed.seed, decodes(encode(placed), other));
    }
}

TEST(Claim, RefusesPagesBeyondTheVolume) {
    const __le64 word = tiered_claim_encode({100, TIERED_CLAIM_CLEAN, 1}, 4, 0);
    tiered_claim claim{};
    EXPECT_NE(0, tiered_claim_decode(word, 4, 0, 100, &claim));
    EXPECT_EQ(0, tiered_claim_decode(word, 4, 0, 101, &claim));
}

TEST(Claim, RefusesStatesAndFieldsThatDoNotExist) {
    tiered_claim claim{};
    for (int state = TIERED_CLAIM_STATES; state < 8; state++) {
        const __le64 word =
            tiered_claim_encode({0, static_cast<tiered_claim_state>(state), 0}, 4, 0);
        EXPECT_NE(0, tiered_claim_decode(word, 4, 0, pages, &claim)) << state;
    }
    for (const auto state : {TIERED_CLAIM_FREE, TIERED_CLAIM_RETIRED}) {
        EXPECT_NE(
            0, tiered_claim_decode(tiered_claim_encode({1, state, 0}, 4, 0), 4, 0, pages, &claim));
        EXPECT_NE(
            0, tiered_claim_decode(tiered_claim_encode({0, state, 1}, 4, 0), 4, 0, pages, &claim));
    }
}

/// Words with a right CRC and any payload: what decodes must be something that can be encoded.
TEST(Claim, DecodesNothingThatCannotBeEncoded) {
    std::mt19937_64 random(2);
    for (int i = 0; i < 1'000'000; i++) {
        const std::uint64_t payload = random() >> 8 & random();
        const std::uint32_t frame = static_cast<std::uint32_t>(random());
        const std::uint8_t crc = crc8_by_bits(crc8_by_bits(7, frame, 4), payload, 7);
        const __le64 word = cpu_to_le64(payload | std::uint64_t{crc} << 56);
        tiered_claim claim{};
        if (tiered_claim_decode(word, frame, 7, pages, &claim) == 0) {
            ASSERT_EQ(word, tiered_claim_encode(claim, frame, 7));
        }
    }
}

TEST(Claim, OrdersNeighboursAndCallsTheRestConflict) {
    for (unsigned a = 0; a < TIERED_VERSIONS; a++)
        for (unsigned b = 0; b < TIERED_VERSIONS; b++) {
            const tiered_claim first{1, TIERED_CLAIM_DIRTY, static_cast<std::uint8_t>(a)};
            const tiered_claim second{1, TIERED_CLAIM_DIRTY, static_cast<std::uint8_t>(b)};
            tiered_claim_order wanted = TIERED_CLAIM_CONFLICT;
            if (a == tiered_version_next(static_cast<std::uint8_t>(b)))
                wanted = TIERED_CLAIM_NEWER;
            else if (b == tiered_version_next(static_cast<std::uint8_t>(a)))
                wanted = TIERED_CLAIM_OLDER;
            EXPECT_EQ(wanted, tiered_claim_compare(&first, &second)) << a << ' ' << b;
        }
}

} // namespace
