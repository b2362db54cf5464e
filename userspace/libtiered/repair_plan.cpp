// SPDX-License-Identifier: GPL-2.0-or-later
// What a repair has to do, as the driver's own load judges the volume.
#include "error.hpp"
#include "page_contents.hpp"
#include "repair.hpp"
#include "word_tables.hpp"

#include <algorithm>
#include <set>

namespace tiered {

namespace {

constexpr tiered_claim free_claim{0, TIERED_CLAIM_FREE, 0};
constexpr tiered_claim retired_claim{0, TIERED_CLAIM_RETIRED, 0};

tiered_claim lost_claim(tiered_claim claim) {
    claim.state = TIERED_CLAIM_LOST;
    return claim;
}

/// One of several claims of a page that no crash leaves.
struct rival {
    std::uint32_t frame;
    tiered_claim claim;
    bool word_reads; ///< its word says so, not only its shadow
    std::optional<page_contents> contents;
};

struct lost_page {
    std::uint64_t page;
    std::string why;
};

std::vector<lost_pages> in_runs(std::vector<lost_page> pages) {
    std::ranges::sort(pages, {}, &lost_page::page);
    std::vector<lost_pages> runs;
    for (lost_page& lost : pages) {
        if (!runs.empty() && runs.back().first + runs.back().count == lost.page &&
            runs.back().why == lost.why)
            runs.back().count++;
        else
            runs.push_back({lost.page, 1, std::move(lost.why)});
    }
    return runs;
}

class planner {
public:
    planner(storage& fast, storage& capacity, repair_plan& plan)
        : fast_(fast), capacity_(capacity), plan_(plan), tables_(fast, plan.sb()), found_(tables_),
          judge_(found_.index) {}

    void run() {
        for (const odd_frame& odd : found_.conflicts)
            contested_.insert(odd.claim.page);
        judge_damaged();
        judge_unknown();
        for (const odd_frame& odd : found_.losers)
            if (!contested_.contains(odd.claim.page))
                change(repair_step::losers, odd.frame, free_claim);
        judge_holders();
        judge_contested();
        judge_shadows();
        finish();
    }

private:
    void change(repair_step step, std::uint32_t frame, tiered_claim claim) {
        plan_.changes.push_back({frame, step, claim});
    }

    void lose(std::uint64_t page, std::string why) { lost_.push_back({page, std::move(why)}); }

    void judge_damaged() {
        for (const odd_frame& odd : found_.damaged)
            if (odd.claim.state != TIERED_CLAIM_RETIRED &&
                judge_.judge(odd) == TIERED_FOUND_CONFLICT)
                contested_.insert(odd.claim.page);
        for (const odd_frame& odd : found_.damaged)
            damaged_.insert(odd.frame);
        for (const auto& [frame, fate] : judge_.fates())
            if (!tiered_claim_holds_page(&fate.claim) || !contested_.contains(fate.claim.page))
                settle(frame, fate);
    }

    void settle(std::uint32_t frame, const damage_judge::fate& fate) {
        judged_.insert(frame);
        if (damaged_.contains(frame))
            damaged_words_++;
        if (fate.what == TIERED_FOUND_LOSER) {
            const bool has_newer = fate.other != TIERED_NO_FRAME;
            change(has_newer ? repair_step::losers : repair_step::others, frame, free_claim);
            return;
        }
        const auto was = tables_.claim(tables_.shadow, frame);
        if (was->state != TIERED_CLAIM_LOST &&
            compare_with_home(fast_, &capacity_, plan_.sb(), frame, was->page) ==
                comparison::same) {
            change(repair_step::others, frame, free_claim);
            return;
        }
        change(repair_step::lost, frame, lost_claim(fate.claim));
        lose(fate.claim.page, "the word of its frame was damaged while the page was dirty");
    }

    void judge_unknown() {
        for (const odd_frame& odd : found_.unknown) {
            const auto beyond = claim_beyond(tables_, odd.frame);
            if (beyond && beyond->state == TIERED_CLAIM_CLEAN) {
                change(repair_step::others, odd.frame, free_claim);
                clean_beyond_++;
                continue;
            }
            if (beyond)
                beyond_.push_back({beyond->page, "it is beyond the volume's end"});
            else
                add_unknown(odd.frame);
            if (plan_.accepted)
                change(repair_step::others, odd.frame, free_claim);
        }
    }

