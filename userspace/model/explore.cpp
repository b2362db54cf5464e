// SPDX-License-Identifier: GPL-2.0-or-later
// Depth-first exploration with one visit for all states that differ only in names.
#include "explore.h"

#include "oracle.h"
#include "superblocks.h"

namespace model {

namespace {

constexpr uint64_t left_mask = 15; // the low bits of a slot

constexpr std::array page_operations{Op::write_fast, Op::fill_clean, Op::bypass_write,
                                     Op::writeback,  Op::evict,      Op::discard,
                                     Op::meet_bad};
constexpr std::array memory_operations{Op::fill_for_fault, Op::map_to_load, Op::map_to_store,
                                       Op::sync, Op::write_part};
constexpr std::array half_operations{Op::store, Op::persist, Op::write_in_place};
constexpr std::array volume_operations{Op::flush, Op::recycle, Op::reopen, Op::grow};

bool is_dirty(Start start) {
    return start == Start::dirty || start == Start::stored;
}

// Now or after a crash now.
bool may_be_dirty(const Cell& word) {
    for (unsigned i = 0; i < word.count; i++)
        if (unpack(word.values[i]).state == TIERED_CLAIM_DIRTY)
            return true;
    return false;
}

// States with different numbers of crashes still to come are different.
uint64_t with_crashes(uint64_t hash, unsigned crashes) {
    return hash + crashes * 0x9e3779b97f4a7c15ull;
}

} // namespace

VisitedSet::VisitedSet() : slots_(1u << 16) {}

uint64_t& VisitedSet::slot(uint64_t hash) {
    const uint64_t mask = slots_.size() - 1;
    uint64_t at = (hash >> 8) & mask;

    while (slots_[at] && (slots_[at] ^ hash) & ~left_mask)
        at = (at + 1) & mask;
    return slots_[at];
}

void VisitedSet::grow() {
    std::vector<uint64_t> old(slots_.size() * 2);

    old.swap(slots_);
    for (const uint64_t entry : old)
        if (entry)
            slot(entry) = entry;
}

bool VisitedSet::improves(uint64_t hash, unsigned left) {
    uint64_t* entry = &slot(hash);

    if (*entry && (*entry & left_mask) > left)
        return false;
    if (!*entry && ++used_ * 2 > slots_.size()) {
        grow();
        entry = &slot(hash);
    }
    *entry = (hash & ~left_mask) | (left + 1);
    return true;
}

namespace {

// Frame number `p` holds page `p`.
void make_resident(State& state, u8 p, Start start) {
    Frame& frame = state.frames[p];
    Page& page = state.pages[p];
    const bool dirty = is_dirty(start);

    page.holder = p;
    page.claim = pack({.page = p,
                       .state = dirty ? TIERED_CLAIM_DIRTY : TIERED_CLAIM_CLEAN,
                       .version = static_cast<u8>(dirty ? TIERED_VERSIONS - 1 : 0)});
    frame.use = FrameUse::used;
    frame.primary.reset(page.claim);
    frame.shadow.reset(page.claim);
    for (Cell& half : frame.data)
        half.reset(make_value(p, dirty));
    frame.stored = start == Start::stored;
    frame.mapped = frame.stored || start == Start::mapped;
    if (frame.mapped)
        page.mapping = {p, frame.stored};
}

} // namespace

State initial_state(const Scenario& scenario) {
    State state;

    state.bounds = scenario.bounds;
    state.volume_pages = static_cast<u8>(state.bounds.grows ? 1 : state.bounds.pages);
    for (Cell& slot : state.superblocks)
        slot.reset(pack_superblock(1, 1));
    for (Frame& frame : state.frames)
        for (Cell& half : frame.data)
            half.reset(garbage);
    for (u8 p = 0; p < scenario.bounds.pages; p++) {
        Page& page = state.pages[p];
        const Start start = scenario.start[p];
        const u8 home = make_value(p, 0);
        const u8 newest = make_value(p, is_dirty(start));

        for (Cell& half : page.home)
            half.reset(home);
        for (Promise& promise : page.promise) {
            promise.after_crash = promise.now = promise.acknowledged = bit(value_id(newest));
            promise.alone = bit(value_id(home)) | bit(value_id(newest));
        }
        if (start != Start::absent)
            make_resident(state, p, start);
    }
    forget_unseen(state);
    return state;
}

Explorer::Explorer(const Scenario& scenario, Clock::time_point deadline)
    : scenario_(scenario), deadline_(deadline) {}

void Explorer::run() {
    if (scenario_.operations == any_number)
        return run_to_the_end();
    visit(initial_state(scenario_), scenario_.operations, scenario_.crashes);
}

// Breadth first, because paths get too long for the stack.
void Explorer::run_to_the_end() {
    reach(initial_state(scenario_), 0, 0);
    while (!waiting_.empty()) {
        const State state = waiting_.front();

        waiting_.pop_front();
        trace_.clear();
        look_at(state, 1, 1);
    }
}

void Explorer::reach(const State& state, unsigned left, unsigned crashes) {
    if (scenario_.operations != any_number)
        return visit(state, left, crashes);
    if (visited_.improves(canonical_hash(state), 0))
        waiting_.push_back(state);
}

void Explorer::visit(const State& state, unsigned left, unsigned crashes) {
    if (!visited_.improves(with_crashes(canonical_hash(state), crashes), left))
        return;
    figures_.longest = std::max(figures_.longest, ++depth_);
    look_at(state, left, crashes);
    depth_--;
}

void Explorer::look_at(const State& state, unsigned left, unsigned crashes) {
    if ((figures_.steps & 0xfff) == 0 && Clock::now() > deadline_)
        throw OutOfTime("the time given is over and the bounds are not reached");
    figures_.states = visited_.size();
    check_reads(state);
    crash(state, left, crashes);
    go_bad(state, left, crashes);
    unbind(state, left, crashes);
    check_progress(state);
    for (unsigned cpu = 0; cpu < state.bounds.cpus; cpu++) {
        if (state.cpus[cpu].op != Op::idle)
            continue_operation(state, cpu, left, crashes);
        else if (left && !state.opening)
            start_operations(state, cpu, left - 1, crashes);
    }
}

void Explorer::continue_operation(const State& state, unsigned cpu, unsigned left,
                                  unsigned crashes) {
    if (state.can_go_on(state.cpus[cpu]))
        step(state, cpu, left, crashes);
}

void Explorer::start_operations(const State& state, unsigned cpu, unsigned left, unsigned crashes) {
    const auto start = [&](Op op, u8 page, u8 named_page, u8 half = 0) {
        if (!can_start(state, op, page, half))
            return;
        State next = state;
        next.cpus[cpu].op = op;
        next.cpus[cpu].page = named_page;
        next.cpus[cpu].half = half;
        step(next, cpu, left, crashes);
    };

    for (const Op op : page_operations)
        for (u8 page = 0; page < state.bounds.pages; page++)
            start(op, page, page);
    for (const Op op : volume_operations)
        start(op, 0, none);
    for (u8 page = 0; page < state.bounds.pages && state.bounds.memory; page++) {
        for (const Op op : memory_operations)
            start(op, page, page);
        for (const Op op : half_operations)
            for (u8 half = 0; half < state.bounds.memory; half++)
                start(op, page, page, half);
    }
}

// The data of a frame that holds a page go bad, all at once and out of nothing.
void Explorer::go_bad(const State& state, unsigned left, unsigned crashes) {
    if (!state.bounds.damage || state.went_bad || state.opening)
        return;
    for (unsigned p = 0; p < state.bounds.pages; p++) {
        const Page& page = state.pages[p];

        if (page.holder == none)
            continue;
        State next = state;
        next.went_bad = true;
        next.damage = Damage::data;
        next.damaged_frame = page.holder;
        next.pages[p].may_fail = may_be_dirty(state.frames[page.holder].primary);
        trace_.push_back({none, Op::idle, none, Step::go_bad, page.holder, none});
        reach(next, left, crashes);
        trace_.pop_back();
    }
}

// The fast tier goes, as soon as nobody uses it.
void Explorer::unbind(const State& state, unsigned left, unsigned crashes) {
    if (!state.bounds.unbinds || state.gone || state.opening)
        return;
    for (const Cpu& cpu : state.cpus)
        if (cpu.inside)
            return;
    State next = state;
    next.gone = true;
    trace_.push_back({none, Op::idle, none, Step::unbound, none, none});
    reach(next, left, crashes);
    trace_.pop_back();
}

void Explorer::step(State state, unsigned cpu, unsigned left, unsigned crashes) {
    const size_t before = trace_.size();

    Driver(state, cpu, scenario_.grain, trace_).run();
    figures_.steps++;
    reach(state, left, crashes);
    trace_.resize(before);
}

void Explorer::crash(const State& state, unsigned left, unsigned crashes) {
    const State view = crash_view(state);
    const uint64_t hash = canonical_hash(view);

    if (checked_.improves(hash, 0)) {
        figures_.images += check_crashes(view);
        figures_.crash_points = checked_.size();
    }
    if (!crashes || !restarted_.improves(with_crashes(hash, crashes), left))
        return;
    const size_t before = trace_.size();

    trace_.push_back({none, Op::idle, none, Step::crash, none, none});
    for_each_restart(view, [&](const State& next) { reach(next, left, crashes - 1); });
    trace_.resize(before);
}

} // namespace model
