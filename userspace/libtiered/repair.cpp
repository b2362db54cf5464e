// SPDX-License-Identifier: GPL-2.0-or-later
// Carrying out a repair, step by step; what must come before what stands in the header.
#include "repair.hpp"

#include "error.hpp"
#include "table_writer.hpp"
#include "word_tables.hpp"

namespace tiered {

namespace {

class repairer {
public:
    repairer(storage& fast, const repair_plan& plan)
        : fast_(fast), plan_(plan), tables_(fast, plan.sb()),
          words_(fast, plan.sb().words_offset(), tables_.primary, plan.sb().raw.word_seed),
          shadows_(fast, plan.sb().shadow_offset(), tables_.shadow, plan.sb().raw.word_seed),
          standing_(plan.superblocks.chosen_slot), next_(plan.sb()) {}

    std::vector<std::string> run() {
        if (plan_.rebuild_superblock)
            put_superblock(1 - standing_);
        for (const repair_step step :
             {repair_step::shadows, repair_step::lost, repair_step::losers, repair_step::others})
            take(step);
        if (plan_.clear_needs_check)
            clear_request();
        words_.complain("words", complaints_);
        shadows_.complain("shadow words", complaints_);
        return std::move(complaints_);
    }

private:
    void take(repair_step step) {
        if (step != repair_step::shadows) {
            each(step, [&](const word_change& one) { words_.set(one.frame, one.claim); });
            words_.write();
        }
        each(step, [&](const word_change& one) { shadows_.set(one.frame, shadow_of(one)); });
        shadows_.write();
        fast_.sync();
    }

    template <typename Do>
    void each(repair_step step, Do act) const {
        for (const word_change& one : plan_.changes)
            if (one.step == step)
                act(one);
    }

    tiered_claim shadow_of(const word_change& one) const {
        if (one.claim.state == TIERED_CLAIM_FREE && words_.failed(one.frame))
            return {0, TIERED_CLAIM_RETIRED, 0};
        return one.claim;
    }

    bool put_superblock(unsigned slot) {
        try {
            write_next_superblock(fast_, next_, slot);
            standing_ = slot;
            return true;
        } catch (const media_error&) {
            complaints_.push_back(
                fmt::format("superblock {} takes no write; the other one serves alone until the "
                            "memory is mended (ndctl list --media-errors) and repair runs again",
                            slot ? 'B' : 'A'));
            return false;
        }
    }

    /// The one that does not stand first; when it is whole it stands, and the former one follows.
    /// One that serves alone is never overwritten.
    void clear_request() {
        next_.raw.flags = cpu_to_le32(le32_to_cpu(next_.raw.flags) & ~TIERED_SB_NEEDS_CHECK);
        const unsigned former = standing_;
        if (put_superblock(1 - former))
            put_superblock(former);
    }

    storage& fast_;
    const repair_plan& plan_;
    word_tables tables_;
    table_writer words_;
    table_writer shadows_;
    unsigned standing_;
    superblock next_;
    std::vector<std::string> complaints_;
};

} // namespace

std::vector<std::string> carry_out(storage& fast, const repair_plan& plan) {
    return repairer(fast, plan).run();
}

} // namespace tiered
