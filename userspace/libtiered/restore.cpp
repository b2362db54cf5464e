// SPDX-License-Identifier: GPL-2.0-or-later
// Restoring metadata from a dump.
#include "restore.hpp"

#include "error.hpp"
#include "table_writer.hpp"
#include "word_tables.hpp"

#include <algorithm>
#include <set>

namespace tiered {

namespace {

void require_whole(const volume_dump& dump) {
    const word_tables tables(dump.words, dump.shadows, dump.sb);
    const found_words found(tables);
    if (!found.damaged.empty() || !found.unknown.empty() || !found.conflicts.empty())
        fail("the dump was made of a damaged volume ({} frame words are damaged or contradict each "
             "other), so that nothing can be restored from it; give an older one",
             found.damaged.size() + found.unknown.size() + found.conflicts.size());
}

void require_same_volume(const superblock& here, const superblock& dumped,
                         const std::string& path) {
    if (uuid_text(here.raw.fast_uuid) != uuid_text(dumped.raw.fast_uuid) ||
        here.uuid() != dumped.uuid())
        fail("{} holds the volume '{}' ({}), but the dump is of '{}' ({}); give the dump or the "
             "device that belong together",
             path, here.name(), here.uuid(), dumped.name(), dumped.uuid());
}

/// The superblock that stands on the medium, or the dump's where none does.
superblock superblock_for(storage& fast, const std::string& path, const volume_dump& dump,
                          bool& missing) {
    const superblock_search found = find_superblock(fast);
    missing = !found.chosen;
    if (found.newer_format)
        fail("{} holds a volume whose superblock {}; use a newer tierctl", path, found.fault);
    if (missing)
        return dump.sb;
    require_same_volume(*found.chosen, dump.sb, path);
    return *found.chosen;
}

/// A dump knows nothing of a growth after it.
void grow(superblock& sb, std::uint64_t sectors) {
    const std::uint64_t disk_sectors = std::max(sectors, sb.tier().size_sectors);
    if (sectors <= sb.volume_sectors())
        return;
    sb.raw.volume_sectors = cpu_to_le64(sectors);
    sb.raw.tiers[0].size_sectors = cpu_to_le64(disk_sectors);
    tiered_superblock_seal(&sb.raw);
}

/// With a superblock that makes the volume smaller than it was, pages would be lost.
void require_all_within(const word_tables& tables) {
    for (std::uint32_t frame = 0; frame < tables.view.frames; frame++)
        if (const auto beyond = claim_beyond(tables, frame))
            fail("the volume has grown since the dump was made: frame {} holds page {}, which is "
                 "beyond the end that the dump knows; give a newer dump",
                 frame, beyond->page);
}

void add_frame(std::vector<frame_run>& runs, std::uint32_t frame) {
    if (!runs.empty() && runs.back().first + runs.back().count == frame)
        runs.back().count++;
    else
        runs.push_back({frame, 1});
}

class restorer {
public:
    restorer(storage& fast, const volume_dump& dump, restore_plan& plan)
        : fast_(fast), dump_(dump), plan_(plan), here_(fast, plan.sb),
          there_(dump.words, dump.shadows, dump.sb), found_(there_) {
        for (const odd_frame& odd : found_.losers)
            losers_.insert(odd.frame);
    }

    void run() {
        if (plan_.write_superblocks)
            require_all_within(here_);
        for (std::uint32_t frame = 0; frame < here_.view.frames; frame++)
            note_claim(frame);
        for (std::uint32_t frame = 0; frame < here_.view.frames; frame++)
            judge(frame);
        plan_.lost = std::move(lost_);
    }

private:
    std::optional<tiered_claim> claim_here(std::uint32_t frame) const {
        const auto word = here_.claim(here_.primary, frame);
        return word ? word : here_.claim(here_.shadow, frame);
    }

