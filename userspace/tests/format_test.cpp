// SPDX-License-Identifier: GPL-2.0-or-later
// Formatting: the volume is whole or not there, whenever the power is cut.
#include "check.hpp"
#include "test_volume.hpp"

#include <gtest/gtest.h>

namespace {

using namespace tiered;
using namespace tiered::test;

constexpr std::uint64_t fast_bytes = 1 << 20;

check_report check(storage& fast) {
    memory_storage capacity(small_spec().volume_sectors * TIERED_SECTOR_BYTES);
    return check_volume(fast, &capacity, {});
}

TEST(Format, MakesACleanVolumeOverAnything) {
    for (const std::byte junk : {std::byte{0}, std::byte{0xff}, std::byte{0x5a}}) {
        memory_storage fast(fast_bytes, junk);
        const superblock sb = make_superblock(small_spec(), fast_bytes);
        write_format(fast, sb);
        const check_report report = check(fast);
        EXPECT_EQ(severity::note, report.worst);
        EXPECT_TRUE(report.findings.empty());
        EXPECT_EQ(sb.frames(), report.counts.free);
    }
}

TEST(Format, WorksForTiersOfOddSizes) {
    for (const std::uint64_t size : {std::uint64_t{1} << 20, (std::uint64_t{1} << 20) + 512,
                                     std::uint64_t{5} << 20, (std::uint64_t{64} << 20) - 512 * 3}) {
        memory_storage fast(size, std::byte{0xff});
        write_format(fast, make_superblock(small_spec(), size));
        EXPECT_EQ(severity::note, check(fast).worst) << size;
    }
}

TEST(Format, RecordsWhatItWasTold) {
    format_spec spec = small_spec(16387);
    spec.tier.adopted = true;
    spec.tier.fs_type = "ext4";
    spec.tier.fs_uuid = "0a0b0c0d-0000-1111-2222-333344445555";
    memory_storage fast(fast_bytes);
    write_format(fast, make_superblock(spec, fast_bytes));
    const superblock sb = *find_superblock(fast).chosen;
    EXPECT_EQ("demo", sb.name());
    EXPECT_EQ(16387u, sb.volume_sectors());
    EXPECT_EQ(2048u, sb.pages());
    EXPECT_EQ(2u, sb.generation());
    EXPECT_FALSE(sb.needs_check());
    const tier_identity tier = sb.tier();
    EXPECT_TRUE(tier.adopted);
    EXPECT_EQ("SERIAL1", tier.serial);
    EXPECT_EQ("ext4", tier.fs_type);
    EXPECT_EQ(spec.tier.fs_uuid, tier.fs_uuid);
    EXPECT_EQ(16387u, tier.size_sectors);
}

TEST(Format, DrawsNewIdentitiesEachTime) {
    const format_spec first = new_format_spec("a", small_spec().tier);
    const format_spec second = new_format_spec("a", small_spec().tier);
    EXPECT_NE(first.volume_id, second.volume_id);
    EXPECT_NE(first.fast_id, first.volume_id);
    EXPECT_NE(first.tier.id, second.tier.id);
}

TEST(Format, RefusesTiersThatDoNotFit) {
    EXPECT_THROW(make_superblock(small_spec(), (1 << 20) - 512), error);
    EXPECT_THROW(make_superblock(small_spec(), (1 << 20) + 100), error);
    EXPECT_THROW(make_superblock(small_spec(0), 1 << 20), error);
    format_spec unnamed = small_spec();
    unnamed.name = "";
    EXPECT_THROW(make_superblock(unnamed, 1 << 20), error);
}

/// After a cut there is either no volume, or the new one and it is whole.
void expect_none_or_whole(storage& survivor, const superblock& made) {
    const superblock_search found = find_superblock(survivor);
    if (!found.chosen)
        return;
    ASSERT_EQ(made.uuid(), found.chosen->uuid());
    const check_report report = check(survivor);
    EXPECT_EQ(made.frames(), report.counts.free);
    EXPECT_EQ(0u, report.counts.damaged);
}

TEST(Format, LeavesNothingHalfMadeAfterAPowerCut) {
    // What is there before: nothing, junk, and another volume with a dirty page.
    test_volume old_volume(fast_bytes);
    old_volume.claim(3, 5, TIERED_CLAIM_DIRTY, 1);
    format_spec spec = small_spec();
    spec.volume_id.fill(0x77);
    spec.word_seed = 0xa5;
    const superblock made = make_superblock(spec, fast_bytes);

    memory_storage uncut(fast_bytes);
    write_format(uncut, made);
    std::mt19937 random(5);
    std::size_t whole = 0;
    for (std::size_t cut = 0; cut <= uncut.writes; cut++)
        for (int image = 0; image < 20; image++) {
            memory_storage fast(fast_bytes);
            fast.bytes = old_volume.fast.bytes;
            fast.sync();
            fast.cut_after_writes = cut;
            try {
                write_format(fast, made);
            } catch (const power_cut&) {
            }
            memory_storage survivor = fast.after_power_cut(random);
            const superblock_search found = find_superblock(survivor);
            // Before the first write is durable the old volume may still be there, unharmed.
            if (cut <= 1 && found.chosen && found.chosen->uuid() == old_volume.sb.uuid()) {
                EXPECT_EQ(1u, check(survivor).counts.dirty);
                continue;
            }
            expect_none_or_whole(survivor, made);
            ASSERT_FALSE(HasFailure()) << "cut after write " << cut;
            whole += found.chosen.has_value();
        }
    EXPECT_GT(whole, 0u);
}

} // namespace
