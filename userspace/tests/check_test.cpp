// SPDX-License-Identifier: GPL-2.0-or-later
// Checking: what is normal after a crash, what is repairable, what is damage.
#include "check.hpp"
#include "test_volume.hpp"

#include <functional>
#include <gtest/gtest.h>

namespace {

using namespace tiered;
using namespace tiered::test;

check_report check(test_volume& volume, bool verify_clean = false) {
    return check_volume(volume.fast, &volume.capacity, {.verify_clean = verify_clean});
}

bool mentions(const check_report& report, const std::string& text) {
    return std::ranges::any_of(report.findings, [&](const finding& found) {
        return found.text.find(text) != std::string::npos;
    });
}

TEST(Check, CountsFramesByState) {
    test_volume volume;
    volume.claim(0, 5, TIERED_CLAIM_DIRTY, 1);
    volume.claim(1, 6, TIERED_CLAIM_CLEAN, 2);
    volume.claim(2, 7, TIERED_CLAIM_CLEAN, 15);
    volume.claim(3, 0, TIERED_CLAIM_RETIRED, 0);
    const check_report report = check(volume);
    EXPECT_EQ(severity::note, report.worst);
    EXPECT_EQ(1u, report.counts.dirty);
    EXPECT_EQ(2u, report.counts.clean);
    EXPECT_EQ(1u, report.counts.retired);
    EXPECT_EQ(volume.sb.frames() - 4, report.counts.free);
    EXPECT_EQ(1u, count_dirty_pages(volume.fast, volume.sb));
}

TEST(Check, KnowsWhetherAnyFrameHoldsAPage) {
    test_volume volume;
    EXPECT_FALSE(holds_pages(volume.fast, volume.sb));
    volume.claim(3, 0, TIERED_CLAIM_RETIRED, 0);
    EXPECT_FALSE(holds_pages(volume.fast, volume.sb));
    volume.claim(4, 7, TIERED_CLAIM_CLEAN, 1);
    EXPECT_TRUE(holds_pages(volume.fast, volume.sb));
    test_volume damaged;
    damaged.set_primary(4, damaged_word);
    damaged.set_shadow(4, damaged_word);
    EXPECT_TRUE(holds_pages(damaged.fast, damaged.sb)) << "nobody knows";
}

TEST(Check, FindsOlderClaimsNormal) {
    test_volume volume;
    volume.claim(10, 5, TIERED_CLAIM_DIRTY, 0);
    volume.claim(4, 5, TIERED_CLAIM_DIRTY, 15);
    volume.claim(20, 6, TIERED_CLAIM_CLEAN, 7);
    volume.claim(21, 6, TIERED_CLAIM_DIRTY, 8);
    const check_report report = check(volume);
    EXPECT_EQ(severity::note, report.worst);
    EXPECT_EQ(2u, report.counts.losers);
    EXPECT_EQ(2u, report.counts.dirty);
    EXPECT_TRUE(mentions(report, "normal after a crash"));
}

TEST(Check, FindsAShadowOneStepBehindNormal) {
    test_volume volume;
    volume.set_primary(10, volume.encode(10, 5, TIERED_CLAIM_DIRTY, 3));
    const check_report report = check(volume);
    EXPECT_EQ(severity::note, report.worst);
    EXPECT_TRUE(mentions(report, "shadow words behind their frame's word: 1 "));
}

TEST(Check, FindsADamagedShadowRepairable) {
    test_volume volume;
    volume.claim(10, 5, TIERED_CLAIM_DIRTY, 3);
    volume.set_shadow(10, damaged_word);
    EXPECT_EQ(severity::repairable, check(volume).worst);
}

TEST(Check, JudgesADamagedWordByItsShadow) {
    test_volume held_nothing;
    held_nothing.set_primary(10, damaged_word);
    EXPECT_EQ(severity::repairable, check(held_nothing).worst);

    test_volume clean;
    clean.claim(10, 5, TIERED_CLAIM_CLEAN, 3);
    clean.set_primary(10, damaged_word);
    EXPECT_EQ(severity::repairable, check(clean).worst);

    test_volume dirty;
    dirty.claim(10, 5, TIERED_CLAIM_DIRTY, 3);
    dirty.fill_frame(10, std::byte{0xee});
    dirty.set_primary(10, damaged_word);
    const check_report report = check(dirty);
    EXPECT_EQ(severity::damage, report.worst);
    EXPECT_TRUE(mentions(report, "page 5"));

    dirty.set_shadow(10, damaged_word);
    EXPECT_EQ(severity::damage, check(dirty).worst);
}

TEST(Check, SaysWhereTheHomeHasTheContentsOfADamagedWord) {
    test_volume at_home;
    at_home.claim(10, 5, TIERED_CLAIM_DIRTY, 3);
    at_home.fill_frame(10, std::byte{0xee});
    at_home.fill_home(5, std::byte{0xee});
    at_home.set_primary(10, damaged_word);
    const check_report report = check(at_home);
    EXPECT_EQ(severity::damage, report.worst); // the driver answers errors for it
    EXPECT_TRUE(mentions(report, "its home has the same contents"));
}

TEST(Check, FindsAnUnreadableFrameOnlyWhereItAloneHasThePage) {
    test_volume volume;
    volume.claim(10, 5, TIERED_CLAIM_CLEAN, 3);
    volume.spoil_frame(10);
    EXPECT_EQ(severity::note, check(volume).worst);
    const check_report verified = check(volume, true);
    EXPECT_EQ(severity::repairable, verified.worst);
    EXPECT_TRUE(mentions(verified, "it is read from its home"));

    volume.claim(11, 6, TIERED_CLAIM_DIRTY, 3);
    volume.spoil_frame(11);
    const check_report report = check(volume);
    EXPECT_EQ(severity::damage, report.worst);
    EXPECT_TRUE(mentions(report, "page 6 is dirty in frame 11, which cannot be read"));
}

TEST(Check, FindsAnUnreadableHome) {
    test_volume volume;
    volume.claim(10, 5, TIERED_CLAIM_CLEAN, 3);
    volume.spoil_home(5);
    const check_report report = check(volume, true);
    EXPECT_EQ(severity::damage, report.worst);
    EXPECT_TRUE(mentions(report, "its home cannot be read"));
}

TEST(Check, JudgesDamagedWordsAsTheDriverDoes) {
    test_volume contradicted;
    contradicted.claim(10, 5, TIERED_CLAIM_DIRTY, 3);
    contradicted.set_primary(10, damaged_word);
    contradicted.claim(11, 5, TIERED_CLAIM_DIRTY, 7);
    EXPECT_TRUE(mentions(check(contradicted), "the volume is not opened"));

    // Each would be no loss beside the other, but not both.
    test_volume two;
    two.claim(10, 5, TIERED_CLAIM_DIRTY, 3);
    two.claim(11, 5, TIERED_CLAIM_DIRTY, 4);
    two.set_primary(10, damaged_word);
    two.set_primary(11, damaged_word);
    const check_report report = check(two);
    EXPECT_EQ(severity::damage, report.worst);
    EXPECT_TRUE(mentions(report, "the word of frame 11 is damaged; it was dirty with page 5"));
}

TEST(Check, IsSilentAboutDamagedWordsThatAreOutOfUse) {
    test_volume volume;
    volume.claim(10, 0, TIERED_CLAIM_RETIRED, 0);
    volume.set_primary(10, damaged_word);
    const check_report report = check(volume);
    EXPECT_EQ(severity::note, report.worst);
    EXPECT_TRUE(mentions(report, "out of use for that: 1"));
}

TEST(Check, FindsNoLossWhereANewerFrameHasTheContents) {
    test_volume newer;
    newer.claim(10, 5, TIERED_CLAIM_DIRTY, 3);
    newer.fill_frame(10, std::byte{0xee});
    newer.set_primary(10, damaged_word);
    newer.claim(11, 5, TIERED_CLAIM_DIRTY, 4);
    EXPECT_EQ(severity::repairable, check(newer).worst);

    test_volume older;
    older.claim(10, 5, TIERED_CLAIM_DIRTY, 3);
    older.fill_frame(10, std::byte{0xee});
    older.set_primary(10, damaged_word);
    older.claim(11, 5, TIERED_CLAIM_DIRTY, 2);
    EXPECT_EQ(severity::damage, check(older).worst);
}

TEST(Check, JudgesConflictsByContents) {
    test_volume different;
    different.claim(10, 5, TIERED_CLAIM_DIRTY, 3);
    different.claim(11, 5, TIERED_CLAIM_DIRTY, 7);
    different.fill_frame(10, std::byte{1});
    const check_report report = check(different);
    EXPECT_EQ(severity::damage, report.worst);
    EXPECT_EQ(1u, report.counts.conflicts);

    different.fill_frame(11, std::byte{1});
    EXPECT_EQ(severity::repairable, check(different).worst);

    test_volume both_clean;
    both_clean.claim(10, 5, TIERED_CLAIM_CLEAN, 3);
    both_clean.claim(11, 5, TIERED_CLAIM_CLEAN, 3);
    both_clean.fill_frame(10, std::byte{1});
    EXPECT_EQ(severity::repairable, check(both_clean).worst);
}

TEST(Check, FindsLostPagesDamage) {
    test_volume volume;
    volume.claim(10, 5, TIERED_CLAIM_LOST, 3);
    const check_report report = check(volume);
    EXPECT_EQ(severity::damage, report.worst);
    EXPECT_TRUE(mentions(report, "page 5 is lost"));
}

TEST(Check, KnowsWhenAllDamageIsLostPages) {
    test_volume volume;
    EXPECT_FALSE(check(volume).only_lost());
    const std::uint32_t lost = volume.sb.frames() - 1;
    for (std::uint32_t frame = 0; frame < lost; frame++)
        volume.claim(frame, frame, TIERED_CLAIM_LOST, 1);
    const check_report report = check(volume);
    EXPECT_GT(report.findings_left_out, 0u);
    EXPECT_EQ(lost, report.damages);
    EXPECT_TRUE(report.only_lost());
    volume.set_primary(lost, damaged_word);
    volume.set_shadow(lost, damaged_word);
    EXPECT_FALSE(check(volume).only_lost());
}

TEST(Check, SurvivesUnreadableSectorsOfTheTables) {
    test_volume volume;
    volume.claim(0, 5, TIERED_CLAIM_DIRTY, 3);
    volume.fill_frame(0, std::byte{0xee});
    volume.fast.bad_sectors = {volume.sb.words_offset() / 512};
    const check_report report = check(volume);
    EXPECT_EQ(severity::damage, report.worst);
    EXPECT_EQ(64u, report.counts.damaged);
    EXPECT_TRUE(mentions(report, "page 5"));

    volume.fast.bad_sectors = {volume.sb.shadow_offset() / 512};
    EXPECT_EQ(severity::repairable, check(volume).worst);
}

TEST(Check, ComparesCleanFramesWithHomesWhenAsked) {
    test_volume volume;
    volume.claim(10, 5, TIERED_CLAIM_CLEAN, 3);
    volume.fill_frame(10, std::byte{0xee});
    EXPECT_EQ(severity::note, check(volume).worst);
    EXPECT_EQ(severity::damage, check(volume, true).worst);
    volume.fill_home(5, std::byte{0xee});
    EXPECT_EQ(severity::note, check(volume, true).worst);
}

TEST(Check, SaysWhenOneSuperblockIsGoneOrACheckWasAskedFor) {
    test_volume volume;
    volume.fast.bytes[4096 + 50] ^= std::byte{1};
    check_report report = check(volume);
    EXPECT_EQ(severity::repairable, report.worst);
    EXPECT_TRUE(mentions(report, "superblock B has a wrong checksum"));

    test_volume flagged;
    auto* a = reinterpret_cast<tiered_superblock_disk*>(flagged.fast.bytes.data());
    a->flags = cpu_to_le32(TIERED_SB_NEEDS_CHECK);
    tiered_superblock_seal(a);
    EXPECT_EQ(severity::repairable, check(flagged).worst);
}

TEST(Check, TellsADamagedVolumeFromNone) {
    test_volume volume;
    volume.fast.bytes[50] ^= std::byte{1};
    volume.fast.bytes[4096 + 50] ^= std::byte{1};
    EXPECT_EQ(severity::damage, check(volume).worst);

    memory_storage empty(1 << 20);
    memory_storage disk(1 << 20);
    EXPECT_THROW(check_volume(empty, &disk, {}), error);
}

TEST(Check, RefusesASmallerDiskAndTakesOneThatHasGrown) {
    test_volume volume;
    memory_storage smaller(volume.capacity.size_bytes() - 512);
    EXPECT_THROW(check_volume(volume.fast, &smaller, {}), error);
    memory_storage grown(volume.capacity.size_bytes() + 512);
    EXPECT_EQ(severity::note, check_volume(volume.fast, &grown, {}).worst);
}

TEST(Check, KeepsItsReportShort) {
    test_volume volume;
    for (std::uint32_t frame = 0; frame < volume.sb.frames(); frame++) {
        volume.set_primary(frame, damaged_word);
        volume.set_shadow(frame, damaged_word);
    }
    const check_report report = check(volume);
    EXPECT_EQ(volume.sb.frames(), report.counts.damaged);
    EXPECT_GT(report.findings_left_out, 0u);
    EXPECT_GE(report.findings.size() + report.findings_left_out, volume.sb.frames());
}

/// A volume in use: what is on the medium changes once, when the words were read so many times.
class restless_storage : public storage {
public:
    restless_storage(test_volume& volume, int readings, std::function<void()> change)
        : under_(volume.fast), words_(volume.sb.words_offset()), readings_(readings),
          change_(std::move(change)) {}

