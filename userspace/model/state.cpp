// SPDX-License-Identifier: GPL-2.0-or-later
// The rules of persistence for one cell, the promises of one page, and small questions about a
// state.
#include "state.h"

#include "mutants.h"

#include <algorithm>
#include <stdexcept>

namespace model {

u8 pack(const tiered_claim& claim) {
    if (claim.state == TIERED_CLAIM_RETIRED)
        return packed_retired;
    if (!tiered_claim_holds_page(&claim))
        return packed_free;
    return static_cast<u8>(0x80 | claim.page << 6 | claim.state << 4 | claim.version);
}

tiered_claim unpack(u8 packed) {
    if (!holds_page(packed))
        return {.page = 0,
                .state = packed == packed_retired ? TIERED_CLAIM_RETIRED : TIERED_CLAIM_FREE,
                .version = 0};
    return {.page = packed >> 6 & 1u,
            .state = static_cast<tiered_claim_state>(packed >> 4 & 3),
            .version = static_cast<u8>(packed & 15)};
}

void Cell::reset(u8 value) {
    *this = Cell{};
    values[0] = value;
}

void Cell::store(u8 value) {
    if (newest() == value && !undrained)
        return;
    if (count == depth)
        throw std::logic_error("a cell holds more undurable values than the model has room for");
    values[count++] = value;
}

void Cell::store_around(unsigned cpu, u8 value) {
    store(value);
    pending[cpu] = static_cast<u8>(count - 1);
}

void Cell::flush_up_to(unsigned cpu, unsigned newest_covered) {
    pending[cpu] = static_cast<u8>(std::max<unsigned>(pending[cpu], newest_covered));
}

void Cell::flush(unsigned cpu) {
    const bool foreign = undrained && undrained_cpu != cpu;

    flush_up_to(cpu, foreign ? undrained - 1u : count - 1u);
}

void Cell::fence(unsigned cpu) {
    const u8 now_durable = pending[cpu];

    if (!now_durable)
        return;
    std::shift_left(values.begin(), values.end(), now_durable);
    std::fill(values.end() - now_durable, values.end(), u8{0});
    count = static_cast<u8>(count - now_durable);
    for (u8& index : pending)
        index = static_cast<u8>(std::max(0, index - now_durable));
    undrained = static_cast<u8>(std::max(0, undrained - now_durable));
    if (!undrained)
        undrained_cpu = 0;
}

void Promise::begin(u8 value) {
    const unsigned id = value_id(value);

    before[id] = acknowledged;
    after_crash |= bit(id);
    alone |= bit(id);
    now |= bit(id);
}

void Promise::acknowledge(u8 value) {
    const unsigned id = value_id(value);

    acknowledged |= bit(id);
    undurable |= bit(id);
    now = static_cast<Mask>(now & ~before[id]);
}

// No FLUSH answers for it.
void Promise::end_store(u8 value) {
    const unsigned id = value_id(value);

    acknowledged |= bit(id);
    stored |= bit(id);
    now = static_cast<Mask>(now & ~before[id]);
}

void Promise::make_durable(unsigned id) {
    after_crash = static_cast<Mask>(after_crash & ~before[id]);
    alone = static_cast<Mask>(alone & ~before[id]);
    alone_torn = false;
    undurable = static_cast<Mask>(undurable & ~bit(id));
    stored = static_cast<Mask>(stored & ~bit(id));
    before[id] = 0;
}

void Promise::end_flush(unsigned cpu) {
    for (unsigned id = 0; id < max_ids; id++)
        if (flushing[cpu] & (undurable | stored) & bit(id))
            make_durable(id);
    flushing[cpu] = 0;
}

Contents newest_of(const std::array<Cell, halves>& cells) {
    return {cells[0].newest(), cells[1].newest()};
}

bool State::can_go_on(const Cpu& cpu) const {
    const u8 page = cpu.waits_for_page;

    switch (cpu.waits) {
    case Wait::nothing:
        return true;
    case Wait::lock:
        return stripe(page).locked_by == none;
    case Wait::lock_with_idle_home:
        return stripe(page).locked_by == none && !pages[page].home_busy;
    case Wait::open_gate:
        return gate(page).shut_by == none;
    case Wait::free_gate:
        return gate(page).shut_by == none && !gate(page).shared;
    }
    return false;
}

u8 State::visible(unsigned page, unsigned half) const {
    const Page& p = pages[page];
    const u8 at_home = p.home[half % bounds.apart()].newest();

    if (p.holder == none)
        return at_home;
    const tiered_claim_state claimed = unpack(p.claim).state;
    if (claimed == TIERED_CLAIM_LOST)
        return failed;
    if (gone) {
        const bool whole_at_home =
            claimed == TIERED_CLAIM_CLEAN || has_fault(Mutant::gone_reads_dirty_from_home);
        return whole_at_home ? at_home : failed;
    }
    if (!is_damaged(Damage::data, p.holder)) {
        const Contents contents = newest_of(frames[p.holder].data);
        const bool is_torn = bounds.apart() == 1 && contents[0] != contents[1];

        return is_torn ? torn : contents[half];
    }
    return claimed == TIERED_CLAIM_CLEAN ? at_home : failed;
}

namespace {

struct Mentions {
    std::array<std::array<Mask, halves>, max_pages> ids{};

    void add(unsigned half, u8 value) {
        if (value < max_pages * max_ids)
            ids[value / max_ids][half] |= bit(value_id(value));
    }
    void add(unsigned half, const Cell& cell) {
        for (unsigned i = 0; i < cell.count; i++)
            add(half, cell.values[i]);
    }
};

Mentions mentions(const State& state) {
    const unsigned apart = state.bounds.apart();
    Mentions found;

    for (unsigned f = 0; f < state.bounds.frames; f++)
        for (unsigned half = 0; half < halves; half++)
            found.add(half % apart, state.frames[f].data[half]);
    for (unsigned half = 0; half < apart; half++) {
        for (unsigned p = 0; p < state.bounds.pages; p++)
            found.add(half, state.pages[p].home[half]);
        for (unsigned c = 0; c < state.bounds.cpus; c++)
            for (unsigned i = 0; i < state.cpus[c].values_count; i++)
                found.add(half, state.cpus[c].values[i]);
    }
    return found;
}

void forget_but(Promise& promise, Mask keep) {
    promise.after_crash &= keep;
    promise.now &= keep;
    promise.alone &= keep;
    promise.acknowledged &= keep;
    promise.undurable &= keep;
    promise.stored &= keep;
    for (Mask& mask : promise.flushing)
        mask &= keep;
    for (unsigned id = 0; id < max_ids; id++)
        promise.before[id] &= keep & bit(id) ? keep : Mask{0};
}

} // namespace

u8 fresh_value(const State& state, unsigned page) {
    const std::array<Mask, halves> ids = mentions(state).ids[page];
    const unsigned taken = ids[0] | ids[1];

    for (unsigned id = 0; id < max_ids; id++)
        if (!(taken & bit(id)))
            return make_value(page, id);
    throw std::logic_error("a page has more distinct contents than the model has room for");
}

void forget_unseen(State& state) {
    const Mentions seen = mentions(state);

    for (unsigned p = 0; p < state.bounds.pages; p++)
        for (unsigned half = 0; half < state.bounds.apart(); half++)
            forget_but(state.pages[p].promise[half], seen.ids[p][half]);
}

} // namespace model
