// SPDX-License-Identifier: GPL-2.0-or-later
// Checking a volume: superblocks, words, shadows and, where it matters, contents.
#include "check.hpp"

#include "../../driver/core/load.h"
#include "error.hpp"
#include "page_index.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

namespace tiered {

namespace {

constexpr std::size_t findings_kept = 200;
constexpr std::size_t read_chunk_bytes = 1 << 20;
constexpr auto unreadable = std::byte{0xff}; // bits that no valid word has

using page_contents = std::array<std::byte, TIERED_FRAME_BYTES>;

/// Reads a table of words; sectors that the medium cannot read become words that do not decode.
std::vector<__le64> read_table(storage& fast, std::uint64_t offset, std::uint32_t frames) {
    std::vector<__le64> words((std::uint64_t{frames} * sizeof(__le64) + TIERED_FRAME_BYTES - 1) /
                              TIERED_FRAME_BYTES * TIERED_FRAME_BYTES / sizeof(__le64));
    auto rest = std::as_writable_bytes(std::span(words));
    while (!rest.empty()) {
        auto chunk = rest.first(std::min(rest.size(), read_chunk_bytes));
        try {
            fast.read(offset, chunk);
        } catch (const media_error&) {
            for (std::size_t at = 0; at < chunk.size(); at += TIERED_SECTOR_BYTES) {
                auto sector = chunk.subspan(at, TIERED_SECTOR_BYTES);
                try {
                    fast.read(offset + at, sector);
                } catch (const media_error&) {
                    std::ranges::fill(sector, unreadable);
                }
            }
        }
        offset += chunk.size();
        rest = rest.subspan(chunk.size());
    }
    words.resize(frames);
    return words;
}

struct word_tables {
    std::vector<__le64> primary;
    std::vector<__le64> shadow;
    tiered_words view{};
    tiered_word_copies copies{};

    word_tables(storage& fast, const superblock& sb)
        : primary(read_table(fast, sb.words_offset(), sb.frames())),
          shadow(read_table(fast, sb.shadow_offset(), sb.frames())),
          view{primary.data(),   shadow.data(), sb.pages(), sb.frames(),
               sb.raw.word_seed, nullptr,       nullptr},
          copies{primary.data(), shadow.data(), 0, sb.frames()} {}
};

struct odd_frame {
    std::uint32_t frame;
    tiered_claim claim;
    std::uint32_t other;
};

/// What loading finds, kept until everything is known.
struct load_results {
    page_index index;
    std::uint64_t free = 0;
    std::uint64_t retired = 0;
    std::vector<odd_frame> losers;
    std::vector<odd_frame> damaged;
    std::vector<odd_frame> conflicts;

    explicit load_results(const tiered_words& words) : index(words) {}
};

std::uint32_t found_holder(const std::optional<page_index::holder>& holder, tiered_claim* claim) {
    if (!holder)
        return TIERED_NO_FRAME;
    *claim = holder->claim;
    return holder->frame;
}

std::uint32_t on_find(void* context, std::uint64_t page, tiered_claim* claim) {
    return found_holder(static_cast<load_results*>(context)->index.find(page), claim);
}

void on_hold(void* context, std::uint32_t frame, const tiered_claim* claim, std::uint32_t) {
    static_cast<load_results*>(context)->index.hold(frame, claim->page);
}

void on_found(void* context, std::uint32_t frame, tiered_found what, const tiered_claim* claim,
              std::uint32_t other) {
    load_results& results = *static_cast<load_results*>(context);
    switch (what) {
    case TIERED_FOUND_FREE:
        results.free++;
        break;
    case TIERED_FOUND_RETIRED:
        results.retired++;
        break;
    case TIERED_FOUND_HOLDER:
        break;
    case TIERED_FOUND_LOSER:
        results.losers.push_back({frame, *claim, other});
        break;
    case TIERED_FOUND_DAMAGED:
    case TIERED_FOUND_UNKNOWN:
        results.damaged.push_back({frame, *claim, other});
        break;
    case TIERED_FOUND_CONFLICT:
        results.conflicts.push_back({frame, *claim, other});
        break;
    }
}

load_results load(const word_tables& tables) {
    constexpr tiered_load_ops ops{on_find, on_hold, on_found};
    load_results results(tables.view);
    tiered_load_words(&tables.view, &tables.copies, &ops, &results);
    return results;
}

/// What the driver would make of the damaged words, one after the other, when it loads them.
class damage_judge {
public:
    explicit damage_judge(const page_index& index) : index_(index) {}

    tiered_found judge(const odd_frame& odd) {
        constexpr tiered_load_ops ops{on_find, on_hold, on_found};
        frame_ = odd.frame;
        tiered_load_damaged(odd.frame, &odd.claim, &ops, this);
        return fate_;
    }

private:
    static std::uint32_t on_find(void* context, std::uint64_t page, tiered_claim* claim) {
        damage_judge& self = *static_cast<damage_judge*>(context);
        if (const auto lost = self.lost_.find(page); lost != self.lost_.end())
            return found_holder(lost->second, claim);
        return found_holder(self.index_.find(page), claim);
    }