    void add_unknown(std::uint32_t frame) {
        auto& runs = plan_.unknown;
        if (!runs.empty() && runs.back().first + runs.back().count == frame)
            runs.back().count++;
        else
            runs.push_back({frame, 1});
    }

    void judge_holders() {
        found_.index.each([this](const page_index::holder& holder) {
            if (!judged_.contains(holder.frame) && !contested_.contains(holder.claim.page))
                judge_holder(holder);
        });
    }

    void judge_holder(const page_index::holder& holder) {
        const auto [frame, claim] = holder;
        if (claim.state == TIERED_CLAIM_LOST) {
            lose(claim.page, "its frame went bad while the page was dirty, or its word did, and "
                             "that stands since then");
            return;
        }
        if (read_page(fast_, plan_.sb().frame_offset(frame)))
            return;
        if (claim.state == TIERED_CLAIM_CLEAN) {
            change(repair_step::others, frame, retired_claim);
            unreadable_clean_++;
        } else {
            change(repair_step::lost, frame, lost_claim(claim));
            lose(claim.page, "its frame cannot be read, and the page was dirty");
        }
    }

    std::vector<rival> rivals_for(std::uint64_t page) {
        std::vector<rival> rivals;
        for (std::uint32_t frame = 0; frame < tables_.view.frames; frame++) {
            const auto word = tables_.claim(tables_.primary, frame);
            const auto claim = word ? word : tables_.claim(tables_.shadow, frame);
            if (claim && tiered_claim_holds_page(&*claim) && claim->page == page)
                rivals.push_back({frame, *claim, word.has_value(),
                                  read_page(fast_, plan_.sb().frame_offset(frame))});
        }
        return rivals;
    }

    void judge_contested() {
        for (const std::uint64_t page : contested_) {
            const std::vector<rival> rivals = rivals_for(page);
            if (const auto staying = who_stays(rivals, page))
                for (const rival& one : rivals) {
                    if (one.frame != *staying)
                        change(repair_step::others, one.frame, free_claim);
                }
            else
                lose_contested(rivals);
        }
    }

    /// The rival whose contents are the page's beyond doubt, TIERED_NO_FRAME where that is its
    /// home, or nothing.
    std::optional<std::uint32_t> who_stays(const std::vector<rival>& rivals, std::uint64_t page) {
        const auto in_state = [](tiered_claim_state state) {
            return [state](const rival& one) { return one.claim.state == state; };
        };
        if (std::ranges::any_of(rivals, in_state(TIERED_CLAIM_LOST)))
            return std::nullopt;
        if (have_same_contents(rivals)) {
            const auto dirty = std::ranges::find_if(rivals, [](const rival& one) {
                return one.word_reads && one.claim.state == TIERED_CLAIM_DIRTY;
            });
            const auto any = std::ranges::find_if(rivals, &rival::word_reads);
            if (any != rivals.end())
                return (dirty != rivals.end() ? dirty : any)->frame;
        }
        if (!std::ranges::all_of(rivals, in_state(TIERED_CLAIM_CLEAN)))
            return std::nullopt;
        if (std::ranges::none_of(rivals, &rival::word_reads))
            return TIERED_NO_FRAME;
        return rivals.size() == 2 ? same_as_home(rivals, page) : std::nullopt;
    }

    static bool have_same_contents(const std::vector<rival>& rivals) {
        return std::ranges::all_of(rivals, [&](const rival& one) {
            return one.contents && one.contents == rivals[0].contents;
        });
    }

    std::optional<std::uint32_t> same_as_home(const std::vector<rival>& rivals,
                                              std::uint64_t page) {
        const auto home = read_page(capacity_, page * TIERED_FRAME_BYTES);
        for (const rival& one : rivals)
            if (home && one.word_reads && one.contents == home)
                return one.frame;
        return std::nullopt;
    }

    void lose_contested(const std::vector<rival>& rivals) {
        for (const rival& one : rivals)
            change(repair_step::lost, one.frame, lost_claim(one.claim));
        for (std::size_t i = 1; i < rivals.size(); i++)
            change(repair_step::others, rivals[i].frame, free_claim);
        lose(rivals[0].claim.page, "more than one frame claims it with different contents, and "
                                   "which of them is right cannot be told");
    }

    void judge_shadows() {
        for (std::uint32_t frame = 0; frame < tables_.view.frames; frame++) {
            const auto word = tables_.claim(tables_.primary, frame);
            if (!word || tables_.primary[frame] == tables_.shadow[frame])
                continue;
            if (!tables_.claim(tables_.shadow, frame))
                damaged_shadows_++;
            change(repair_step::shadows, frame, *word);
        }
    }

