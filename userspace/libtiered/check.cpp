// SPDX-License-Identifier: GPL-2.0-or-later
// Checking a volume: superblocks, words, shadows and, where it matters, contents.
#include "check.hpp"

#include "error.hpp"
#include "page_contents.hpp"
#include "word_tables.hpp"

#include <algorithm>
#include <optional>

namespace tiered {

namespace {

constexpr std::size_t findings_kept = 200;

constexpr int superblock_tries = 5; ///< of a volume whose driver may be writing one
const char* state_text(tiered_claim_state state) {
    switch (state) {
    case TIERED_CLAIM_CLEAN:
        return "clean";
    case TIERED_CLAIM_DIRTY:
        return "dirty";
    case TIERED_CLAIM_LOST:
        return "lost";
    default:
        return "free";
    }
}

/// What is not the same in two readings, one after the other, is left out: it says *free*. What is
/// the same in both stood at one time, between the end of the first and the beginning of the
/// second.
word_tables standing_words(storage& fast, const superblock& sb, std::uint64_t& changed) {
    const word_tables before(fast, sb);
    word_tables after(fast, sb);
    for (std::uint32_t frame = 0; frame < sb.frames(); frame++) {
        if (before.primary[frame] == after.primary[frame] &&
            before.shadow[frame] == after.shadow[frame])
            continue;
        changed++;
        after.primary[frame] = after.shadow[frame] =
            tiered_claim_encode({0, TIERED_CLAIM_FREE, 0}, frame, sb.raw.word_seed);
    }
    return word_tables(std::move(after.primary), std::move(after.shadow), sb);
}

word_tables words_to_judge(storage& fast, const superblock& sb, bool live, std::uint64_t& changed) {
    if (live)
        return standing_words(fast, sb, changed);
    return word_tables(fast, sb);
}

class checker {
public:
    checker(storage& fast, storage* capacity, const superblock& sb, bool live, check_report& report)
        : fast_(fast), capacity_(capacity), sb_(sb), live_(live),
          tables_(words_to_judge(fast, sb, live, report.counts.changed)), results_(tables_),
          report_(report) {}

    void run(const check_options& options) {
        count();
        tell_changed();
        judge_losers();
        for (const odd_frame& odd : results_.conflicts)
            judge_conflict(odd);
        judge_all_damaged();
        judge_lost();
        judge_dirty();
        judge_shadows();
        if (options.verify_clean)
            verify_clean();
    }

    template <typename... Args>
    void say(severity level, fmt::format_string<Args...> format, Args&&... args) {
        report_.worst = std::max(report_.worst, level);
        report_.damages += level == severity::damage;
        if (report_.findings.size() < findings_kept)
            report_.findings.push_back({level, fmt::format(format, std::forward<Args>(args)...)});
        else
            report_.findings_left_out++;
    }

private:
    void count() {
        check_counts& counts = report_.counts;
        counts.free = results_.free - counts.changed;
        counts.retired = results_.retired;
        counts.losers = results_.losers.size();
        counts.damaged = results_.damaged.size() + results_.unknown.size();
        counts.conflicts = results_.conflicts.size();
        results_.index.each([&](const page_index::holder& holder) {
            counts.clean += holder.claim.state == TIERED_CLAIM_CLEAN;
            counts.dirty += holder.claim.state == TIERED_CLAIM_DIRTY;
            counts.lost += holder.claim.state == TIERED_CLAIM_LOST;
        });
    }

    void tell_changed() {
        if (report_.counts.changed > 0)
            say(severity::note,
                "the volume is in use: {} frame words changed while they were read, which is "
                "normal, and were not judged",
                count_text(report_.counts.changed));
    }

    /// Of a volume in use, whether the frame's word is still the one that was judged.
    bool stands(std::uint32_t frame) {
        constexpr std::uint64_t words = TIERED_SECTOR_BYTES / sizeof(__le64);
        std::array<__le64, words> sector{};
        if (!live_)
            return true;
        try {
            fast_.read(sb_.words_offset() + frame / words * TIERED_SECTOR_BYTES,
                       std::as_writable_bytes(std::span(sector)));
        } catch (const media_error&) {
            return false;
        }
        return sector[frame % words] == tables_.primary[frame];
    }

    void judge_losers() {
        if (!results_.losers.empty())
            say(severity::note,
                "older claims of pages that have a newer one: {} (normal after a crash; the next "
                "open "
                "clears them)",
                count_text(results_.losers.size()));
    }

