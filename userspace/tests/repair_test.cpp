// SPDX-License-Identifier: GPL-2.0-or-later
// Repairing: after every kind of damage all that it did not hit is as it was, and what it hit is
// named; also when the power goes after any write of the repair, and it is run again.
#include "check.hpp"
#include "damage.hpp"
#include "page_contents.hpp"
#include "repair.hpp"
#include "word_tables.hpp"

#include <gtest/gtest.h>

namespace tiered::test {

namespace {

constexpr unsigned seeds = 4;

/// What reading a page of the volume gives: contents, or an error.
struct page_reads {
    bool error = false;
    std::byte value{};
};

/// What the driver makes of a volume; nothing when it refuses it.
std::optional<std::vector<page_reads>> read_volume(storage& fast, storage& capacity) {
    const auto search = find_superblock(fast);
    if (!search.chosen)
        return std::nullopt;
    const superblock& sb = *search.chosen;
    const word_tables tables(fast, sb);
    const found_words found(tables);
    damage_judge judge(found.index);
    if (!found.unknown.empty() || !found.conflicts.empty())
        return std::nullopt;
    for (const odd_frame& odd : found.damaged)
        if (judge.judge(odd) == TIERED_FOUND_CONFLICT)
            return std::nullopt;

    std::vector<page_reads> pages(sb.pages());
    for (std::uint64_t page = 0; page < pages.size(); page++)
        pages[page].value = read_page(capacity, page * TIERED_FRAME_BYTES).value()[0];
    found.index.each([&](const page_index::holder& holder) {
        const auto contents = read_page(fast, sb.frame_offset(holder.frame));
        page_reads& reads = pages[holder.claim.page];
        if (contents && holder.claim.state != TIERED_CLAIM_LOST)
            reads.value = (*contents)[0];
        else
            reads.error = contents || holder.claim.state != TIERED_CLAIM_CLEAN;
    });
    for (const auto& [frame, fate] : judge.fates())
        if (fate.what == TIERED_FOUND_HOLDER)
            pages[fate.claim.page].error = true;
    return pages;
}

std::set<std::uint64_t> named(const std::vector<lost_pages>& runs) {
    std::set<std::uint64_t> pages;
    for (const lost_pages& run : runs)
        for (std::uint64_t i = 0; i < run.count; i++)
            pages.insert(run.first + i);
    return pages;
}

std::set<std::uint64_t> lost_in_all(const known_volume& known, const damage& done) {
    std::set<std::uint64_t> lost = known.lost;
    lost.insert(done.hit.begin(), done.hit.end());
    return lost;
}

/// No page shows anything but its contents; where `strictly`, errors are answered for what is lost
/// alone.
void expect_truth(const known_volume& known, const damage& done, storage& fast, bool strictly) {
    storage& capacity = const_cast<memory_storage&>(known.v.capacity);
    const auto reads = read_volume(fast, capacity);
    if (!reads) {
        EXPECT_FALSE(strictly) << "the volume is not opened";
        return;
    }
    const std::set<std::uint64_t> lost = lost_in_all(known, done);
    for (std::uint64_t page = 0; page < reads->size(); page++) {
        const page_reads& read = (*reads)[page];
        if (strictly) {
            EXPECT_EQ(lost.contains(page), read.error) << "page " << page;
        }
        if (!read.error && !done.untold.contains(page)) {
            EXPECT_EQ(known.truth[page], read.value) << "page " << page;
        }
    }
}

/// A volume, one kind of damage to it, and what both give with this seed.
struct damaged_volume {
    std::mt19937 random;
    known_volume known;
    damage done;

    damaged_volume(damager spoil, unsigned seed)
        : random(seed), known(random), done(spoil(known, random)) {}