    void finish() {
        std::ranges::stable_sort(plan_.changes, {}, &word_change::step);
        plan_.lost = in_runs(std::move(lost_));
        plan_.lost_beyond = in_runs(std::move(beyond_));
        const superblock_search& sbs = plan_.superblocks;
        plan_.rebuild_superblock = !sbs.other_slot_fault.empty();
        if (!is_damaged())
            plan_.changes.clear(); // what a crash leaves is the driver's to settle
        plan_.clear_needs_check =
            plan_.sb().needs_check() && (plan_.accepted || !plan_.needs_acceptance());
        describe();
    }

    std::size_t count(repair_step step) const {
        return static_cast<std::size_t>(
            std::ranges::count(plan_.changes, step, &word_change::step));
    }

    bool is_damaged() const {
        return damaged_words_ > 0 || damaged_shadows_ > 0 || unreadable_clean_ > 0 ||
               clean_beyond_ > 0 || !contested_.empty() || count(repair_step::lost) > 0 ||
               (plan_.accepted && plan_.needs_acceptance());
    }

    template <typename... Args>
    void act(std::size_t number, fmt::format_string<std::string, Args...> format, Args&&... args) {
        if (number > 0)
            plan_.actions.push_back(
                fmt::format(format, count_text(number), std::forward<Args>(args)...));
    }

    void describe() {
        const bool b_stands = plan_.superblocks.chosen_slot == 1;
        if (plan_.rebuild_superblock)
            plan_.actions.push_back(fmt::format(
                "rebuild superblock {}, which {}, from superblock {}", b_stands ? 'A' : 'B',
                plan_.superblocks.other_slot_fault, b_stands ? 'B' : 'A'));
        act(damaged_words_, "write the damaged words of {} frames anew");
        act(damaged_shadows_, "write {} damaged shadow words anew");
        act(count(repair_step::shadows) - std::min(damaged_shadows_, count(repair_step::shadows)),
            "bring {} shadow words up to their words");
        act(count(repair_step::lost), "mark {} claims lost, so that their pages answer errors");
        act(count(repair_step::losers), "clear {} older claims of pages that have a newer one");
        act(unreadable_clean_,
            "take {} frames that cannot be read out of use; they were clean, and their pages are "
            "read from their homes");
        act(clean_beyond_, "clear {} clean claims of pages beyond the volume's end");
        act(contested_.size(), "settle the contradicting claims of {} pages");
        if (plan_.accepted && plan_.needs_acceptance())
            plan_.actions.push_back("give up what cannot be told, as accepted");
        if (plan_.clear_needs_check)
            plan_.actions.push_back("clear the driver's request for a check");
    }

    storage& fast_;
    storage& capacity_;
    repair_plan& plan_;
    const word_tables tables_;
    const found_words found_;
    damage_judge judge_;

    std::set<std::uint64_t> contested_; ///< pages
    std::set<std::uint32_t> damaged_;
    std::set<std::uint32_t> judged_;
    std::vector<lost_page> lost_;
    std::vector<lost_page> beyond_;
    std::size_t damaged_words_ = 0;
    std::size_t damaged_shadows_ = 0;
    std::size_t unreadable_clean_ = 0;
    std::size_t clean_beyond_ = 0;
};

} // namespace

repair_plan plan_repair(storage& fast, storage& capacity, bool accept_loss) {
    repair_plan plan;
    plan.accepted = accept_loss;
    plan.superblocks = find_superblock(fast);
    const superblock_search& found = plan.superblocks;
    if (!found.chosen) {
        if (!found.has_magic)
            fail("there is no volume to repair: the superblock {}; if there was one, tierctl "
                 "restore writes a dump of it back",
                 found.fault);
        if (found.newer_format)
            fail("the volume cannot be repaired: its superblock {}; use a newer tierctl",
                 found.fault);
        plan.refusal = fmt::format(
            "neither superblock can be believed; one {}. With a dump of the volume: tierctl "
            "restore FILE --fast PATH. Without one, only what was written home is "
            "left: tierctl format --adopt --force makes a new volume of the disk",
            found.fault);
        return plan;
    }
    require_own_capacity(plan.sb(), capacity);
    if (tiered_superblock_read_only(&plan.sb().raw))
        fail("the volume '{}' uses features that this tierctl can only read; use a newer one",
             plan.sb().name());
    planner(fast, capacity, plan).run();
    return plan;
}

} // namespace tiered
