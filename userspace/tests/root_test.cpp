// SPDX-License-Identifier: GPL-2.0-or-later
// Roots: every crash of a change of the header, and what a program sees of it.
#include "root.hpp"

#include "../../driver/core/shim.h"
#include "root_header.hpp"
#include "scratch_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <gtest/gtest.h>
#include <set>
#include <vector>

namespace {

using namespace tiered;
using image = std::array<std::uint64_t, root_header_words>;
using kind = root_finding::kind;

/// Words that lose power: whatever was stored since the last persist() may be on the medium or not.
class losing_words : public root_words {
public:
    explicit losing_words(const image& before) : medium_(before), memory_(before) { note(); }

    std::uint64_t load(unsigned word) const override { return memory_[word]; }
    void store(unsigned word, std::uint64_t value) override {
        if (memory_[word] == value)
            return; // makes no difference, whether it is there or not
        memory_[word] = value;
        under_way_.emplace_back(word, value);
        note();
    }
    void persist() override {
        medium_ = memory_;
        under_way_.clear();
        note();
    }

    const std::set<image>& crashes() const { return crashes_; }
    const image& medium() const { return medium_; }
    bool is_durable() const { return medium_ == memory_; }

private:
    /// What a crash now can leave: every subset of the stores that are under way.
    void note() {
        for (std::uint64_t subset = 0; subset >> under_way_.size() == 0; subset++) {
            image left = medium_;
            for (std::size_t i = 0; i < under_way_.size(); i++)
                if (subset >> i & 1)
                    left[under_way_[i].first] = under_way_[i].second;
            crashes_.insert(left);
        }
    }