    repair_plan plan(storage& fast, bool accept = false) {
        return plan_repair(fast, known.v.capacity, accept);
    }
    memory_storage& fast() { return known.v.fast; }
};

void expect_settled(damaged_volume& d, storage& fast) {
    expect_truth(d.known, d.done, fast, true);
    const repair_plan after = d.plan(fast);
    if (d.fast().unwritable_sectors.empty()) {
        EXPECT_FALSE(after.changes_anything()) << fmt::format("{}", fmt::join(after.actions, "; "));
    }
    EXPECT_FALSE(after.needs_acceptance());
    EXPECT_EQ(lost_in_all(d.known, d.done), named(after.lost));
}

void repair_whole(damager spoil, unsigned seed) {
    damaged_volume d(spoil, seed);
    SCOPED_TRACE(fmt::format("{}, seed {}", d.done.kind, seed));
    const std::vector<std::byte> before = d.fast().bytes;
    repair_plan plan = d.plan(d.fast());
    EXPECT_EQ(before, d.fast().bytes) << "planning has written";
    EXPECT_EQ(d.done.refused, !plan.refusal.empty());
    if (d.done.refused)
        return;
    EXPECT_EQ(lost_in_all(d.known, d.done), named(plan.lost));
    EXPECT_EQ(d.done.needs_acceptance, plan.needs_acceptance());
    EXPECT_NE(d.done.harmless, plan.changes_anything() || d.done.needs_acceptance);
    carry_out(d.fast(), plan);
    if (d.done.needs_acceptance) {
        EXPECT_FALSE(read_volume(d.fast(), d.known.v.capacity)) << "a loss nobody has accepted";
        carry_out(d.fast(), d.plan(d.fast(), true));
    }
    expect_settled(d, d.fast());
}

/// Cuts the power after `writes` writes of the repair; false when it has ended before.
bool repair_cut(damaged_volume d, std::size_t writes) {
    SCOPED_TRACE(fmt::format("{}, cut after {} writes", d.done.kind, writes));
    const bool accept = d.done.needs_acceptance;
    const repair_plan plan = d.plan(d.fast(), accept);
    d.random.seed(static_cast<unsigned>(writes));
    d.fast().sync(); // what the damage did is on the medium
    d.fast().cut_after_writes = d.fast().writes + writes;
    try {
        carry_out(d.fast(), plan);
        return false;
    } catch (const power_cut&) {
    }
    memory_storage survivor = d.fast().after_power_cut(d.random);
    expect_truth(d.known, d.done, survivor, false);
    const repair_plan again = d.plan(survivor, accept);
    EXPECT_EQ(lost_in_all(d.known, d.done), named(again.lost));
    carry_out(survivor, again);
    expect_settled(d, survivor);
    return true;
}

void repair_cut_anywhere(damager spoil, unsigned seed) {
    const damaged_volume d(spoil, seed);
    SCOPED_TRACE(fmt::format("seed {}", seed));
    for (std::size_t writes = 0; !d.done.refused && repair_cut(d, writes); writes++) {
    }
}

class Repair : public ::testing::TestWithParam<damager> {};

TEST_P(Repair, LeavesWhatIsNotHitAndNamesWhatIs) {
    for (unsigned seed = 0; seed < seeds; seed++)
        repair_whole(GetParam(), seed);
}

TEST_P(Repair, IsInterruptedByAnyPowerCutAndRunAgain) {
    for (unsigned seed = 0; seed < seeds; seed++)
        repair_cut_anywhere(GetParam(), seed);
}

INSTANTIATE_TEST_SUITE_P(Of, Repair, ::testing::ValuesIn(all_damagers()), [](const auto& instance) {
    std::mt19937 random(0);
    known_volume known(random);
    std::string name = instance.param(known, random).kind;
    std::ranges::replace_if(
        name, [](unsigned char c) { return !std::isalnum(c); }, '_');
    return name;
});

/// Where damages met at a word and its shadow nobody can name the page any more.
void forget_pairs(known_volume& known, damage& all) {
    const word_tables tables(known.v.fast, *find_superblock(known.v.fast).chosen);
    for (const auto& [frame, claim] : known.claims) {
        if (tables.claim(tables.primary, frame) || tables.claim(tables.shadow, frame))
            continue;
        all.untold.insert(claim.page);
        all.hit.erase(claim.page);
        known.lost.erase(claim.page);
    }
}

/// Adds one damage, where frames are left for it and a superblock stands after it.
void spoil_unless_refused(damager spoil, known_volume& known, damage& all, std::mt19937& random) {
    known_volume after = known;
    try {
        const damage one = spoil(after, random);
        if (one.refused || !find_superblock(after.v.fast).chosen)
            return;
        all.hit.insert(one.hit.begin(), one.hit.end());
        all.untold.insert(one.untold.begin(), one.untold.end());
        known = std::move(after);
    } catch (const no_frame_left&) {
    }
}

/// Several kinds at once, where nothing of it keeps the volume from being repaired.
TEST(RepairAll, SettlesManyDamagesAtOnce) {
    for (unsigned seed = 100; seed < 120; seed++) {
        std::mt19937 random(seed);
        known_volume known(random);
        damage all{.kind = "many"};
        for (const damager spoil : all_damagers()) {
            if (random() % 3 != 0)
                continue;
            spoil_unless_refused(spoil, known, all, random);
        }
        SCOPED_TRACE(fmt::format("seed {}", seed));
        forget_pairs(known, all);
        const repair_plan plan = plan_repair(known.v.fast, known.v.capacity, true);
        carry_out(known.v.fast, plan);
        const auto reads = read_volume(known.v.fast, known.v.capacity);
        ASSERT_TRUE(reads);
        for (std::uint64_t page = 0; page < reads->size(); page++) {
            if ((*reads)[page].error) {
                EXPECT_TRUE(named(plan.lost).contains(page)) << "page " << page;
            } else if (!all.untold.contains(page)) {
                EXPECT_EQ(known.truth[page], (*reads)[page].value) << "page " << page;
            }
        }
        EXPECT_EQ(lost_in_all(known, all), named(plan.lost));
    }
}

TEST(RepairAll, ClearsTheRequestForACheck) {
    test_volume v;
    superblock sb = *find_superblock(v.fast).chosen;
    sb.raw.flags = cpu_to_le32(TIERED_SB_NEEDS_CHECK);
    write_next_superblock(v.fast, sb, 1);
    carry_out(v.fast, plan_repair(v.fast, v.capacity, false));
    const auto after = find_superblock(v.fast);
    EXPECT_FALSE(after.chosen->needs_check());
    EXPECT_EQ("", after.other_slot_fault);
    EXPECT_EQ(severity::note, check_volume(v.fast, &v.capacity, {}).worst);
}

TEST(RepairAll, NeverOverwritesTheOnlySuperblock) {
    test_volume v;
    superblock sb = *find_superblock(v.fast).chosen;
    sb.raw.flags = cpu_to_le32(TIERED_SB_NEEDS_CHECK);
    write_next_superblock(v.fast, sb, 0);
    v.fast.bad_sectors = v.fast.unwritable_sectors = {9};
    const std::vector<std::byte> before = v.fast.bytes;
    const auto complaints = carry_out(v.fast, plan_repair(v.fast, v.capacity, false));
    EXPECT_EQ(before, v.fast.bytes);
    ASSERT_FALSE(complaints.empty());
    EXPECT_NE(std::string::npos, complaints[0].find("superblock B takes no write"));
}

TEST(RepairAll, RefusesWhatIsNoVolumeOrNotItsDisk) {
    memory_storage empty(1 << 20);
    memory_storage disk(1 << 20);
    EXPECT_THROW(plan_repair(empty, disk, false), error);
    test_volume v;
    EXPECT_THROW(plan_repair(v.fast, disk, false), error);
}

} // namespace

} // namespace tiered::test