    void judge_conflict(const odd_frame& odd) {
        const auto holder = results_.index.find(odd.claim.page);
        const auto first = frame_contents(holder->frame);
        const auto second = frame_contents(odd.frame);
        const bool same = first && second && *first == *second;
        const bool both_clean =
            holder->claim.state == TIERED_CLAIM_CLEAN && odd.claim.state == TIERED_CLAIM_CLEAN;
        const bool harmless = same || both_clean;
        say(harmless ? severity::repairable : severity::damage,
            "page {} is claimed by frame {} (version {}) and frame {} (version {}), which no crash "
            "leaves{}",
            odd.claim.page, holder->frame, holder->claim.version, odd.frame, odd.claim.version,
            same ? "; both have the same contents, but the volume is not opened like that"
            : both_clean
                ? "; both are clean, so that its home has its contents, but the volume is not "
                  "opened like that"
                : "; which of them is right cannot be told, and the volume is not opened");
    }

    void judge_all_damaged() {
        damage_judge judge(results_.index);
        std::uint64_t out_of_use = 0;
        for (const odd_frame& odd : results_.unknown)
            judge_unknown(odd.frame);
        for (const odd_frame& odd : results_.damaged) {
            if (odd.claim.state == TIERED_CLAIM_RETIRED)
                out_of_use++;
            else
                judge_damaged(odd, judge);
        }
        if (out_of_use > 0)
            say(severity::note, "damaged words of frames that are out of use for that: {}",
                count_text(out_of_use));
    }

    void judge_unknown(std::uint32_t frame) {
        if (const auto beyond = claim_beyond(tables_, frame))
            say(severity::damage,
                "the word of frame {} claims page {}, which is beyond the volume's end: the volume "
                "is not opened",
                frame, beyond->page);
        else
            say(severity::damage,
                "the word of frame {} is damaged and so is its shadow; if it was dirty, a page has "
                "lost its newest contents, and which one cannot be told",
                frame);
    }

    void judge_damaged(const odd_frame& odd, damage_judge& judge) {
        switch (judge.judge(odd)) {
        case TIERED_FOUND_LOSER:
            say(severity::repairable,
                "the word of frame {} is damaged; nothing is lost, because {}", odd.frame,
                nothing_lost(odd.claim));
            break;
        case TIERED_FOUND_CONFLICT:
            say(severity::damage,
                "the word of frame {} is damaged; its shadow and another frame both claim page {}, "
                "which no crash leaves: the volume is not opened",
                odd.frame, odd.claim.page);
            break;
        default:
            say(severity::damage,
                "the word of frame {} is damaged; it was {} with page {}: an open volume answers "
                "errors for it until it is overwritten whole{}",
                odd.frame, state_text(odd.claim.state), odd.claim.page,
                compare_with_home(odd.frame, odd.claim.page) == comparison::same
                    ? "; its home has the same contents, from where it can be"
                    : ", and its newest contents may be lost");
        }
    }

    /// Why the damaged word of a frame is no loss.
    static const char* nothing_lost(const tiered_claim& claim) {
        if (!tiered_claim_holds_page(&claim))
            return "it held no page";
        if (claim.state == TIERED_CLAIM_CLEAN)
            return "it was clean";
        return "another frame holds a newer version of its page";
    }

    /// What is dirty is nowhere else, so that it has to be readable.
    void judge_dirty() {
        results_.index.each([&](const page_index::holder& holder) {
            if (holder.claim.state == TIERED_CLAIM_DIRTY && !frame_contents(holder.frame) &&
                stands(holder.frame))
                say(severity::damage,
                    "page {} is dirty in frame {}, which cannot be read: its newest contents are "
                    "lost",
                    holder.claim.page, holder.frame);
        });
    }

    void judge_lost() {
        results_.index.each([&](const page_index::holder& holder) {
            if (holder.claim.state == TIERED_CLAIM_LOST)
                say(severity::damage,
                    "page {} is lost: its frame {} went bad while dirty; it can be read again once "
                    "it "
                    "was written whole",
                    holder.claim.page, holder.frame);
        });
    }