    std::uint64_t size_bytes() const override { return under_.size_bytes(); }
    std::uint64_t write_bytes() const override { return under_.write_bytes(); }
    void write(std::uint64_t, std::span<const std::byte>) override { fail("a check writes"); }
    void sync() override {}
    void read(std::uint64_t offset, std::span<std::byte> out) override {
        under_.read(offset, out);
        if (offset == words_ && --readings_ == 0)
            change_();
    }

private:
    memory_storage& under_;
    const std::uint64_t words_;
    int readings_;
    const std::function<void()> change_;
};

check_report check_live(test_volume& volume, int readings, std::function<void()> change) {
    restless_storage fast(volume, readings, std::move(change));
    return check_volume(fast, &volume.capacity, {.verify_clean = true, .live = true});
}

TEST(Check, OfAVolumeInUseJudgesWhatStandsInTwoReadings) {
    test_volume volume;
    volume.claim(10, 5, TIERED_CLAIM_DIRTY, 3);
    volume.fill_frame(10, std::byte{1});
    // The page moved on while the table was read: together these two never stood.
    volume.claim(20, 5, TIERED_CLAIM_DIRTY, 7);
    const auto go_on = [&] { volume.claim(10, 9, TIERED_CLAIM_DIRTY, 0); };
    const check_report report = check_live(volume, 1, go_on);
    EXPECT_EQ(severity::note, report.worst);
    EXPECT_EQ(1u, report.counts.changed);
    EXPECT_EQ(1u, report.counts.dirty);
    EXPECT_EQ(volume.sb.frames() - 2, report.counts.free);
    EXPECT_TRUE(mentions(report, "changed while they were read"));

    volume.claim(10, 5, TIERED_CLAIM_DIRTY, 3);
    EXPECT_EQ(severity::damage, check_live(volume, 1, [] {}).worst);
}

TEST(Check, OfAVolumeInUseLooksAgainBeforeItBlamesAFrame) {
    test_volume volume;
    volume.claim(10, 5, TIERED_CLAIM_CLEAN, 3);
    volume.fill_frame(10, std::byte{1}); // but not its home
    EXPECT_EQ(severity::damage, check_live(volume, 2, [] {}).worst);
    const auto overwrite = [&] { volume.claim(10, 5, TIERED_CLAIM_DIRTY, 4); };
    EXPECT_EQ(severity::note, check_live(volume, 2, overwrite).worst);
}

/// Whatever the words say, the check ends with a verdict.
TEST(Check, EndsOnRandomTables) {
    std::mt19937_64 random(6);
    for (int round = 0; round < 20; round++) {
        test_volume volume;
        for (std::uint32_t frame = 0; frame < volume.sb.frames(); frame++)
            volume.claim(frame, random() % 40, static_cast<tiered_claim_state>(1 + random() % 3),
                         static_cast<std::uint8_t>(random() % 16));
        const check_report report = check(volume, true);
        const check_counts& c = report.counts;
        EXPECT_EQ(severity::damage, report.worst);
        EXPECT_EQ(volume.sb.frames(), c.clean + c.dirty + c.lost + c.losers + c.conflicts);
    }
}

} // namespace