    image medium_, memory_;
    std::vector<std::pair<unsigned, std::uint64_t>> under_way_;
    std::set<image> crashes_;
};

root_finding find_in(const image& header) {
    return find_root(losing_words(header));
}

/// Other than that of every other number in each of its words.
root_state some_state(std::uint64_t number) {
    return {.generation = 0,
            .layout_id = 0x1111'2222'3333'4444 + number,
            .layout_bytes = 64 + number,
            .address = 0x2000'0000'0000 + (number << 32),
            .object_offset = 4096 + 64 * number,
            .end_offset = 8192 + 64 * number};
}

image with_root() {
    losing_words words({});
    make_root(words, some_state(0));
    return words.medium();
}

/// One update of whatever valid root is in `header`.
losing_words updated(const image& header, std::uint64_t number) {
    losing_words words(header);
    update_root(words, find_root(words), some_state(number));
    return words;
}

/// Every crash of an update leaves the root of before or the new one, and the end the new one.
void expect_old_or_new(const image& before, std::uint64_t number) {
    const losing_words words = updated(before, number);
    const root_state old = find_in(before).state;
    root_state next = some_state(number);
    next.generation = old.generation + 1;
    for (const image& left : words.crashes()) {
        const root_finding found = find_in(left);
        ASSERT_EQ(kind::valid, found.what);
        ASSERT_TRUE(found.state == old || found.state == next);
    }
    EXPECT_TRUE(words.is_durable());
    EXPECT_EQ(next, find_in(words.medium()).state);
}

TEST(RootHeader, UpdateLeavesTheOldRootOrTheNewOne) {
    image header = with_root();
    // From the first root on: the other slot is zero, then valid and older, in turns.
    for (std::uint64_t number = 1; number <= 4; number++) {
        expect_old_or_new(header, number);
        header = updated(header, number).medium();
    }
}

TEST(RootHeader, UpdateAfterACrashOfAnUpdate) {
    const image twice = updated(updated(with_root(), 1).medium(), 2).medium();
    const losing_words third = updated(twice, 3);
    EXPECT_GE(third.crashes().size(), 64u);
    for (const image& left : third.crashes())
        expect_old_or_new(left, 4);
}

TEST(RootHeader, MakeLeavesNoRootOrTheFirst) {
    losing_words words({});
    make_root(words, some_state(5));
    root_state first = some_state(5);
    first.generation = 1;
    for (const image& left : words.crashes()) {
        const root_finding found = find_in(left);
        ASSERT_TRUE(found.what == kind::none || found.what == kind::valid);
        if (found.what == kind::valid) {
            ASSERT_EQ(first, found.state);
            continue;
        }
        // And it can be made again, over what was left.
        losing_words again(left);
        make_root(again, some_state(6));
        for (const image& later : again.crashes())
            ASSERT_TRUE(find_in(later).what == kind::none || find_in(later).what == kind::valid);
        ASSERT_EQ(some_state(6).end_offset, find_in(again.medium()).state.end_offset);
    }
    EXPECT_EQ(first, find_in(words.medium()).state);
}

TEST(RootHeader, EraseLeavesTheNewestRootOrNoneAtAll) {
    const image before = updated(updated(with_root(), 1).medium(), 2).medium();
    losing_words words(before);
    erase_root(words);
    for (const image& left : words.crashes()) {
        const root_finding found = find_in(left);
        if (found.what == kind::valid) {
            ASSERT_EQ(find_in(before).state, found.state);
        }
        losing_words again(left);
        erase_root(again);
        ASSERT_EQ(image{}, again.medium());
    }
    EXPECT_EQ(image{}, words.medium());
}

TEST(RootHeader, NoDamageIsTakenForARoot) {
    const image good = updated(with_root(), 1).medium();
    for (unsigned bit = 0; bit < root_header_words * 64; bit++) {
        image bad = good;
        bad[bit / 64] ^= 1ULL << bit % 64;
        ASSERT_EQ(kind::damaged, find_in(bad).what) << "bit " << bit;
    }
}

TEST(RootHeader, LostCheckWordsAreDamage) {
    image bad = updated(with_root(), 1).medium();
    bad[0] = bad[root_slot_words] = 0;
    EXPECT_EQ(kind::damaged, find_in(bad).what);
}

TEST(RootHeader, SlotsThatDoNotFollowEachOtherAreDamage) {
    const image first = with_root();
    const image later = updated(updated(updated(first, 1).medium(), 2).medium(), 3).medium();
    image mixed = later;
    std::copy_n(first.begin(), root_slot_words, mixed.begin());
    EXPECT_EQ(kind::damaged, find_in(mixed).what);
    std::copy_n(mixed.begin(), root_slot_words, mixed.begin() + root_slot_words);
    EXPECT_EQ(kind::damaged, find_in(mixed).what);
}

TEST(RootHeader, AnotherVersionIsNotGuessedAt) {
    image newer = with_root();
    newer[1] = 2; // the check word has to fit, as a newer library would have made it
    const std::uint32_t crc = tiered_crc32c(~0U, &newer[1], sizeof(root_slot_disk) - 8);
    newer[0] = root_magic << 32 | crc;
    EXPECT_EQ(kind::newer, find_in(newer).what);
    EXPECT_EQ(2u, find_in(newer).version);
}

TEST(RootHeader, OthersDataIsNoRoot) {
    image text;
    text.fill(0x6f6c6c6568206968);
    EXPECT_EQ(kind::foreign, find_in(text).what);
}

// ---- in files ----------------------------------------------------------------------------------

constexpr root_layout layout{.id = 0xabc, .bytes = 64};
constexpr root_options in_file{.stores = as_far_as_files_go};
constexpr std::uint64_t file_bytes = 1 << 20;

void expect_refusal(const std::string& said, const std::string& wanted) {
    EXPECT_NE(std::string::npos, said.find(wanted)) << "said: " << said;
}

/// Changes one word of the file's header.
void spoil(const scratch_file& file, unsigned word, std::uint64_t value) {
    const mapping memory(file.path(), {.stores = as_far_as_files_go});
    std::memcpy(memory.bytes().data() + word * 8, &value, 8);
}

TEST(Root, IsFoundAgainAtTheSameAddress) {
    const scratch_file file(file_bytes);
    std::byte* heap = nullptr;
    {
        root made = root::make(file.path(), layout, in_file);
        EXPECT_EQ(nullptr, made.object<int>());
        EXPECT_EQ(root::header_bytes, made.end_offset());
        heap = made.heap().data();
        EXPECT_EQ(file_bytes - root::header_bytes, made.heap().size());
        *made.at<int>(8192) = 42;
        made.set(8192, 8192 + 64);
        made.set(8192);
    }
    const root opened = root::open(file.path(), layout, in_file);
    EXPECT_EQ(heap, opened.heap().data());
    EXPECT_EQ(8192u, opened.object_offset());
    EXPECT_EQ(8192u + 64, opened.end_offset());
    EXPECT_EQ(42, *opened.object<int>());
    EXPECT_EQ(8192u, opened.offset_of(opened.object<int>()));
}

TEST(Root, MayBeInPartOfAVolume) {
    const scratch_file file(file_bytes);
    root_options part = in_file;
    part.offset_bytes = 64 << 10;
    part.length_bytes = 16 << 10;
    part.address = 0x4200'0000'0000;
    const root made = root::make(file.path(), layout, part);
    EXPECT_EQ(part.address + root::header_bytes,
              reinterpret_cast<std::uintptr_t>(made.heap().data()));
    // Beside it there is room for another one, in this process too.
    const root other = root::make(file.path(), layout, in_file);
    expect_refusal(refusal_of([&] { root::open(file.path(), layout, part); }),
                   "the root at byte 65536 of");
}

TEST(Root, IsMadeOnceAndOpenedAfterThat) {
    const scratch_file file(file_bytes);
    expect_refusal(refusal_of([&] { root::open(file.path(), layout, in_file); }),
                   "has no root at byte 0: make one");
    root::open_or_make(file.path(), layout, in_file).set(4096, 4160);
    EXPECT_EQ(4096u, root::open_or_make(file.path(), layout, in_file).object_offset());
    expect_refusal(refusal_of([&] { root::make(file.path(), layout, in_file); }),
                   "open it, or erase it first");
    root::erase(file.path(), in_file);
    EXPECT_EQ(0u, root::open_or_make(file.path(), layout, in_file).object_offset());
}

TEST(Root, RefusesAnotherLayout) {
    const scratch_file file(file_bytes);
    root::make(file.path(), layout, in_file);
    expect_refusal(refusal_of([&] {
                       root::open_or_make(file.path(), {0xabd, 64}, in_file);
                   }),
                   "has layout 0xabc with 64 bytes, and this program has 0xabd with 64");
    expect_refusal(refusal_of([&] { root::open(file.path(), {0xabc, 65}, in_file); }), "with 65");
}

TEST(Root, RefusesDamageAndForeignData) {
    const scratch_file file(file_bytes);
    root::make(file.path(), layout, in_file);
    spoil(file, 3, 1);
    expect_refusal(refusal_of([&] { root::open_or_make(file.path(), layout, in_file); }),
                   "is damaged: restore the range from a backup");
    spoil(file, 0, 0x1234);
    expect_refusal(refusal_of([&] { root::open_or_make(file.path(), layout, in_file); }),
                   "is no root: name another range");
    expect_refusal(refusal_of([&] { root::make(file.path(), layout, in_file); }), "is no root");
}

TEST(Root, RefusesAnAddressThatIsTaken) {
    const scratch_file file(file_bytes), other(file_bytes);
    root_options here = in_file;
    here.address = 0x4200'0000'0000;
    root::make(file.path(), layout, here);
    const root first = root::make(other.path(), layout, here);
    expect_refusal(refusal_of([&] { root::open(file.path(), layout, in_file); }),
                   "cannot be mapped at 0x420000000000, because something else of this process");
}

TEST(Root, RefusesARangeThatIsTooShort) {
    const scratch_file file(file_bytes);
    root::make(file.path(), layout, in_file).set(0, file_bytes);
    root_options part = in_file;
    part.length_bytes = file_bytes / 2;
    expect_refusal(refusal_of([&] { root::open(file.path(), layout, part); }),
                   "and the range has only 524288");
}

TEST(Root, IsNotGivenToTwo) {
    const scratch_file file(file_bytes);
    const root made = root::make(file.path(), layout, in_file);
    expect_refusal(refusal_of([&] { root::open(file.path(), layout, in_file); }), "is in use");
    expect_refusal(refusal_of([&] { root::erase(file.path(), in_file); }), "is in use");
}

TEST(Root, RefusesPlacesThatAreNotTheHeaps) {
    const scratch_file file(file_bytes);
    root made = root::make(file.path(), layout, in_file);
    const auto refused = [&](std::uint64_t object, std::uint64_t end) {
        return refusal_of([&] { made.set(object, end); });
    };
    expect_refusal(refused(4095, 8192), "no root object");
    expect_refusal(refused(8, 8192), "no root object");
    expect_refusal(refused(4100, 8192), "multiple of 8");
    expect_refusal(refused(8192 - 56, 8192), "no root object");
    expect_refusal(refused(0, file_bytes + 1), "cannot end at byte");
    expect_refusal(refused(0, 0), "cannot end at byte");
    EXPECT_EQ("", refused(8192 - 64, 8192));
    EXPECT_EQ("", refused(0, file_bytes));
    expect_refusal(refusal_of([&] { made.at<int>(file_bytes - 3); }), "the data is damaged");
    expect_refusal(refusal_of([&] { made.at<int>(8); }), "the data is damaged");
    expect_refusal(refusal_of([&] { made.at<int>(~0ULL); }), "the data is damaged");
    expect_refusal(refusal_of([&] { made.offset_of(&made); }), "only what is in there");
    EXPECT_EQ(0u, made.offset_of(nullptr));
}

} // namespace
