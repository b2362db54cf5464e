// SPDX-License-Identifier: GPL-2.0-or-later
// Damage anywhere in the metadata of a volume: refused, answered with errors, or harmless; never
// old contents in silence. The driver's own load decides, over a volume whose truth is known.
#include "../../driver/core/load.h"
#include "test_volume.hpp"

#include <gtest/gtest.h>
#include <map>
#include <random>

namespace tiered::test {

namespace {

constexpr int byte_trials = 10'000;
constexpr std::uint64_t pages = 2048;

struct held {
    std::uint32_t frame;
    tiered_claim claim;
};
using page_map = std::map<std::uint64_t, held>;

/// What load makes of a volume.
struct outcome {
    page_map index;
    std::vector<held> damaged;
    bool refused = false;

    static std::uint32_t find(void* context, std::uint64_t page, tiered_claim* claim) {
        const auto& index = static_cast<outcome*>(context)->index;
        const auto at = index.find(page);
        if (at == index.end())
            return TIERED_NO_FRAME;
        *claim = at->second.claim;
        return at->second.frame;
    }
    static void hold(void* context, std::uint32_t frame, const tiered_claim* claim, std::uint32_t) {
        static_cast<outcome*>(context)->index.insert_or_assign(claim->page, held{frame, *claim});
    }
    static void found(void* context, std::uint32_t frame, tiered_found what,
                      const tiered_claim* claim, std::uint32_t) {
        auto& self = *static_cast<outcome*>(context);
        if (what == TIERED_FOUND_DAMAGED)
            self.damaged.push_back({frame, *claim});
        self.refused |= what == TIERED_FOUND_UNKNOWN || what == TIERED_FOUND_CONFLICT;
    }
};

std::vector<__le64> table(test_volume& v, std::uint64_t offset) {
    std::vector<__le64> words(v.sb.frames());
    v.fast.read(offset, std::as_writable_bytes(std::span(words)));
    return words;
}

outcome load(test_volume& v) {
    constexpr tiered_load_ops ops{outcome::find, outcome::hold, outcome::found};
    outcome result;
    const auto search = find_superblock(v.fast);
    if (!search.chosen) {
        result.refused = true;
        return result;
    }
    const superblock& sb = *search.chosen;
    EXPECT_EQ(0, std::memcmp(&sb.raw, &v.sb.raw, offsetof(tiered_superblock_disk, crc32c)));
    EXPECT_EQ(v.sb.words_offset(), sb.words_offset());
    EXPECT_EQ(v.sb.shadow_offset(), sb.shadow_offset());
    EXPECT_EQ(v.sb.frames(), sb.frames());
    EXPECT_EQ(v.sb.volume_sectors(), sb.volume_sectors());
    const auto primary = table(v, v.sb.words_offset());
    const auto shadow = table(v, v.sb.shadow_offset());
    tiered_words words{};
    words.pages = v.sb.pages();
    words.frames = v.sb.frames();
    words.seed = v.sb.raw.word_seed;
    const tiered_word_copies copies{primary.data(), shadow.data(), 0, v.sb.frames()};
    tiered_load_words(&words, &copies, &ops, &result);
    for (const held& one : std::vector<held>(result.damaged))
        tiered_load_damaged(one.frame, &one.claim, &ops, &result);
    return result;
}

/// A volume in full use, as a crash may leave it; `truth` is what its pages are.
page_map fill(test_volume& v, std::mt19937& random) {
    page_map truth;
    std::uint32_t frame = 0;
    for (std::uint64_t page = 0; page < pages && frame + 2 < v.sb.frames();
         page += 1 + random() % 8) {
        const auto state = static_cast<tiered_claim_state>(TIERED_CLAIM_CLEAN + random() % 3);
        const auto version = static_cast<std::uint8_t>(random() % TIERED_VERSIONS);
        v.claim(frame, page, state, version);
        truth.emplace(page, held{frame++, {page, state, version}});
        if (random() % 4 == 0) // an older one that was not cleared in time
            v.claim(frame++, page, TIERED_CLAIM_DIRTY,
                    static_cast<std::uint8_t>((version + TIERED_VERSIONS - 1) % TIERED_VERSIONS));
        if (random() % 16 == 0)
            v.claim(frame++, 0, TIERED_CLAIM_RETIRED, 0);
    }
    return truth;
}

bool is_lost(const outcome& now, std::uint64_t page) {
    const auto at = now.index.find(page);
    return at != now.index.end() && at->second.claim.state == TIERED_CLAIM_LOST;
}

/// Nothing is read that is not right: from the right frame, or from a home that is right, or not.
void expect_right_or_refused(const outcome& now, const page_map& truth, const std::string& where) {
    if (now.refused)
        return;
    for (const auto& [page, was] : truth) {
        if (is_lost(now, page))
            continue;
        const auto at = now.index.find(page);
        if (at == now.index.end()) {
            EXPECT_EQ(TIERED_CLAIM_CLEAN, was.claim.state)
                << where << ": page " << page << " is forgotten";
        } else {
            EXPECT_EQ(was.frame, at->second.frame) << where << ": page " << page << " is another's";
        }
    }
    for (const auto& [page, is] : now.index) {
        if (truth.contains(page))
            continue;
        EXPECT_EQ(TIERED_CLAIM_LOST, is.claim.state) << where << ": page " << page << " appears";
    }
}

/// All of the metadata: both superblocks, words and shadows.
std::uint64_t metadata_bytes(const test_volume& v) {
    return v.sb.frame_offset(0);
}

} // namespace

TEST(Corruption, OfAnyByteIsRefusedAnsweredOrHarmless) {
    std::mt19937 random(20);
    test_volume v(1 << 20, small_spec(pages * TIERED_SECTORS_PER_PAGE));
    const page_map truth = fill(v, random);
    int refused = 0;
    for (int trial = 0; trial < byte_trials; trial++) {
        const std::uint64_t at = random() % metadata_bytes(v);
        const std::byte before = v.fast.bytes[at];
        v.fast.bytes[at] ^= static_cast<std::byte>(1 + random() % 255);
        const outcome now = load(v);
        refused += now.refused;
        expect_right_or_refused(now, truth, fmt::format("byte {}", at));
        v.fast.bytes[at] = before;
        if (HasFailure())
            break;
    }
    EXPECT_EQ(0, refused) << "one byte never takes more than one page";
}

// With seeds of every kind: a wiped word says something else, if it says anything, under each.
TEST(Corruption, OfAnySectorIsRefusedAnsweredOrHarmless) {
    std::mt19937 random(21);
    for (unsigned seed = 0; seed < 256 && !HasFailure(); seed += 5) {
        format_spec spec = small_spec(pages * TIERED_SECTORS_PER_PAGE);
        spec.word_seed = static_cast<std::uint8_t>(seed);
        test_volume v(1 << 20, spec);
        const page_map truth = fill(v, random);
        const std::vector<std::byte> before = v.fast.bytes;
        for (std::uint64_t sector = 0; sector < metadata_bytes(v) / TIERED_SECTOR_BYTES; sector++)
            for (const std::byte wiped : {std::byte{0}, std::byte{0xff}}) {
                const auto at = v.fast.bytes.begin() +
                                static_cast<std::ptrdiff_t>(sector * TIERED_SECTOR_BYTES);
                std::fill_n(at, TIERED_SECTOR_BYTES, wiped);
                expect_right_or_refused(load(v), truth, fmt::format("sector {}", sector));
                v.fast.bytes = before;
            }
    }
}

} // namespace tiered::test
