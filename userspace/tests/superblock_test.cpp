// SPDX-License-Identifier: GPL-2.0-or-later
// Superblocks: no corruption is believed, and whatever is believed is in range.
#include "superblock.hpp"
#include "test_volume.hpp"

#include <gtest/gtest.h>
#include <random>

namespace {

using namespace tiered;
using namespace tiered::test;

constexpr std::uint64_t fast_bytes = 1 << 20;

tiered_superblock_disk good() {
    return make_superblock(small_spec(), fast_bytes).raw;
}

/// What later code relies on once a superblock is believed.
void expect_in_range(const tiered_superblock_disk& sb, std::uint64_t device_bytes) {
    const superblock view{sb};
    const std::uint64_t table = std::uint64_t{view.frames()} * 8;
    EXPECT_GT(view.frames(), 0u);
    EXPECT_GE(view.words_offset(), std::uint64_t{TIERED_SUPERBLOCKS * TIERED_SUPERBLOCK_BYTES});
    EXPECT_LE(view.words_offset() + table, view.shadow_offset());
    EXPECT_LE(view.shadow_offset() + table, view.frame_offset(0));
    EXPECT_LE(view.frame_offset(view.frames()), device_bytes);
    EXPECT_LE(view.pages(), TIERED_PAGES_MAX);
    EXPECT_GT(view.volume_sectors(), 0u);
    EXPECT_GE(view.tier().size_sectors, view.volume_sectors());
    EXPECT_FALSE(view.name().empty());
}

TEST(Crc32c, HasTheKnownCheckValue) {
    // The usual form inverts at the end; ours does not.
    EXPECT_EQ(0xe3069283u, ~tiered_crc32c(~0u, "123456789", 9));
}

TEST(Superblock, IsBelievedAsMade) {
    const tiered_superblock_disk sb = good();
    EXPECT_EQ(nullptr, tiered_superblock_fault(&sb, fast_bytes));
    expect_in_range(sb, fast_bytes);
}

TEST(Superblock, IsNotBelievedWithAnyByteChanged) {
    tiered_superblock_disk sb = good();
    auto* bytes = reinterpret_cast<std::uint8_t*>(&sb);
    for (std::size_t at = 0; at < sizeof(sb); at++)
        for (const int flip : {1 << at % 8, 0xff}) {
            bytes[at] ^= static_cast<std::uint8_t>(flip);
            ASSERT_NE(nullptr, tiered_superblock_fault(&sb, fast_bytes)) << "byte " << at;
            bytes[at] ^= static_cast<std::uint8_t>(flip);
        }
}

TEST(Superblock, WithARightChecksumIsStillInRange) {
    std::mt19937_64 random(3);
    constexpr std::size_t fields_end = offsetof(tiered_superblock_disk, reserved1);
    std::size_t believed = 0;
    for (int i = 0; i < 10'000; i++) {
        tiered_superblock_disk sb = good();
        auto* bytes = reinterpret_cast<std::uint8_t*>(&sb);
        for (std::uint64_t changes = 1 + random() % 3; changes > 0; changes--)
            bytes[TIERED_MAGIC_BYTES + random() % (fields_end - TIERED_MAGIC_BYTES)] =
                static_cast<std::uint8_t>(random());
        tiered_superblock_seal(&sb);
        if (tiered_superblock_fault(&sb, fast_bytes))
            continue;
        believed++;
        expect_in_range(sb, fast_bytes);
        ASSERT_FALSE(HasFailure());
    }
    EXPECT_GT(believed, 0u);
}

TEST(Superblock, OfRandomBytesIsNotBelieved) {
    std::mt19937_64 random(4);
    for (int i = 0; i < 2000; i++) {
        tiered_superblock_disk sb;
        auto* bytes = reinterpret_cast<std::uint8_t*>(&sb);
        std::generate_n(bytes, sizeof(sb), [&] { return static_cast<std::uint8_t>(random()); });
        EXPECT_NE(nullptr, tiered_superblock_fault(&sb, fast_bytes));
        std::copy_n(TIERED_MAGIC, TIERED_MAGIC_BYTES, sb.magic);
        EXPECT_NE(nullptr, tiered_superblock_fault(&sb, fast_bytes));
        tiered_superblock_seal(&sb);
        EXPECT_NE(nullptr, tiered_superblock_fault(&sb, fast_bytes));
    }
}

TEST(Superblock, IsNotBelievedOnATruncatedDevice) {
    const tiered_superblock_disk sb = good();
    for (const std::uint64_t size : {fast_bytes - 512, fast_bytes / 2, std::uint64_t{8192}})
        EXPECT_NE(nullptr, tiered_superblock_fault(&sb, size));
    EXPECT_EQ(nullptr, tiered_superblock_fault(&sb, fast_bytes * 2));
}

template <typename Change>
const char* fault_after(Change change) {
    tiered_superblock_disk sb = good();
    change(sb);
    tiered_superblock_seal(&sb);
    return tiered_superblock_fault(&sb, fast_bytes);
}

TEST(Superblock, RefusesFeaturesAndVersionsOfTheFuture) {
    EXPECT_NE(nullptr, fault_after([](auto& sb) { sb.incompat = cpu_to_le32(1); }));
    EXPECT_NE(nullptr,
              fault_after([](auto& sb) { sb.version = cpu_to_le32(TIERED_FORMAT_VERSION + 1); }));
    EXPECT_NE(nullptr, fault_after([](auto& sb) { sb.tiers_count = 2; }));
    EXPECT_EQ(nullptr, fault_after([](auto& sb) { sb.ro_compat = cpu_to_le32(1); }));
    EXPECT_EQ(nullptr, fault_after([](auto& sb) { sb.compat = cpu_to_le32(1); }));
}

TEST(Superblock, ChoosesTheNewerValidOne) {
    const char* fault = nullptr;
    tiered_superblock_disk a = good();
    tiered_superblock_disk b = good();
    for (const bool b_newer : {false, true}) {
        a.generation = cpu_to_le64(b_newer ? 6 : 7);
        b.generation = cpu_to_le64(b_newer ? 7 : 6);
        tiered_superblock_seal(&a);
        tiered_superblock_seal(&b);
        EXPECT_EQ(b_newer ? &b : &a, tiered_superblock_choose(&a, &b, fast_bytes, &fault));
    }
    b.generation ^= 1;
    EXPECT_EQ(&a, tiered_superblock_choose(&a, &b, fast_bytes, &fault));
    a.generation ^= 1;
    EXPECT_EQ(nullptr, tiered_superblock_choose(&a, &b, fast_bytes, &fault));
    EXPECT_STREQ("has a wrong checksum", fault);
}

TEST(Superblock, SearchTellsWhatItFound) {
    memory_storage empty(fast_bytes);
    EXPECT_FALSE(find_superblock(empty).has_magic);

    test_volume volume;
    superblock_search found = find_superblock(volume.fast);
    ASSERT_TRUE(found.chosen);
    EXPECT_EQ("demo", found.chosen->name());
    EXPECT_EQ("11111111-1111-1111-1111-111111111111", found.chosen->uuid());
    EXPECT_EQ("", found.other_slot_fault);

    volume.fast.bad_sectors = {0};
    found = find_superblock(volume.fast);
    ASSERT_TRUE(found.chosen);
    EXPECT_EQ(1u, found.chosen_slot);
    EXPECT_NE("", found.other_slot_fault);

    memory_storage tiny(512);
    EXPECT_FALSE(find_superblock(tiny).chosen);
}

TEST(Superblock, OfANewerFormatIsToldFromADamagedOne) {
    test_volume volume;
    for (const unsigned slot : {0u, 1u}) {
        auto* sb =
            reinterpret_cast<tiered_superblock_disk*>(volume.fast.bytes.data() + slot * 4096);
        sb->incompat = cpu_to_le32(4);
        tiered_superblock_seal(sb);
    }
    EXPECT_TRUE(find_superblock(volume.fast).newer_format);
    for (const unsigned slot : {0u, 1u})
        volume.fast.bytes[slot * 4096 + 100] ^= std::byte{1};
    EXPECT_FALSE(find_superblock(volume.fast).newer_format);
}

TEST(Superblock, ClearingTheFlagUsesTheOtherSlot) {
    test_volume volume;
    auto* a = reinterpret_cast<tiered_superblock_disk*>(volume.fast.bytes.data());
    a->flags = cpu_to_le32(TIERED_SB_NEEDS_CHECK);
    tiered_superblock_seal(a);
    const tiered_superblock_disk before = *a;
    ASSERT_TRUE(find_superblock(volume.fast).chosen->needs_check());

    clear_needs_check(volume.fast, find_superblock(volume.fast));
    const superblock_search found = find_superblock(volume.fast);
    EXPECT_FALSE(found.chosen->needs_check());
    EXPECT_EQ(1u, found.chosen_slot);
    EXPECT_EQ(0, std::memcmp(&before, volume.fast.bytes.data(), sizeof(before)));
}

} // namespace