    /// A crash may leave a shadow behind its primary by one step, but never one that does not read.
    void judge_shadows() {
        std::uint64_t damaged = 0;
        std::uint64_t behind = 0;
        for (std::uint32_t frame = 0; frame < sb_.frames(); frame++) {
            if (tables_.primary[frame] == tables_.shadow[frame] ||
                !tables_.claim(tables_.primary, frame))
                continue;
            if (tables_.claim(tables_.shadow, frame))
                behind++;
            else
                damaged++;
        }
        if (damaged > 0)
            say(severity::repairable, "damaged shadow words: {} (the next open writes them anew)",
                count_text(damaged));
        if (behind > 0)
            say(severity::note,
                "shadow words behind their frame's word: {} (normal after a crash; the next open "
                "writes them anew)",
                count_text(behind));
    }

    void verify_clean() {
        results_.index.each([&](const page_index::holder& holder) {
            if (holder.claim.state == TIERED_CLAIM_CLEAN)
                verify_page(holder);
        });
    }

    void verify_page(const page_index::holder& holder) {
        const std::uint64_t page = holder.claim.page;
        const comparison found = compare_with_home(holder.frame, page);
        if (!stands(holder.frame))
            return;
        switch (found) {
        case comparison::same:
            break;
        case comparison::different:
            say(severity::damage,
                "page {} is clean in frame {}, but its home has other contents; the disk was "
                "written without the volume, or is another disk",
                page, holder.frame);
            break;
        case comparison::frame_unreadable:
            say(severity::repairable,
                "page {} is clean in frame {}, which cannot be read; it is read from its home",
                page, holder.frame);
            break;
        case comparison::home_unreadable:
            say(severity::damage,
                "page {} is clean in frame {}, but its home cannot be read; once the frame is "
                "given "
                "up the page is lost: save it while the volume is open",
                page, holder.frame);
            break;
        }
    }

    std::optional<page_contents> frame_contents(std::uint32_t frame) {
        return read_page(fast_, sb_.frame_offset(frame));
    }

    comparison compare_with_home(std::uint32_t frame, std::uint64_t page) {
        return tiered::compare_with_home(fast_, capacity_, sb_, frame, page);
    }

    storage& fast_;
    storage* capacity_;
    const superblock& sb_;
    const bool live_;
    const word_tables tables_;
    const found_words results_;
    check_report& report_;
};

/// The driver may be in the middle of writing one, so that a fault counts when it stays.
superblock_search search_superblocks(storage& fast, bool live) {
    superblock_search found = find_superblock(fast);
    for (int i = 1; live && i < superblock_tries; i++) {
        if (found.chosen && found.other_slot_fault.empty())
            break;
        found = find_superblock(fast);
    }
    return found;
}

} // namespace

check_report check_volume(storage& fast, storage* capacity, const check_options& options) {
    const superblock_search found = search_superblocks(fast, options.live);
    check_report report;
    if (!found.chosen) {
        if (!found.has_magic)
            fail("there is no volume to check: the superblock {}", found.fault);
        if (found.newer_format)
            fail("the volume cannot be checked: its superblock {}; use a newer tierctl",
                 found.fault);
        report.findings.push_back(
            {severity::damage,
             fmt::format("neither superblock can be believed; one {}", found.fault)});
        report.worst = severity::damage;
        report.damages = 1;
        return report;
    }
    report.sb = *found.chosen;
    if (capacity)
        require_own_capacity(report.sb, *capacity);

    checker run(fast, capacity, report.sb, options.live, report);
    if (!found.other_slot_fault.empty())
        run.say(severity::repairable, "superblock {} {}; superblock {} is whole and serves",
                found.chosen_slot == 0 ? "B" : "A", found.other_slot_fault,
                found.chosen_slot == 0 ? "A" : "B");
    if (report.sb.needs_check())
        run.say(severity::repairable,
                "the driver asked for a check when it last had the volume open");
    run.run(options);
    return report;
}

bool holds_pages(storage& fast, const superblock& sb) {
    const word_tables tables(fast, sb);
    const found_words results(tables);
    return results.free + results.retired < sb.frames();
}

std::uint64_t count_dirty_pages(storage& fast, const superblock& sb) {
    const word_tables tables(fast, sb);
    const found_words results(tables);
    std::uint64_t dirty = 0;
    results.index.each([&](const page_index::holder& holder) {
        dirty += holder.claim.state == TIERED_CLAIM_DIRTY;
    });
    return dirty;
}

} // namespace tiered
