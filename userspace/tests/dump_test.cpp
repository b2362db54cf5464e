// SPDX-License-Identifier: GPL-2.0-or-later
// Dumps: what they say, what is no dump, and what is restored from them.
#include "check.hpp"
#include "damage.hpp"
#include "dump.hpp"
#include "restore.hpp"
#include "word_tables.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tiered::test {

namespace {

constexpr std::int64_t dumped_at_s = 1'700'000'000;
constexpr const char* path = "x.dump";

nlohmann::json dump_of(known_volume& known) {
    return nlohmann::json::parse(dump_text(known.v.fast, dumped_at_s));
}

volume_dump parsed(const nlohmann::json& json,
                   std::uint64_t fast_bytes = known_volume::fast_bytes) {
    return parse_dump(json.dump(), path, fast_bytes);
}

void wipe(test_volume& v, std::uint64_t offset, std::uint64_t bytes) {
    std::fill_n(v.fast.bytes.begin() + static_cast<std::ptrdiff_t>(offset), bytes, std::byte{0});
}

void wipe_metadata(test_volume& v) {
    wipe(v, 0, v.sb.frame_offset(0));
}

/// The claims that count: by page, the frame and whether it is lost; clean ones are homes.
std::map<std::uint64_t, tiered_claim_state> not_at_home(storage& fast, const superblock& sb) {
    const word_tables tables(fast, sb);
    const found_words found(tables);
    std::map<std::uint64_t, tiered_claim_state> claims;
    found.index.each([&](const page_index::holder& holder) {
        if (holder.claim.state != TIERED_CLAIM_CLEAN)
            claims[holder.claim.page] = holder.claim.state;
    });
    return claims;
}

TEST(Dump, SaysWhatTheTablesSay) {
    std::mt19937 random(1);
    known_volume known(random);
    known.v.set_primary(known.any_free_frame(), damaged_word);
    const volume_dump dump = parsed(dump_of(known));
    const word_tables tables(known.v.fast, known.v.sb);
    const std::uint32_t frames = known.v.sb.frames();
    EXPECT_EQ(dumped_at_s, dump.made_s);
    EXPECT_EQ(std::vector(tables.primary.begin(), tables.primary.begin() + frames), dump.words);
    EXPECT_EQ(std::vector(tables.shadow.begin(), tables.shadow.begin() + frames), dump.shadows);
    EXPECT_EQ(frame_crc32c(known.v.fast, known.v.sb, 3), dump.contents_crc32c[3]);
}

TEST(Dump, IsShortWhereFramesAreAlike) {
    test_volume v;
    for (std::uint32_t frame = 10; frame < 50; frame++)
        v.claim(frame, 100 + frame, TIERED_CLAIM_DIRTY, 3);
    const auto json = nlohmann::json::parse(dump_text(v.fast, 0));
    EXPECT_EQ(3u, json["words"].size());
    EXPECT_EQ(110, json["words"][1]["page"]);
    EXPECT_EQ(40, json["words"][1]["count"]);
    EXPECT_TRUE(json["shadows"].empty());
}

TEST(Dump, IsRefusedWhereItIsNone) {
    std::mt19937 random(2);
    known_volume known(random);
    const nlohmann::json good = dump_of(known);
    EXPECT_NO_THROW(parsed(good));
    EXPECT_THROW(parsed(good, known_volume::fast_bytes - 512), error);
    for (const char* text : {"", "{", "[]", "3", "{\"format\": \"dm-tiered dump\"}"})
        EXPECT_THROW(parse_dump(text, path, known_volume::fast_bytes), error) << text;
    const std::vector<std::pair<const char*, nlohmann::json>> wrong{
        {"/format", "other"},
        {"/version", 2},
        {"/made_s", -1},
        {"/superblocks", nlohmann::json::array()},
        {"/superblocks/0/bytes", "00"},
        {"/superblocks/0/bytes", "zz"},
        {"/words", nlohmann::json::array()},
        {"/words/1/frame", 0},
        {"/words/1/count", 0},
        {"/words/1/count", 1u << 31},
        {"/words/1/state", "odd"},
        {"/words/1/crc32c", "x"},
        {"/words/1/crc32c", nlohmann::json::array()},
        {"/words_crc32c", 1},
        {"/shadows_crc32c", 1},
    };
    for (const auto& [where, value] : wrong) {
        nlohmann::json bad = good;
        bad[nlohmann::json::json_pointer(where)] = value;
        EXPECT_THROW(parsed(bad), error) << where;
    }
}

TEST(Restore, HasNothingToDoWhereEverythingReads) {
    std::mt19937 random(3);
    known_volume known(random);
    EXPECT_FALSE(plan_restore(known.v.fast, path, parsed(dump_of(known))).changes_anything());
}

TEST(Restore, BringsBackWhatWasDirtyAfterEverythingIsGone) {
    std::mt19937 random(4);
    known_volume known(random);
    const volume_dump dump = parsed(dump_of(known));
    const auto before = not_at_home(known.v.fast, known.v.sb);
    wipe_metadata(known.v);
    const restore_plan plan = plan_restore(known.v.fast, path, dump);
    EXPECT_FALSE(plan.needs_acceptance());
    EXPECT_EQ(before.size(), plan.claims);
    EXPECT_TRUE(carry_out(known.v.fast, plan).empty());
    EXPECT_EQ(before, not_at_home(known.v.fast, known.v.sb));
    EXPECT_EQ("", find_superblock(known.v.fast).other_slot_fault);
    EXPECT_FALSE(plan_restore(known.v.fast, path, dump).changes_anything());
}

TEST(Restore, MayBeCutAnywhereAndRunAgain) {
    std::mt19937 random(5);
    known_volume known(random);
    const volume_dump dump = parsed(dump_of(known));
    const auto before = not_at_home(known.v.fast, known.v.sb);
    wipe_metadata(known.v);
    for (std::size_t writes = 0;; writes++) {
        known_volume cut = known;
        cut.v.fast.sync();
        cut.v.fast.cut_after_writes = cut.v.fast.writes + writes;
        try {
            carry_out(cut.v.fast, plan_restore(cut.v.fast, path, dump));
            break;
        } catch (const power_cut&) {
        }
        memory_storage survivor = cut.v.fast.after_power_cut(random);
        if (find_superblock(survivor).chosen) {
            EXPECT_EQ(before, not_at_home(survivor, known.v.sb)) << writes;
        }
        carry_out(survivor, plan_restore(survivor, path, dump));
        EXPECT_EQ(before, not_at_home(survivor, known.v.sb)) << writes;
    }
}

TEST(Restore, KeepsClaimsThatReadAndAreNewer) {
    std::mt19937 random(6);
    known_volume known(random);
    const volume_dump dump = parsed(dump_of(known));
    const std::uint32_t old_frame = known.any_frame(TIERED_CLAIM_DIRTY, random);
    const tiered_claim old = known.claims.at(old_frame);
    const std::uint32_t new_frame = known.any_free_frame();
    known.v.claim(new_frame, old.page, TIERED_CLAIM_DIRTY, 9);
    known.v.set_primary(old_frame, damaged_word);
    known.v.set_shadow(old_frame, damaged_word);
    const restore_plan plan = plan_restore(known.v.fast, path, dump);
    EXPECT_FALSE(plan.needs_acceptance());
    carry_out(known.v.fast, plan);
    const word_tables tables(known.v.fast, known.v.sb);
    EXPECT_EQ(new_frame, found_words(tables).index.find(old.page)->frame);
    EXPECT_EQ(severity::damage, check_volume(known.v.fast, &known.v.capacity, {}).worst)
        << "the pages that were lost from the beginning";
    EXPECT_EQ(TIERED_CLAIM_FREE, tables.claim(tables.primary, old_frame)->state);
}

TEST(Restore, AsksWhereFramesHaveOtherContents) {
    std::mt19937 random(7);
    known_volume known(random);
    const volume_dump dump = parsed(dump_of(known));
    const std::uint32_t dirty = known.any_frame(TIERED_CLAIM_DIRTY, random);
    const std::uint32_t free = known.any_free_frame();
    const std::uint64_t page = known.claims.at(dirty).page;
    for (const std::uint32_t frame : {dirty, free})
        known.v.fill_frame(frame, known.truth[page] ^ std::byte{0x55});
    wipe_metadata(known.v);
    const restore_plan plan = plan_restore(known.v.fast, path, dump);
    EXPECT_TRUE(plan.needs_acceptance());
    ASSERT_EQ(1u, plan.lost.size());
    EXPECT_EQ(page, plan.lost[0].first);
    ASSERT_EQ(2u, plan.newer.size());
    carry_out(known.v.fast, plan);
    EXPECT_EQ(TIERED_CLAIM_LOST, not_at_home(known.v.fast, known.v.sb).at(page));
}

TEST(Restore, AsksWhereTheVolumeWasInUseSince) {
    std::mt19937 random(8);
    known_volume known(random);
    const volume_dump dump = parsed(dump_of(known));
    const std::uint32_t dirty = known.any_frame(TIERED_CLAIM_DIRTY, random);
    known.v.set_primary(dirty, damaged_word);
    known.v.set_shadow(dirty, damaged_word);
    EXPECT_FALSE(plan_restore(known.v.fast, path, dump).needs_acceptance());
    known.v.claim(known.any_free_frame(), 0, TIERED_CLAIM_RETIRED, 0);
    EXPECT_TRUE(plan_restore(known.v.fast, path, dump).needs_acceptance());
}

TEST(Restore, MakesNoVolumeSmallerThanItWas) {
    constexpr std::uint64_t sectors = 16384;
    test_volume small(1 << 20, small_spec(sectors));
    const volume_dump dump = parse_dump(dump_text(small.fast, 0), path, 1 << 20);
    test_volume grown(1 << 20, small_spec(2 * sectors));
    const std::uint64_t last = grown.sb.pages() - 1;
    grown.claim(7, last, TIERED_CLAIM_DIRTY, 1);
    wipe(grown, 0, TIERED_SUPERBLOCKS * TIERED_SUPERBLOCK_BYTES);
    EXPECT_THROW(plan_restore(grown.fast, path, dump), error);
    EXPECT_THROW(plan_restore(grown.fast, path, dump, sectors), error);
    EXPECT_TRUE(carry_out(grown.fast, plan_restore(grown.fast, path, dump, 2 * sectors)).empty());
    const check_report report = check_volume(grown.fast, &grown.capacity, {});
    EXPECT_EQ(2 * sectors, report.sb.volume_sectors());
    EXPECT_EQ(severity::note, report.worst);
    EXPECT_TRUE(not_at_home(grown.fast, report.sb).contains(last));
}

TEST(Restore, RefusesAnotherVolumeAndADamagedDump) {
    std::mt19937 random(9);
    known_volume known(random);
    const volume_dump dump = parsed(dump_of(known));
    format_spec other = small_spec();
    other.volume_id.fill(0x77);
    test_volume wrong(known_volume::fast_bytes, other);
    EXPECT_THROW(plan_restore(wrong.fast, path, dump), error);
    known.v.set_primary(3, damaged_word);
    EXPECT_THROW(plan_restore(known.v.fast, path, parsed(dump_of(known))), error);
}

} // namespace

} // namespace tiered::test