    void note_claim(std::uint32_t frame) {
        const auto claim = claim_here(frame);
        if (claim && tiered_claim_holds_page(&*claim))
            claimed_.insert(claim->page);
        plan_.used_since += claim && !same_claim(*claim, *there_.claim(there_.primary, frame));
    }

    static bool same_claim(const tiered_claim& a, const tiered_claim& b) {
        return a.page == b.page && a.state == b.state && a.version == b.version;
    }

    void judge(std::uint32_t frame) {
        if (const auto word = here_.claim(here_.primary, frame)) {
            if (!here_.claim(here_.shadow, frame))
                plan_.changes.push_back({frame, repair_step::shadows, *word});
            return;
        }
        // A shadow is for repair and driver to judge. A claim beyond the end is one that reads: the
        // volume has grown since the dump.
        if (here_.claim(here_.shadow, frame) || claim_beyond(here_, frame))
            return;
        restore_frame(frame, *there_.claim(there_.primary, frame));
    }

    void restore_frame(std::uint32_t frame, tiered_claim claim) {
        const auto was = dump_.contents_crc32c[frame];
        const bool same = was && was == frame_crc32c(fast_, plan_.sb, frame);
        if (!same && claim.state != TIERED_CLAIM_LOST && claim.state != TIERED_CLAIM_RETIRED)
            add_frame(plan_.newer, frame);
        if (claim.state == TIERED_CLAIM_CLEAN || losers_.contains(frame) || is_elsewhere(claim))
            claim = {0, TIERED_CLAIM_FREE, 0};
        if (claim.state == TIERED_CLAIM_DIRTY && !same)
            lose(claim);
        plan_.claims += tiered_claim_holds_page(&claim);
        plan_.changes.push_back({frame, repair_step::others, claim});
    }

    /// A claim that reads is newer.
    bool is_elsewhere(const tiered_claim& claim) const {
        return tiered_claim_holds_page(&claim) && claimed_.contains(claim.page);
    }

    void lose(tiered_claim& claim) {
        claim.state = TIERED_CLAIM_LOST;
        lost_.push_back({claim.page, 1,
                         "it was dirty when the dump was made, and its frame has other contents "
                         "now"});
    }

    storage& fast_;
    const volume_dump& dump_;
    restore_plan& plan_;
    const word_tables here_;
    const word_tables there_;
    const found_words found_;
    std::set<std::uint32_t> losers_;
    std::set<std::uint64_t> claimed_; ///< pages with a claim that reads on the medium
    std::vector<lost_pages> lost_;
};

} // namespace

restore_plan plan_restore(storage& fast, const std::string& path, const volume_dump& dump,
                          std::uint64_t known_sectors) {
    require_whole(dump);
    restore_plan plan;
    plan.sb = superblock_for(fast, path, dump, plan.write_superblocks);
    if (plan.write_superblocks)
        grow(plan.sb, known_sectors);
    restorer(fast, dump, plan).run();
    return plan;
}

std::vector<std::string> carry_out(storage& fast, const restore_plan& plan) {
    std::vector<std::string> complaints;
    word_tables tables(fast, plan.sb);
    const std::uint8_t seed = plan.sb.raw.word_seed;
    table_writer words(fast, plan.sb.words_offset(), tables.primary, seed);
    table_writer shadows(fast, plan.sb.shadow_offset(), tables.shadow, seed);
    for (const word_change& one : plan.changes) {
        if (one.step != repair_step::shadows)
            words.set(one.frame, one.claim);
        shadows.set(one.frame, one.claim);
    }
    words.write();
    fast.sync();
    shadows.write();
    fast.sync();
    words.complain("words", complaints);
    shadows.complain("shadow words", complaints);
    if (!plan.write_superblocks)
        return complaints;
    superblock next = plan.sb;
    for (const unsigned slot : {1u, 0u}) {
        try {
            write_next_superblock(fast, next, slot);
        } catch (const media_error&) {
            complaints.push_back(fmt::format("superblock {} takes no write", slot ? 'B' : 'A'));
        }
    }
    return complaints;
}

} // namespace tiered