    static void on_hold(void* context, std::uint32_t frame, const tiered_claim* claim,
                        std::uint32_t) {
        static_cast<damage_judge*>(context)->lost_[claim->page] = {frame, *claim};
    }

    static void on_found(void* context, std::uint32_t frame, tiered_found what, const tiered_claim*,
                         std::uint32_t) {
        damage_judge& self = *static_cast<damage_judge*>(context);
        if (frame == self.frame_) // another may be reported as its loser
            self.fate_ = what;
    }

    const page_index& index_;
    std::map<std::uint64_t, page_index::holder> lost_;
    std::uint32_t frame_ = TIERED_NO_FRAME;
    tiered_found fate_ = TIERED_FOUND_FREE;
};

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

class checker {
public:
    checker(storage& fast, storage* capacity, const superblock& sb, check_report& report)
        : fast_(fast), capacity_(capacity), sb_(sb), tables_(fast, sb), results_(load(tables_)),
          report_(report) {}

    void run(const check_options& options) {
        count();
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
        if (report_.findings.size() < findings_kept)
            report_.findings.push_back({level, fmt::format(format, std::forward<Args>(args)...)});
        else
            report_.findings_left_out++;
    }

private:
    void count() {
        check_counts& counts = report_.counts;
        counts.free = results_.free;
        counts.retired = results_.retired;
        counts.losers = results_.losers.size();
        counts.damaged = results_.damaged.size();
        counts.conflicts = results_.conflicts.size();
        results_.index.each([&](const page_index::holder& holder) {
            counts.clean += holder.claim.state == TIERED_CLAIM_CLEAN;
            counts.dirty += holder.claim.state == TIERED_CLAIM_DIRTY;
            counts.lost += holder.claim.state == TIERED_CLAIM_LOST;
        });
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

    void judge_damaged(const odd_frame& odd, damage_judge& judge) {
        if (!claim_in(tables_.shadow, odd.frame)) {
            say(severity::damage,
                "the word of frame {} is damaged and so is its shadow; if it was dirty, a page has "
                "lost its newest contents, and which one cannot be told",
                odd.frame);
            return;
        }
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
            if (holder.claim.state == TIERED_CLAIM_DIRTY && !frame_contents(holder.frame))
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
                !claim_in(tables_.primary, frame))
                continue;
            if (claim_in(tables_.shadow, frame))
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
        switch (compare_with_home(holder.frame, page)) {
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

    std::optional<tiered_claim> claim_in(const std::vector<__le64>& table,
                                         std::uint32_t frame) const {
        tiered_claim claim{};
        if (tiered_claim_decode(table[frame], frame, tables_.view.seed, tables_.view.pages, &claim))
            return std::nullopt;
        return claim;
    }

    static std::optional<page_contents> read_page(storage& from, std::uint64_t offset) {
        page_contents contents;
        try {
            from.read(offset, contents);
        } catch (const media_error&) {
            return std::nullopt;
        }
        return contents;
    }

    std::optional<page_contents> frame_contents(std::uint32_t frame) {
        return read_page(fast_, sb_.frame_offset(frame));
    }

    enum class comparison { same, different, frame_unreadable, home_unreadable };

    comparison compare_with_home(std::uint32_t frame, std::uint64_t page) {
        const auto here = frame_contents(frame);
        if (!here)
            return comparison::frame_unreadable;
        const auto home =
            capacity_ ? read_page(*capacity_, page * TIERED_FRAME_BYTES) : std::nullopt;
        if (!home)
            return comparison::home_unreadable;
        return *here == *home ? comparison::same : comparison::different;
    }

    storage& fast_;
    storage* capacity_;
    const superblock& sb_;
    word_tables tables_;
    load_results results_;
    check_report& report_;
};

void require_capacity(const superblock& sb, const storage* capacity) {
    if (!capacity)
        return;
    const std::uint64_t wanted = sb.tier().size_sectors * TIERED_SECTOR_BYTES;
    if (capacity->size_bytes() < wanted) // it may have grown
        fail("this is not the capacity tier of the volume '{}': it has {} bytes, but {} were "
             "recorded; name the right one",
             sb.name(), capacity->size_bytes(), wanted);
}

} // namespace

check_report check_volume(storage& fast, storage* capacity, const check_options& options) {
    const superblock_search found = find_superblock(fast);
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
        return report;
    }
    report.sb = *found.chosen;
    require_capacity(report.sb, capacity);

    checker run(fast, capacity, report.sb, report);
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

std::uint64_t count_dirty_pages(storage& fast, const superblock& sb) {
    const word_tables tables(fast, sb);
    const load_results results = load(tables);
    std::uint64_t dirty = 0;
    results.index.each([&](const page_index::holder& holder) {
        dirty += holder.claim.state == TIERED_CLAIM_DIRTY;
    });
    return dirty;
}

} // namespace tiered
