// SPDX-License-Identifier: GPL-2.0-or-later
// The steps of operations: what each does to the world, and how an operation stops at a point and
// comes back to it.
#include "driver.h"

#include "media.h"
#include "superblocks.h"
#include "violation.h"

#include <fmt/format.h>

namespace model {

namespace {

Driver* running = nullptr; // whom the shim's calls belong to

} // namespace

Driver::Driver(State& state, unsigned cpu, Grain grain, std::vector<TraceEntry>& trace)
    : state_(state), cpu_(cpu), me_(state.cpus[cpu]), grain_(grain), trace_(trace) {}

void Driver::run() {
    running = this;
    // The protocol is C and the operations keep nothing to destroy, so that a jump out of them is
    // sound.
    if (setjmp(pause_) == 0) {
        run_operation(*this, me_.op, me_.page);
        me_ = Cpu{};
    }
    running = nullptr;
    forget_unseen(state_);
}

bool Driver::pauses_before(Step step) const {
    switch (step) {
    case Step::lock:
    case Step::pm_fence:
    case Step::read_frame:
    case Step::read_home:
    case Step::disk_submit:
    case Step::disk_complete:
    case Step::disk_flush_begin:
    case Step::disk_flush_end:
    case Step::take_limbo:
    case Step::enter:
    case Step::store_superblock:
    case Step::share_gate:
    case Step::shut_gate:
    case Step::unmap:
    case Step::enter_mapping:
    case Step::drop_mapping:
        return true;
    case Step::store_data:
    case Step::store_in_place:
    case Step::pm_store:
    case Step::pm_store_shadow:
    case Step::pm_store_around:
    case Step::pm_flush:
    case Step::pm_flush_shadow:
    case Step::flush_lines:
        return grain_ == Grain::fine;
    default:
        return false;
    }
}

bool Driver::perform(Step step, u8 first, u8 second, Wait wait) {
    if (visited_ < me_.steps) {
        visited_++;
        return false;
    }
    if (progressed_ && pauses_before(step)) {
        me_.waits = wait;
        me_.waits_for_page = wait == Wait::nothing ? none : first;
        std::longjmp(pause_, 1);
    }
    progressed_ = true;
    visited_++;
    me_.steps++;
    trace_.push_back({static_cast<u8>(cpu_), me_.op, me_.page, step, first, second});
    return true;
}

u8 Driver::answer_frame(bool performed, u8 frame) {
    if (performed)
        note_frame(frame);
    return me_.frames[frames_read_++];
}

u8 Driver::answer_value(bool performed, u8 value) {
    if (performed)
        note_value(value);
    return me_.values[values_read_++];
}

Contents Driver::answer_contents(bool performed, const Contents& contents) {
    const u8 first = answer_value(performed, contents[0]);

    return {first, bounds().apart() == 1 ? first : answer_value(performed, contents[1])};
}

u8 Driver::answer_claim(bool performed, u8 claim) {
    if (performed)
        note_claim(claim);
    return me_.claims[claims_read_++];
}

u8 Driver::answer_number(bool performed, u8 number) {
    if (performed)
        note_number(number);
    return me_.numbers[numbers_read_++];
}

bool Driver::enter() {
    if (!bounds().unbinds)
        return true;
    const bool now = perform(Step::enter);

    if (now)
        me_.inside = !state_.gone;
    return answer_number(now, now && me_.inside);
}

void Driver::leave() {
    if (bounds().unbinds && perform(Step::leave))
        me_.inside = false;
}

bool Driver::gone() {
    if (!bounds().unbinds)
        return false;
    const bool now = perform(Step::is_gone);

    return answer_number(now, now && state_.gone);
}

void Driver::lock(u8 page) {
    take_lock(page, Wait::lock);
}

void Driver::lock_with_idle_home(u8 page) {
    take_lock(page, Wait::lock_with_idle_home);
}

void Driver::take_lock(u8 page, Wait wait) {
    if (!perform(Step::lock, page, none, wait))
        return;
    if (state_.stripe(page).locked_by != none)
        throw std::logic_error("a CPU was run while its lock was taken");
    state_.stripe(page).locked_by = static_cast<u8>(cpu_);
}

void Driver::unlock(u8 page) {
    if (perform(Step::unlock, page))
        state_.stripe(page).locked_by = none;
}

u8 Driver::allocate() {
    const bool now = perform(Step::allocate);
    u8 frame = none;

    for (u8 f = 0; now && f < state_.bounds.frames && frame == none; f++)
        if (state_.frames[f].use == FrameUse::free && !state_.is_damaged(Damage::data, f))
            frame = f;
    if (now && frame != none)
        state_.frames[frame].use = FrameUse::used;
    return answer_frame(now, frame);
}

void Driver::store_data(u8 frame, const Contents& contents) {
    for (u8 half = 0; half < halves; half++) {
        if (!perform(Step::store_data, frame, contents[half]))
            continue;
        Frame& f = state_.frames[frame];

        if (!f.primary.settled() || f.primary.durable() != packed_free || !f.shadow.settled() ||
            f.shadow.durable() != packed_free)
            throw Violation(fmt::format(
                "frame {} is written while its claim is not durably free (invariant 2)", frame));
        f.data[half].store_around(cpu_, contents[half]);
    }
}

Contents Driver::read_frame(u8 frame) {
    const bool now = perform(Step::read_frame, frame);
    Contents contents = now ? newest_of(state_.frames[frame].data) : whole(none);

    if (now && state_.is_damaged(Damage::data, frame))
        contents = whole(failed);
    if (bounds().apart() == 1 && contents[0] != contents[1])
        contents = whole(torn);
    return answer_contents(now, contents);
}

void Driver::to_limbo(u8 frame) {
    if (perform(Step::to_limbo, frame))
        state_.frames[frame].use = FrameUse::limbo;
}

void Driver::to_free(u8 frame) {
    if (perform(Step::to_free, frame))
        release(frame);
}

// Nobody may see what it held: a claim on it from now on must bring new data.
void Driver::release(u8 frame) {
    Frame& f = state_.frames[frame];
    const bool damaged = state_.damage != Damage::nothing && state_.damaged_frame == frame;
    const bool usable = !f.condemned && (!damaged || has_fault(Mutant::load_frees_bad_words));

    f.use = usable ? FrameUse::free : FrameUse::retired;
    f.mapped = f.stored = f.cleaning = f.restored = false;
    // What a fast tier that came back has in the caches alone may be a claim on its medium still.
    if (bounds().unbinds && !(f.primary.settled() && f.shadow.settled()))
        return;
    for (Cell& half : f.data)
        half.reset(garbage);
}

void Driver::pin(u8 frame) {
    if (perform(Step::pin, frame))
        state_.frames[frame].pins++;
}

void Driver::unpin(u8 frame) {
    if (perform(Step::unpin, frame))
        state_.frames[frame].pins--;
}

FrameList Driver::take_limbo() {
    const bool now = perform(Step::take_limbo);
    FrameList list;

    for (u8 f = 0; now && f < state_.bounds.frames; f++) {
        const bool read = state_.frames[f].pins && !has_fault(Mutant::recycle_ignores_readers);
        if (state_.frames[f].use != FrameUse::limbo || read)
            continue;
        state_.frames[f].use = FrameUse::settling;
        list.frames[list.count++] = f;
    }
    list.count = answer_number(now, static_cast<u8>(list.count));
    for (unsigned i = 0; i < list.count; i++)
        list.frames[i] = answer_frame(now, list.frames[i]);
    return list;
}

Holder Driver::holder(u8 page) {
    const bool now = perform(Step::holder, page);
    const Page& p = state_.pages[page];
    const u8 frame = answer_frame(now, p.holder);

    return {frame, unpack(answer_claim(now, p.claim))};
}

void Driver::set_holder(u8 page, u8 frame, const tiered_claim& claim) {
    if (!perform(Step::set_holder, page, frame))
        return;
    state_.pages[page].holder = frame;
    state_.pages[page].claim = pack(claim);
}

void Driver::remove_holder(u8 page) {
    if (!perform(Step::remove_holder, page))
        return;
    state_.pages[page].holder = none;
    state_.pages[page].claim = packed_free;
}

tiered_clear Driver::load_clear(u8 page) {
    const bool now = perform(Step::load_clear, page);
    const u8 frame = answer_frame(now, state_.stripe(page).unfenced_frame);

    return {frame == none ? TIERED_NO_FRAME : word_number(frame)};
}

void Driver::store_clear(u8 page, const tiered_clear& clear) {
    const u8 frame = frame_of_word(clear.unfenced_frame);

    if (perform(Step::store_clear, page, frame))
        state_.stripe(page).unfenced_frame = frame;
}

void Driver::publish(u8 page, u8 frame, const tiered_claim& claim) {
    tiered_clear clear = load_clear(page);
    const tiered_words map = words();

    tiered_claim_publish(&map, &clear, word_number(frame), claim);
    store_clear(page, clear);
}

void Driver::supersede(u8 page, u8 frame) {
    tiered_clear clear = load_clear(page);
    const tiered_words map = words();

    tiered_claim_supersede(&map, &clear, word_number(frame));
    store_clear(page, clear);
}

void Driver::withdraw(u8 page, u8 frame) {
    tiered_clear clear = load_clear(page);
    const tiered_words map = words();

    tiered_claim_withdraw(&map, &clear, word_number(frame));
    store_clear(page, clear);
}

void Driver::mark_clean(u8 frame, const tiered_claim& claim) {
    const tiered_words map = words();

    tiered_claim_mark_clean(&map, word_number(frame), claim);
}

void Driver::mark_dirty(u8 frame, const tiered_claim& claim) {
    const tiered_words map = words();

    tiered_claim_mark_dirty(&map, word_number(frame), claim);
}

void Driver::mark_lost(u8 frame, const tiered_claim& claim) {
    const tiered_words map = words();

    tiered_claim_mark_lost(&map, word_number(frame), claim);
}

void Driver::retire(u8 frame) {
    const tiered_words map = words();

    tiered_claim_retire(&map, word_number(frame));
    to_free(frame);
}

void Driver::settle(const FrameList& list) {
    const tiered_words map = words();
    std::array<u32, max_frames> numbers{};

    for (unsigned i = 0; i < list.count; i++)
        numbers[i] = word_number(list.frames[i]);
    tiered_claims_settle(&map, numbers.data(), list.count);
}

void Driver::condemn(u8 frame) {
    if (perform(Step::condemn, frame))
        state_.frames[frame].condemned = true;
}

bool Driver::condemned(u8 frame) {
    const bool now = perform(Step::is_condemned, frame);

    return answer_number(now, now && state_.frames[frame].condemned);
}

bool Driver::data_readable(u8 frame) {
    const bool now = perform(Step::is_readable, frame);

    return answer_number(now, now && !state_.is_damaged(Damage::data, frame));
}

void Driver::noticed_bad(u8 page) {
    if (perform(Step::noticed_bad, page))
        state_.noticed = true;
}

bool Driver::home_busy(u8 page) {
    const bool now = perform(Step::home_busy, page);

    return answer_number(now, state_.pages[page].home_busy);
}

void Driver::begin_home_write(u8 page) {
    if (perform(Step::begin_home_write, page))
        state_.pages[page].home_busy = true;
}

void Driver::end_home_write(u8 page) {
    if (perform(Step::end_home_write, page))
        state_.pages[page].home_busy = false;
}

void Driver::disk_write(u8 page, const Contents& contents) {
    Page& p = state_.pages[page];

    if (perform(Step::disk_submit, contents[0], contents[1])) {
        if (p.home_in_flight)
            throw Violation(fmt::format(
                "two writes of the home of page {} are in flight at once (invariant 6)", page));
        p.changing = 0;
        for (unsigned half = 0; half < bounds().apart(); half++) {
            if (p.home[half].newest() != contents[half])
                p.changing |= static_cast<u8>(1u << half);
            p.home[half].store(contents[half]);
        }
        p.home_in_flight = true;
    }
    if (perform(Step::disk_complete, page)) {
        p.home_in_flight = false;
        p.changing = 0;
    }
}

void Driver::disk_flush() {
    if (perform(Step::disk_flush_begin)) {
        for (Page& p : state_.pages) {
            // A flush answers for the writes that completed before it began.
            for (unsigned half = 0; half < bounds().apart(); half++)
                p.home[half].flush_up_to(cpu_, p.home[half].count - 1u - (p.changing >> half & 1u));
            if (p.unflushed)
                p.covered |= bit(cpu_);
            if (has_fault(Mutant::flush_forgets_early))
                p.unflushed = false;
        }
    }
    if (perform(Step::disk_flush_end)) {
        for (Page& p : state_.pages) {
            for (unsigned half = 0; half < bounds().apart(); half++)
                p.home[half].fence(cpu_);
            if (p.covered & bit(cpu_))
                p.unflushed = false;
            p.covered &= p.unflushed ? static_cast<Mask>(~bit(cpu_)) : Mask{0};
        }
    }
}

Contents Driver::read_home(u8 page) {
    const bool now = perform(Step::read_home, page);
    const std::array<Cell, halves>& home = state_.pages[page].home;

    return answer_contents(now, bounds().apart() == 1 ? whole(home[0].newest()) : newest_of(home));
}

void Driver::note_event(u8 page) {
    if (perform(Step::note_event, page))
        state_.pages[page].spoiled = static_cast<Mask>(bit(state_.bounds.cpus) - 1);
}

void Driver::begin_fill(u8 page) {
    if (perform(Step::begin_fill, page))
        state_.pages[page].spoiled &= static_cast<Mask>(~bit(cpu_));
}

bool Driver::fill_spoiled(u8 page) {
    const bool now = perform(Step::fill_spoiled, page);

    return answer_number(now, state_.pages[page].spoiled >> cpu_ & 1);
}

bool Driver::home_unflushed(u8 page) {
    const bool now = perform(Step::home_unflushed, page);

    return answer_number(now, state_.pages[page].unflushed);
}

void Driver::mark_unflushed(u8 page) {
    if (!perform(Step::mark_unflushed, page))
        return;
    state_.pages[page].unflushed = true;
    state_.pages[page].covered = 0;
}

u8 Driver::begin(u8 page, unsigned first, unsigned end) {
    const bool now = perform(Step::begin_write, page);
    u8 value = none;

    if (now) {
        forget_unseen(state_);
        value = fresh_value(state_, page);
        for (unsigned half = first; half < end; half++)
            state_.pages[page].promise[half].begin(value);
    }
    return answer_value(now, value);
}

u8 Driver::begin_write(u8 page) {
    return begin(page, 0, bounds().apart());
}

u8 Driver::begin_write_of_half(u8 page, u8 half) {
    return begin(page, half, half + 1u);
}

void Driver::acknowledge(u8 page, u8 value) {
    if (!perform(Step::acknowledge, page, value))
        return;
    for (unsigned half = 0; half < bounds().apart(); half++)
        state_.pages[page].promise[half].acknowledge(value);
}

void Driver::acknowledge_durable(u8 page, u8 value) {
    if (!perform(Step::acknowledge, page, value))
        return;
    for (unsigned half = 0; half < bounds().apart(); half++) {
        state_.pages[page].promise[half].acknowledge(value);
        state_.pages[page].promise[half].make_durable(value_id(value));
    }
    state_.pages[page].may_fail = false;
}

void Driver::acknowledge_half_durable(u8 page, u8 half, u8 value) {
    if (!perform(Step::acknowledge, page, value))
        return;
    state_.pages[page].promise[half].acknowledge(value);
    state_.pages[page].promise[half].make_durable(value_id(value));
}

void Driver::begin_flush() {
    if (!perform(Step::begin_flush))
        return;
    for (Page& p : state_.pages)
        for (Promise& promise : p.promise)
            promise.flushing[cpu_] = promise.undurable;
}

void Driver::end_flush() {
    if (!perform(Step::end_flush))
        return;
    for (Page& p : state_.pages)
        for (Promise& promise : p.promise)
            promise.end_flush(cpu_);
}

bool Driver::any_home_unflushed() {
    const bool now = perform(Step::home_unflushed);
    bool any = false;

    for (const Page& p : state_.pages)
        any |= p.unflushed;
    return answer_number(now, any);
}

void Driver::index_loaded(const Loaded& loaded) {
    for (unsigned p = 0; p < state_.bounds.pages; p++) {
        state_.pages[p].holder = loaded.pages[p].frame;
        state_.pages[p].claim = loaded.pages[p].claim;
    }
    for (u8 f = 0; f < state_.bounds.frames; f++) {
        if (loaded.found[f] == TIERED_FOUND_FREE)
            release(f);
        if (loaded.found[f] == TIERED_FOUND_RETIRED)
            state_.frames[f].use = FrameUse::retired;
    }
}

// What was never to be freed for use again when its page leaves it.
void Driver::condemn_loaded(const Loaded& loaded) {
    for (unsigned p = 0; p < state_.bounds.pages; p++) {
        const u8 f = loaded.pages[p].frame;
        const bool bad_word =
            state_.is_damaged(Damage::primary, f) || state_.is_damaged(Damage::shadow, f);

        if (f != none && (is_lost(loaded, p) || bad_word))
            state_.frames[f].condemned = true;
    }
}

// What is lost for a damaged word has only a shadow to say so.
unsigned Driver::log_lost(const Loaded& loaded) {
    unsigned count = 0;

    for (unsigned p = 0; p < state_.bounds.pages; p++) {
        if (!loaded.any_damaged || !is_lost(loaded, p) || has_fault(Mutant::load_forgets_the_lost))
            continue;
        note_frame(loaded.pages[p].frame);
        note_claim(loaded.pages[p].claim);
        count++;
    }
    return count;
}

unsigned Driver::log_old_shadows(const Image& image) {
    unsigned count = 0;

    for (u8 f = 0; f < state_.bounds.frames; f++) {
        if (image.primary[f] == image.shadow[f] || has_fault(Mutant::load_keeps_old_shadows))
            continue;
        note_frame(f);
        note_claim(image.primary[f]);
        count++;
    }
    return count;
}

unsigned Driver::log_losers(const Loaded& loaded) {
    unsigned count = 0;

    for (u8 f = 0; f < state_.bounds.frames; f++) {
        const bool damaged = loaded.damaged[f] != none;

        if (loaded.found[f] != TIERED_FOUND_LOSER || has_fault(Mutant::load_keeps_losers) ||
            (damaged && has_fault(Mutant::load_keeps_damaged_losers)))
            continue;
        note_frame(f);
        count++;
    }
    return count;
}

void Driver::begin_close() {
    if (perform(Step::begin_close))
        state_.opening = true;
}

void Driver::settle_clear(u8 page) {
    tiered_clear clear = load_clear(page);
    const tiered_words map = words();

    tiered_clear_settle(&map, &clear);
    store_clear(page, clear);
}

void Driver::forget() {
    if (!perform(Step::forget))
        return;
    for (Frame& frame : state_.frames) {
        frame.use = FrameUse::used;
        frame.condemned = false;
        frame.mapped = frame.stored = frame.cleaning = frame.restored = false;
    }
    for (Page& page : state_.pages) {
        page.holder = none;
        page.claim = packed_free;
        page.unflushed = false;
        page.covered = page.spoiled = 0;
    }
    state_.stripes = {};
    state_.gone = false; // it came back, or nobody could open the volume
}

bool Driver::load_superblocks() {
    if (!bounds().grows)
        return false;
    const bool now = perform(Step::load_superblocks);
    bool behind = false;

    if (now) {
        const SlotImage slots = newest_image(state_).superblocks;
        const u8 slot = standing_slot(slots);

        state_.standing = slot;
        state_.volume_pages = static_cast<u8>(volume_pages(slots));
        behind = slots[!slot] == torn || superblock_pages(slots[!slot]) != state_.volume_pages;
    }
    return answer_number(now, behind);
}

void Driver::write_superblock(unsigned pages) {
    const u8 slot = !state_.standing;
    const u8 packed = state_.superblocks[state_.standing].newest();
    const unsigned generation = superblock_generation(packed) + 1;
    const u8 fresh = pack_superblock(generation, pages);

    // Piece by piece, so that a crash may tear it.
    if (perform(Step::store_superblock, slot, torn))
        state_.superblocks[slot].store_around(cpu_, torn);
    if (perform(Step::store_superblock, slot, fresh))
        state_.superblocks[slot].store_around(cpu_, fresh);
    if (!has_fault(Mutant::superblock_without_fence))
        pm_fence();
    if (perform(Step::write_superblock, slot))
        state_.standing = slot;
}

unsigned Driver::pages_now() {
    return state_.volume_pages;
}

void Driver::set_volume_pages(unsigned pages) {
    if (perform(Step::set_volume_pages))
        state_.volume_pages = static_cast<u8>(pages);
}

Scan Driver::load_words() {
    const bool now = perform(Step::load_words);

    if (now) {
        const Image image = newest_image(state_);
        const Loaded loaded = load_image(state_.bounds, image, ScanOrder::ascending);

        index_loaded(loaded);
        condemn_loaded(loaded);
        note_number(static_cast<u8>(log_old_shadows(image)));
        note_number(static_cast<u8>(log_lost(loaded)));
        note_number(static_cast<u8>(log_losers(loaded)));
    }
    Scan scan;
    const unsigned old_shadows = answer_number(false, none);

    for (unsigned i = 0; i < old_shadows; i++) {
        const u8 frame = answer_frame(false, none);
        scan.shadows_to_restore.set_differing(frame, answer_claim(false, none));
    }
    scan.lost_count = answer_number(false, none);
    for (unsigned i = 0; i < scan.lost_count; i++) {
        const u8 frame = answer_frame(false, none);
        scan.lost[i] = {frame, unpack(answer_claim(false, none))};
    }
    scan.losers.count = answer_number(false, none);
    for (unsigned i = 0; i < scan.losers.count; i++)
        scan.losers.frames[i] = answer_frame(false, none);
    return scan;
}

// Of an instance that could not complete its clears, some may be in a CPU's cache alone.
void Driver::flush_words() {
    if (!bounds().unbinds || has_fault(Mutant::return_without_flush))
        return;
    if (perform(Step::flush_words)) {
        for (Frame& f : state_.frames) {
            f.primary.flush(cpu_);
            f.shadow.flush(cpu_);
        }
    }
    pm_fence();
}

void Driver::restore_shadows(const Scan& scan) {
    const tiered_words words = word_map(state_.bounds).readable(state_, scan.shadows_to_restore);
    const tiered_word_copies copies{
        .primary = words.primary, .shadow = words.shadow, .first = 0, .count = words.frames};

    tiered_shadows_restore(&words, &copies);
}

// The load works on an idle volume: no stripe remembers anything for it.
void Driver::clear_loser(u8 frame) {
    tiered_clear clear{TIERED_NO_FRAME};
    const tiered_words map = words();

    if (has_fault(Mutant::load_clears_without_fence))
        tiered_claim_supersede(&map, &clear, word_number(frame));
    else
        tiered_claim_withdraw(&map, &clear, word_number(frame));
    to_free(frame);
}

void Driver::opened() {
    if (!perform(Step::opened))
        return;
    state_.opening = false;
    state_.grown = state_.volume_pages > 1;
}

void Driver::rely_on_what_is_read() {
    if (!perform(Step::rely_on_what_is_read))
        return;
    for (u8 p = 0; p < state_.bounds.pages; p++) {
        for (u8 half = 0; half < bounds().apart(); half++)
            rely_on_half(p, half);
        state_.pages[p].may_fail &= state_.visible(p, 0) == failed;
    }
}

void Driver::rely_on_half(u8 page, u8 half) {
    const u8 value = state_.visible(page, half);
    const Mask seen = value == failed ? Mask{0} : bit(value_id(value));
    const u8 home = state_.pages[page].home[half].newest();
    const Mask at_home = home == torn ? Mask{0} : bit(value_id(home));

    state_.pages[page].promise[half] = Promise{.after_crash = seen,
                                               .now = seen,
                                               .acknowledged = seen,
                                               .alone = static_cast<Mask>(seen | at_home),
                                               .alone_torn = home == torn};
}

void Driver::share_gate(u8 page) {
    if (!bounds().memory || !perform(Step::share_gate, page, none, Wait::open_gate))
        return;
    if (state_.gate(page).shut_by != none)
        throw std::logic_error("a CPU was run while its gate was shut");
    state_.gate(page).shared |= bit(cpu_);
}

void Driver::leave_gate(u8 page) {
    if (bounds().memory && perform(Step::leave_gate, page))
        state_.gate(page).shared &= static_cast<Mask>(~bit(cpu_));
}

void Driver::shut_gate(u8 page) {
    if (!bounds().memory || !perform(Step::shut_gate, page, none, Wait::free_gate))
        return;
    if (state_.gate(page).shut_by != none || state_.gate(page).shared)
        throw std::logic_error("a CPU was run while its gate was taken");
    state_.gate(page).shut_by = static_cast<u8>(cpu_);
}

void Driver::open_gate(u8 page) {
    if (bounds().memory && perform(Step::open_gate, page))
        state_.gate(page).shut_by = none;
}

Marks Driver::marks(u8 frame) {
    if (!bounds().memory || frame == none)
        return {};
    const bool now = perform(Step::look_at_marks, frame);
    const Frame& f = state_.frames[frame];
    const unsigned answer = answer_number(now, static_cast<u8>(f.mapped | f.stored << 1));

    return {.mapped = (answer & 1) != 0, .stored = (answer & 2) != 0};
}

void Driver::mark(u8 frame, bool stored) {
    if (!perform(Step::mark, frame, stored))
        return;
    Frame& f = state_.frames[frame];

    f.mapped = true;
    f.stored |= stored;
    f.restored |= stored && f.cleaning;
}

void Driver::unmark(u8 frame) {
    if (bounds().memory && perform(Step::unmark, frame))
        state_.frames[frame].mapped = state_.frames[frame].stored = false;
}

void Driver::unmark_to(u8 frame, const Marks& before) {
    if (!perform(Step::unmark, frame))
        return;
    state_.frames[frame].mapped &= before.mapped;
    state_.frames[frame].stored &= before.stored;
}

// Whoever has the page in its page table already is left alone.
void Driver::enter_mapping(u8 page, u8 frame, bool writable) {
    if (!perform(Step::enter_mapping, frame, writable))
        return;
    if (state_.pages[page].mapping.frame == none)
        state_.pages[page].mapping = {frame, writable};
}

void Driver::drop_mapping_to_load(u8 page) {
    if (!perform(Step::drop_mapping, page))
        return;
    if (!state_.pages[page].mapping.writable)
        state_.pages[page].mapping = {};
}

void Driver::upgrade_mapping(u8 page, u8 frame) {
    if (!perform(Step::enter_mapping, frame, true))
        return;
    if (state_.pages[page].mapping.frame == frame)
        state_.pages[page].mapping.writable = true;
}

bool Driver::maps_to_load(u8 page) {
    const bool now = perform(Step::look_at_mapping, page);
    const Mapping& mapping = state_.pages[page].mapping;

    return answer_number(now, mapping.frame != none && !mapping.writable);
}

void Driver::unmap(u8 page) {
    if (bounds().memory && perform(Step::unmap, page))
        state_.pages[page].mapping = {};
}

void Driver::flush_lines(u8 frame) {
    if (!perform(Step::flush_lines, frame))
        return;
    for (Cell& half : state_.frames[frame].data)
        half.flush(cpu_);
}

void Driver::begin_cleaning(u8 frame) {
    if (bounds().memory && perform(Step::begin_cleaning, frame))
        state_.frames[frame].cleaning = true;
}

bool Driver::end_cleaning(u8 frame) {
    if (!bounds().memory)
        return false;
    const bool now = perform(Step::end_cleaning, frame);
    Frame& f = state_.frames[frame];
    const bool restored = answer_number(now, f.restored);

    if (now)
        f.cleaning = f.restored = false;
    return restored;
}

void Driver::set_exclusive(u8 page, bool exclusive) {
    if (bounds().memory && perform(Step::set_exclusive, page, exclusive))
        state_.pages[page].exclusive = exclusive;
}

bool Driver::is_exclusive(u8 page) {
    const bool now = perform(Step::is_exclusive, page);

    return answer_number(now, state_.pages[page].exclusive);
}

void Driver::store_in_place(u8 frame, u8 half, u8 value) {
    if (perform(Step::store_in_place, frame, value))
        state_.frames[frame].data[half].store_around(cpu_, value);
}

// Through the cache, and seen by everybody at once.
void Driver::memory_store(u8 page, u8 half) {
    const u8 value = begin_write_of_half(page, half);

    if (!perform(Step::memory_store, half, value))
        return;
    Page& p = state_.pages[page];

    state_.frames[p.mapping.frame].data[half].store(value);
    p.promise[half].end_store(value);
}

u8 Driver::memory_flush(u8 page, u8 half) {
    const bool now = perform(Step::memory_flush, page, half);
    const u8 frame = state_.pages[page].mapping.frame;
    u8 value = none;

    if (now && frame != none) {
        Cell& line = state_.frames[frame].data[half];

        line.flush(cpu_);
        value = line.newest();
    }
    return answer_value(now, value);
}

void Driver::stored_durably(u8 page, u8 half, u8 value) {
    if (perform(Step::end_store, page, value))
        state_.pages[page].promise[half].make_durable(value_id(value));
}

void Driver::begin_sync(u8 page) {
    if (!perform(Step::begin_sync, page))
        return;
    for (Promise& promise : state_.pages[page].promise)
        promise.flushing[cpu_] = promise.stored;
}

void Driver::end_sync(u8 page) {
    if (!perform(Step::end_sync, page))
        return;
    for (Promise& promise : state_.pages[page].promise)
        promise.end_flush(cpu_);
}

void Driver::pm_store(const __le64* word, __le64 value) {
    const WordMap& map = word_map(state_.bounds);
    const u8 frame = map.frame(word);
    const bool shadow = map.is_shadow(word);
    tiered_claim claim;

    if (tiered_claim_decode(value, word_number(frame), volume_seed, state_.bounds.pages, &claim))
        throw Violation(fmt::format("frame {} gets a word that does not decode", frame));
    if (state_.is_damaged(shadow ? Damage::shadow : Damage::primary, frame))
        throw Violation(fmt::format("a word of frame {} that cannot be read is stored", frame));
    if (perform(shadow ? Step::pm_store_shadow : Step::pm_store, frame, pack(claim)))
        map.cell(state_, word).store(pack(claim));
}

void Driver::pm_store_around(const __le64* word, __le64 value) {
    const u8 frame = word_map(state_.bounds).frame(word);
    tiered_claim claim;

    tiered_claim_decode(value, word_number(frame), volume_seed, state_.bounds.pages, &claim);
    if (!perform(Step::pm_store_around, frame, pack(claim)))
        return;
    Cell& cell = word_map(state_.bounds).cell(state_, word);

    cell.store_around(cpu_, pack(claim));
    cell.undrained = static_cast<u8>(cell.count - 1);
    cell.undrained_cpu = static_cast<u8>(cpu_);
}

void Driver::pm_flush(const __le64* word) {
    const WordMap& map = word_map(state_.bounds);

    if (perform(map.is_shadow(word) ? Step::pm_flush_shadow : Step::pm_flush, map.frame(word)))
        map.cell(state_, word).flush(cpu_);
}

void Driver::pm_fence() {
    if (!perform(Step::pm_fence))
        return;
    for (Cell& slot : state_.superblocks)
        slot.fence(cpu_);
    for (Frame& f : state_.frames) {
        f.primary.fence(cpu_);
        f.shadow.fence(cpu_);
        for (Cell& half : f.data)
            half.fence(cpu_);
    }
}

} // namespace model

// driver/core's shim. The last one is for faulty copies of the protocol only.
extern "C" {

void tiered_pm_store(__le64* word, __le64 value) {
    model::running->pm_store(word, value);
}

void model_pm_store_around(__le64* word, __le64 value) {
    model::running->pm_store_around(word, value);
}

void tiered_pm_flush(const __le64* word) {
    model::running->pm_flush(word);
}

void tiered_pm_fence(void) {
    model::running->pm_fence();
}
}
