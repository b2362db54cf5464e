// SPDX-License-Identifier: GPL-2.0-or-later
// The driver's operations on pages, step by step as the driver performs them. Keep this file and
// driver/ alike.
#include "driver.h"

#include <algorithm>

namespace model {

namespace {

u8 next_version(const Holder& old) {
    if (old.frame == none)
        return 0;
    return has_fault(Mutant::version_not_bumped) ? old.claim.version
                                                 : tiered_version_next(old.claim.version);
}

void mark_clean(Driver& driver, u8 page, const Holder& dirty) {
    tiered_claim clean = dirty.claim;

    driver.mark_clean(dirty.frame, clean);
    clean.state = TIERED_CLAIM_CLEAN;
    driver.set_holder(page, dirty.frame, clean);
}

void make_dirty(Driver& driver, u8 page, const Holder& clean) {
    tiered_claim dirty = clean.claim;

    driver.mark_dirty(clean.frame, dirty);
    dirty.state = TIERED_CLAIM_DIRTY;
    driver.set_holder(page, clean.frame, dirty);
}

struct Taking {
    bool unmaps = true;
    bool flushes = true;
};

// With the gate shut: no mapping of the page exists afterwards, and what was stored through one is
// durable before its mark goes. Returns the holder, with the page locked.
Holder take_mappings_away(Driver& driver, u8 page, const Taking& taking = {}) {
    if (taking.unmaps)
        driver.unmap(page);
    driver.lock(page);
    const Holder mapped = driver.holder(page);
    if (!driver.marks(mapped.frame).stored || !taking.flushes) {
        if (mapped.frame != none)
            driver.unmark(mapped.frame);
        return mapped;
    }
    if (has_fault(Mutant::marks_go_before_the_lines))
        driver.unmark(mapped.frame);
    driver.unlock(page);
    driver.flush_lines(mapped.frame);
    driver.pm_fence();
    driver.lock(page);
    // A discard, which does not shut the gate, may have withdrawn it.
    const Holder now = driver.holder(page);
    if (now.frame != none)
        driver.unmark(now.frame);
    return now;
}

// Locks the page. Returns true when it was mapped: then its gate is shut, and has to be opened.
bool lock_unmapped(Driver& driver, u8 page, const Taking& taking = {}) {
    driver.lock(page);
    if (!driver.bounds().memory || !driver.marks(driver.holder(page).frame).mapped)
        return false;
    driver.unlock(page);
    driver.shut_gate(page);
    take_mappings_away(driver, page, taking);
    return true;
}

void unlock_and_open(Driver& driver, u8 page, bool shut) {
    driver.unlock(page);
    if (shut)
        driver.open_gate(page);
}

// Copies the frame, which is pinned, to its home.
Contents write_home(Driver& driver, u8 page, const Holder& dirty, bool shut = false) {
    driver.begin_home_write(page);
    driver.note_event(page);
    driver.pin(dirty.frame);
    driver.begin_cleaning(dirty.frame);
    unlock_and_open(driver, page, shut);
    return driver.read_frame(dirty.frame);
}

void end_home_write(Driver& driver, u8 page, u8 frame) {
    driver.unpin(frame);
    driver.end_home_write(page);
    driver.note_event(page);
}

// A write waits until its home has it, durably: by its own frame or by a newer one. On the worker
// that writes back, so after every other write of that home.
void end_through(Driver& driver, u8 page, u8 value) {
    if (has_fault(Mutant::through_takes_any_writeback)) {
        driver.lock(page);
        const bool busy = driver.home_busy(page);
        driver.unlock(page);
        if (busy) {
            driver.lock_with_idle_home(page);
            driver.acknowledge_durable(page, value);
            return driver.unlock(page);
        }
    }
    driver.lock_with_idle_home(page);
    const Holder dirty = driver.holder(page);
    if (dirty.frame == none || dirty.claim.state != TIERED_CLAIM_DIRTY) {
        driver.acknowledge_durable(page, value);
        return driver.unlock(page);
    }
    driver.disk_write(page, write_home(driver, page, dirty));
    if (has_fault(Mutant::through_ends_before_flush))
        driver.acknowledge_durable(page, value);
    driver.disk_flush();

    driver.lock(page);
    if (driver.holder(page).frame == dirty.frame)
        mark_clean(driver, page, dirty);
    end_home_write(driver, page, dirty.frame);
    if (!has_fault(Mutant::through_ends_before_flush))
        driver.acknowledge_durable(page, value);
    driver.unlock(page);
}

bool lock_to_write(Driver& driver, u8 page) {
    if (!has_fault(Mutant::block_write_without_unmap))
        return lock_unmapped(driver, page);
    driver.lock(page);
    return false;
}

void leave_to_limbo(Driver& driver, u8 page, u8 frame) {
    driver.supersede(page, frame);
    driver.to_limbo(frame);
}

// A full-page write: out of place. It ends when its claim is durable or, written through, when its
// home is.
void write_fast(Driver& driver, u8 page) {
    const bool through = driver.bounds().through && !has_fault(Mutant::through_ends_at_publish);

    if (!driver.enter())
        return;
    const bool shut = lock_to_write(driver, page);
    const u8 frame = driver.allocate();
    if (frame == none)
        return unlock_and_open(driver, page, shut);

    const u8 value = driver.begin_write(page);
    if (!has_fault(Mutant::data_stored_after_publish))
        driver.store_data(frame, whole(value));

    const Holder old = driver.holder(page);
    const tiered_claim claim{page, TIERED_CLAIM_DIRTY, next_version(old)};
    if (old.frame != none && has_fault(Mutant::old_frame_freed_before_publish))
        driver.withdraw(page, old.frame);
    driver.publish(page, frame, claim);
    if (has_fault(Mutant::data_stored_after_publish))
        driver.store_data(frame, whole(value));
    driver.set_holder(page, frame, claim);
    if (!through)
        driver.acknowledge_durable(page, value);

    // A fill that finds its page missing again needs no event of an overwrite: others were in
    // between.
    if (old.frame != none)
        leave_to_limbo(driver, page, old.frame);
    else
        driver.note_event(page);
    unlock_and_open(driver, page, shut);
    if (through)
        end_through(driver, page, value);
}

// A write of half a resident page takes the other half along.
void write_part(Driver& driver, u8 page) {
    constexpr u8 half = 1;
    const bool shut = lock_to_write(driver, page);
    const Holder old = driver.holder(page);
    if (old.frame == none || old.claim.state == TIERED_CLAIM_LOST)
        return unlock_and_open(driver, page, shut);
    const u8 rest = driver.read_frame(old.frame)[!half];
    const u8 frame = rest == failed ? none : driver.allocate();
    if (frame == none)
        return unlock_and_open(driver, page, shut);

    const u8 value = driver.begin_write_of_half(page, half);
    driver.store_data(frame, {rest, value});
    const tiered_claim claim{page, TIERED_CLAIM_DIRTY, next_version(old)};
    driver.publish(page, frame, claim);
    driver.set_holder(page, frame, claim);
    driver.acknowledge_half_durable(page, half, value);
    leave_to_limbo(driver, page, old.frame);
    unlock_and_open(driver, page, shut);
}

bool fill_is_current(Driver& driver, u8 page) {
    if (driver.holder(page).frame != none || driver.home_busy(page))
        return false;
    return !driver.fill_spoiled(page) || has_fault(Mutant::fill_ignores_events);
}

// Makes a page resident from a read of its home: clean if that is flushed. Otherwise a fault, which
// needs the page, makes it dirty, which says nothing about the home; others do without.
void fill(Driver& driver, u8 page, bool for_fault) {
    driver.begin_fill(page);
    const Contents contents = driver.read_home(page);

    if (!driver.enter())
        return;
    driver.lock(page);
    bool current = fill_is_current(driver, page);
    const bool unflushed =
        current && driver.home_unflushed(page) && !has_fault(Mutant::fill_ignores_unflushed);
    if (unflushed && !for_fault)
        current = false;
    const u8 frame = current ? driver.allocate() : none;
    if (frame != none) {
        const bool dirty = unflushed && !has_fault(Mutant::unflushed_home_fills_clean);
        const tiered_claim claim{page, dirty ? TIERED_CLAIM_DIRTY : TIERED_CLAIM_CLEAN, 0};

        driver.store_data(frame, contents);
        driver.publish(page, frame, claim);
        driver.set_holder(page, frame, claim);
    }
    driver.unlock(page);
}

// A write to the home of a page that is not resident: durable after a FLUSH.
void bypass_write(Driver& driver, u8 page) {
    const bool blind = !driver.enter() || has_fault(Mutant::bypass_of_resident_page);
    driver.lock(page);
    const bool resident = driver.holder(page).frame != none && !blind;
    if (resident || driver.home_busy(page))
        return driver.unlock(page);
    const u8 value = driver.begin_write(page);
    driver.begin_home_write(page);
    driver.note_event(page);
    driver.unlock(page);
    driver.leave();

    driver.disk_write(page, whole(value));

    driver.lock(page);
    driver.mark_unflushed(page);
    driver.end_home_write(page);
    driver.note_event(page);
    driver.unlock(page);
    driver.acknowledge(page, value);
}

// FLUSH from the user.
void flush(Driver& driver) {
    if (!driver.enter())
        return;
    driver.begin_flush();
    driver.leave();
    if (driver.any_home_unflushed())
        driver.disk_flush();
    driver.end_flush();
}

void clear_holder(Driver& driver, u8 page) {
    const Holder old = driver.holder(page);

    if (old.frame == none)
        return;
    driver.withdraw(page, old.frame);
    driver.remove_holder(page);
    driver.to_limbo(old.frame);
}

void lose(Driver& driver, u8 page, const Holder& bad) {
    tiered_claim lost = bad.claim;

    driver.mark_lost(bad.frame, lost);
    lost.state = TIERED_CLAIM_LOST;
    driver.set_holder(page, bad.frame, lost);
}

// The frame of a page turns out to be bad: what is clean is read from home from now on, what is
// dirty is lost.
void meet_bad(Driver& driver, u8 page) {
    const bool shut = lock_unmapped(driver, page);
    const Holder bad = driver.holder(page);
    if (bad.frame == none || bad.claim.state == TIERED_CLAIM_LOST ||
        driver.data_readable(bad.frame))
        return unlock_and_open(driver, page, shut);
    driver.condemn(bad.frame);
    if (bad.claim.state == TIERED_CLAIM_CLEAN || has_fault(Mutant::bad_dirty_page_is_dropped))
        clear_holder(driver, page);
    else
        lose(driver, page, bad);
    driver.noticed_bad(page);
    unlock_and_open(driver, page, shut);
}

// What is stored to is taken out of its mappings first.
bool lock_unstored(Driver& driver, u8 page) {
    driver.lock(page);
    if (!driver.bounds().memory || !driver.marks(driver.holder(page).frame).stored)
        return false;
    driver.unlock(page);
    driver.shut_gate(page);
    take_mappings_away(driver, page,
                       {.unmaps = !has_fault(Mutant::writeback_without_unmap),
                        .flushes = !has_fault(Mutant::writeback_without_the_lines)});
    return true;
}

// Copies a dirty frame to its home and marks it clean.
void writeback(Driver& driver, u8 page) {
    if (!driver.enter())
        return;
    const bool shut = lock_unstored(driver, page);
    const Holder dirty = driver.holder(page);
    const bool busy = driver.home_busy(page) && !has_fault(Mutant::writeback_ignores_home_writes);
    if (dirty.frame == none || dirty.claim.state != TIERED_CLAIM_DIRTY || busy)
        return unlock_and_open(driver, page, shut);
    const Contents contents = write_home(driver, page, dirty, shut);
    driver.leave();
    if (contents[0] == failed) {
        driver.lock(page);
        driver.end_cleaning(dirty.frame);
        end_home_write(driver, page, dirty.frame);
        driver.unlock(page);
        return meet_bad(driver, page);
    }
    driver.disk_write(page, contents);
    if (!has_fault(Mutant::writeback_without_disk_flush))
        driver.disk_flush();

    const bool entered = driver.enter();
    driver.lock(page);
    const Holder now = driver.holder(page);
    const bool went_bad =
        now.claim.state == TIERED_CLAIM_LOST && !has_fault(Mutant::lost_page_is_marked_clean);
    const bool restored = driver.end_cleaning(dirty.frame);
    if (now.frame == dirty.frame && went_bad) {
        // After it was copied: nothing is lost after all.
        if (!restored || has_fault(Mutant::restored_page_heals))
            clear_holder(driver, page);
    } else if (entered && (!restored || has_fault(Mutant::restored_is_ignored)) &&
               (now.frame == dirty.frame || has_fault(Mutant::mark_clean_without_holder_check)))
        mark_clean(driver, page, dirty);
    end_home_write(driver, page, dirty.frame);
    driver.unlock(page);
}

// Frees the frame of a clean page.
void evict(Driver& driver, u8 page) {
    if (!driver.enter())
        return;
    const bool shut = lock_unmapped(driver, page,
                                    {.unmaps = !has_fault(Mutant::evict_without_unmap),
                                     .flushes = !has_fault(Mutant::evict_forgets_the_lines)});
    const Holder clean = driver.holder(page);
    if (clean.frame == none || clean.claim.state != TIERED_CLAIM_CLEAN)
        return unlock_and_open(driver, page, shut);
    if (has_fault(Mutant::evict_unindexes_first)) {
        driver.remove_holder(page);
        driver.unlock(page);
        driver.withdraw(page, clean.frame);
        return driver.to_limbo(clean.frame);
    }
    driver.withdraw(page, clean.frame);
    driver.remove_holder(page);
    driver.to_limbo(clean.frame);
    unlock_and_open(driver, page, shut);
}

// Until the end of the discard faults wait. One that had not seen that has its gate still.
void make_exclusive(Driver& driver, u8 page) {
    if (!has_fault(Mutant::discard_without_passing_gates)) {
        driver.shut_gate(page);
        driver.open_gate(page);
    }
    driver.unmap(page);
}

// While zeroes are on their way home, no clean claim may stand: it says that the home is the same.
// But a dirty claim must: without it the home's older contents would come back.
bool clears_before_zeroing(Driver& driver, u8 page) {
    const Holder old = driver.holder(page);

    if (old.frame == none)
        return false;
    if (old.claim.state == TIERED_CLAIM_CLEAN)
        return !has_fault(Mutant::discard_zeroes_under_clean);
    return has_fault(Mutant::discard_clears_dirty_first);
}

// Discard and write-zeroes: zeroes are contents like any other, and durable when it ends.
void discard(Driver& driver, u8 page) {
    driver.lock(page);
    if (driver.home_busy(page) && !has_fault(Mutant::discard_ignores_home_writes))
        return driver.unlock(page);
    const u8 zeroes = driver.begin_write(page);
    driver.begin_home_write(page);
    driver.note_event(page);
    driver.set_exclusive(page, true);
    driver.unlock(page);
    make_exclusive(driver, page);
    if (driver.enter()) {
        driver.lock(page);
        if (clears_before_zeroing(driver, page))
            clear_holder(driver, page);
        driver.unlock(page);
        driver.leave();
    }
    // What could not be withdrawn speaks again when the fast tier comes back.
    const bool may_zero = !driver.gone() || has_fault(Mutant::gone_discards);
    if (may_zero) {
        driver.disk_write(page, whole(zeroes));
        if (!has_fault(Mutant::discard_without_disk_flush))
            driver.disk_flush();
    }
    const bool withdraws = may_zero && driver.enter();
    driver.lock(page);
    if (withdraws)
        clear_holder(driver, page);
    driver.set_exclusive(page, false);
    driver.end_home_write(page);
    driver.note_event(page);
    if (withdraws)
        driver.acknowledge_durable(page, zeroes);
    driver.unlock(page);
}

void retire_condemned(Driver& driver, const FrameList& list) {
    for (unsigned i = 0; i < list.count; i++)
        if (driver.condemned(list.frames[i]))
            driver.retire(list.frames[i]);
}

// Makes frames in limbo free again, or takes them out of use, on whichever CPU.
void recycle(Driver& driver) {
    if (!driver.enter())
        return;
    const FrameList list = driver.take_limbo();

    if (has_fault(Mutant::retire_before_settle))
        retire_condemned(driver, list);
    if (!has_fault(Mutant::recycle_without_settle))
        driver.settle(list);
    if (!has_fault(Mutant::retire_before_settle))
        retire_condemned(driver, list);
    for (unsigned i = 0; i < list.count; i++)
        if (!driver.condemned(list.frames[i]))
            driver.to_free(list.frames[i]);
}

void mark_lost(Driver& driver, const Scan& scan) {
    for (unsigned i = 0; i < scan.lost_count; i++)
        driver.mark_lost(scan.lost[i].frame, scan.lost[i].claim);
}

void clear_losers(Driver& driver, const Scan& scan) {
    for (unsigned i = 0; i < scan.losers.count; i++)
        driver.clear_loser(scan.losers.frames[i]);
}

// What is on media becomes the index. Shadows first: while the shadow of a winner is old, its loser
// is all that would speak for the page if the winner's primary went bad.
void load(Driver& driver) {
    if (driver.load_superblocks() && !has_fault(Mutant::superblock_stays_behind))
        driver.write_superblock(driver.pages_now());
    const Scan scan = driver.load_words();

    if (has_fault(Mutant::load_clears_losers_first))
        clear_losers(driver, scan);
    driver.flush_words();
    driver.restore_shadows(scan);
    mark_lost(driver, scan);
    if (!has_fault(Mutant::load_clears_losers_first))
        clear_losers(driver, scan);
    // What was written to the disk before may not be flushed; from here on the index knows.
    if (!has_fault(Mutant::load_without_disk_flush))
        driver.disk_flush();
    driver.opened();
}

void open_after_crash(Driver& driver) {
    load(driver);
    driver.rely_on_what_is_read();
}

// Nothing is mapped, and what was stored is durable: nobody will know any more that it was.
void end_mappings(Driver& driver) {
    for (u8 page = 0; page < driver.bounds().pages && driver.bounds().memory; page++) {
        driver.unmap(page);
        const u8 frame = driver.holder(page).frame;
        if (!driver.marks(frame).stored || has_fault(Mutant::close_without_the_lines))
            continue;
        driver.flush_lines(frame);
        driver.pm_fence();
    }
}

// The volume is closed and opened again while the machine runs: words are read back as the caches
// have them, durable or not. Closing completes clears, unless the fast tier was unbound.
void reopen(Driver& driver) {
    driver.begin_close();
    end_mappings(driver);
    for (u8 page = 0; page < driver.bounds().stripes; page++)
        if (!has_fault(Mutant::close_forgets_clears) && !driver.gone())
            driver.settle_clear(page);
    driver.forget();
    load(driver);
}

// The volume gets its last page, while it is suspended. Both superblocks must know before there can
// be a claim of that.
void grow(Driver& driver) {
    const unsigned pages = driver.bounds().pages;

    driver.begin_close();
    for (u8 page = 0; page < driver.bounds().stripes; page++)
        driver.settle_clear(page);
    driver.disk_flush();
    if (has_fault(Mutant::grow_before_superblocks)) {
        driver.set_volume_pages(pages);
        driver.opened();
    }
    driver.write_superblock(pages);
    if (!has_fault(Mutant::grow_in_one_superblock))
        driver.write_superblock(pages);
    if (has_fault(Mutant::grow_before_superblocks))
        return;
    driver.set_volume_pages(pages);
    driver.opened();
}

bool may_be_mapped(Driver& driver, u8 page, const Holder& holder) {
    if (holder.frame == none || holder.claim.state == TIERED_CLAIM_LOST ||
        driver.is_exclusive(page))
        return false;
    return !driver.bounds().damage || driver.data_readable(holder.frame);
}

// A fault, to load from a resident page or to store to it. The gate is held until the entry stands.
void map(Driver& driver, u8 page, bool store) {
    const bool late = has_fault(Mutant::entry_before_dirty_claim);

    driver.share_gate(page);
    driver.lock(page);
    const Holder holder = driver.holder(page);
    if (!may_be_mapped(driver, page, holder)) {
        driver.unlock(page);
        return driver.leave_gate(page);
    }
    const bool becomes_dirty = store && holder.claim.state == TIERED_CLAIM_CLEAN;
    if (becomes_dirty && !late)
        make_dirty(driver, page, holder);
    driver.mark(holder.frame, store);
    driver.unlock(page);
    if (has_fault(Mutant::marks_without_the_gate))
        driver.leave_gate(page);
    // An entry that only allows loads would be left as it is.
    if (store && driver.maps_to_load(page))
        driver.drop_mapping_to_load(page);
    driver.enter_mapping(page, holder.frame, store);
    if (becomes_dirty && late) {
        driver.lock(page);
        make_dirty(driver, page, holder);
        driver.unlock(page);
    }
    if (!has_fault(Mutant::marks_without_the_gate))
        driver.leave_gate(page);
}

// What must not be: an entry that only allows loads becomes writable where it stands.
void upgrade(Driver& driver, u8 page) {
    driver.lock(page);
    const Holder holder = driver.holder(page);
    if (!may_be_mapped(driver, page, holder))
        return driver.unlock(page);
    if (holder.claim.state == TIERED_CLAIM_CLEAN)
        make_dirty(driver, page, holder);
    driver.mark(holder.frame, true);
    driver.unlock(page);
    driver.upgrade_mapping(page, holder.frame);
}

void map_to_store(Driver& driver, u8 page) {
    if (has_fault(Mutant::upgrade_without_the_gate) && driver.maps_to_load(page))
        return upgrade(driver, page);
    map(driver, page, true);
}

// A program makes what it sees of half a page durable: it flushes the line and fences.
void persist(Driver& driver, u8 page) {
    const u8 value = driver.memory_flush(page, driver.half());

    driver.pm_fence();
    driver.stored_durably(page, driver.half(), value);
}

// msync. It looks at the mark without a lock.
void sync(Driver& driver, u8 page) {
    driver.begin_sync(page);
    if (driver.marks(driver.holder(page).frame).stored) {
        driver.shut_gate(page);
        take_mappings_away(driver, page, {.flushes = !has_fault(Mutant::sync_without_the_lines)});
        unlock_and_open(driver, page, true);
    }
    driver.end_sync(page);
}

// The gate of a write by a call: held alone, or the marks that it sets could be anybody's.
void hold_gate(Driver& driver, u8 page) {
    if (has_fault(Mutant::call_shares_the_gate))
        driver.share_gate(page);
    else if (!has_fault(Mutant::call_without_the_gate))
        driver.shut_gate(page);
}

void let_gate_go(Driver& driver, u8 page) {
    if (has_fault(Mutant::call_shares_the_gate))
        driver.leave_gate(page);
    else if (!has_fault(Mutant::call_without_the_gate))
        driver.open_gate(page);
}

// write() of half a page: stored in place, and mappings stay. The marks that were not there before
// go again.
void write_in_place(Driver& driver, u8 page) {
    hold_gate(driver, page);
    driver.lock(page);
    const Holder holder = driver.holder(page);
    if (!may_be_mapped(driver, page, holder)) {
        driver.unlock(page);
        return let_gate_go(driver, page);
    }
    const Marks before = driver.marks(holder.frame);
    if (holder.claim.state == TIERED_CLAIM_CLEAN && !has_fault(Mutant::call_leaves_page_clean))
        make_dirty(driver, page, holder);
    driver.mark(holder.frame, true);
    driver.unlock(page);

    const u8 value = driver.begin_write_of_half(page, driver.half());
    driver.store_in_place(holder.frame, driver.half(), value);
    if (!has_fault(Mutant::call_without_fence))
        driver.pm_fence();
    driver.acknowledge_half_durable(page, driver.half(), value);
    driver.lock(page);
    driver.unmark_to(holder.frame, has_fault(Mutant::call_takes_all_marks) ? Marks{} : before);
    driver.unlock(page);
    let_gate_go(driver, page);
}

// So that there is an end: a home takes no more bypassing writes before it is flushed.
constexpr unsigned most_unflushed = 2;
constexpr unsigned most_unpersisted = 2; // and half a page no more stores

bool any_free(const State& state) {
    for (unsigned f = 0; f < state.bounds.frames; f++)
        if (state.frames[f].use == FrameUse::free && !state.is_damaged(Damage::data, f))
            return true;
    return false;
}

bool any_to_recycle(const State& state) {
    for (unsigned f = 0; f < state.bounds.frames; f++)
        if (state.frames[f].use == FrameUse::limbo &&
            (!state.frames[f].pins || has_fault(Mutant::recycle_ignores_readers)))
            return true;
    return false;
}

bool all_idle(const State& state) {
    for (const Cpu& cpu : state.cpus)
        if (cpu.op != Op::idle)
            return false;
    return true;
}

bool any_undurable(const State& state) {
    for (const Page& page : state.pages)
        for (const Promise& promise : page.promise)
            if (promise.undurable)
                return true;
    return false;
}

// Operations of memory, on a volume that is used as such.
bool can_start_on_memory(const State& state, Op op, u8 page, u8 half) {
    const Page& p = state.pages[page];
    const u8 mapped = p.mapping.frame;
    const Gate& gate = state.gate(page);
    const bool may_map = p.holder != none && !p.exclusive && gate.shut_by == none;
    const bool readable = mapped != none && !state.is_damaged(Damage::data, mapped);

    switch (op) {
    case Op::fill_for_fault:
        return p.holder == none && any_free(state);
    case Op::map_to_load:
        return may_map && mapped == none;
    case Op::map_to_store:
        return may_map && !p.mapping.writable;
    case Op::store:
        return readable && p.mapping.writable &&
               state.frames[mapped].data[half].count <= most_unpersisted;
    case Op::persist:
        return readable && p.promise[half].stored;
    case Op::write_in_place:
        return p.holder != none && !p.exclusive && gate.shut_by == none && !gate.shared &&
               (state.stripe(page).locked_by == none ||
                !has_fault(Mutant::call_without_the_gate)) &&
               !state.is_damaged(Damage::data, p.holder) &&
               state.frames[p.holder].data[half].count <= most_unpersisted;
    case Op::sync:
        return p.promise[0].stored || p.promise[1].stored;
    case Op::write_part:
        return p.holder != none && state.stripe(page).locked_by == none && any_free(state);
    default:
        return false;
    }
}

} // namespace

void run_operation(Driver& driver, Op op, u8 page) {
    switch (op) {
    case Op::idle:
        return;
    case Op::write_fast:
        return write_fast(driver, page);
    case Op::fill_clean:
        return fill(driver, page, false);
    case Op::bypass_write:
        return bypass_write(driver, page);
    case Op::flush:
        return flush(driver);
    case Op::writeback:
        return writeback(driver, page);
    case Op::evict:
        return evict(driver, page);
    case Op::discard:
        return discard(driver, page);
    case Op::recycle:
        return recycle(driver);
    case Op::meet_bad:
        return meet_bad(driver, page);
    case Op::open_after_crash:
        return open_after_crash(driver);
    case Op::reopen:
        return reopen(driver);
    case Op::grow:
        return grow(driver);
    case Op::fill_for_fault:
        return fill(driver, page, true);
    case Op::map_to_load:
        return map(driver, page, false);
    case Op::map_to_store:
        return map_to_store(driver, page);
    case Op::store:
        return driver.memory_store(page, driver.half());
    case Op::persist:
        return persist(driver, page);
    case Op::sync:
        return sync(driver, page);
    case Op::write_part:
        return write_part(driver, page);
    case Op::write_in_place:
        return write_in_place(driver, page);
    }
}

bool can_start(const State& state, Op op, u8 page, u8 half) {
    const Page& p = state.pages[page];
    const bool unlocked = state.stripe(page).locked_by == none;
    const tiered_claim claim = unpack(p.claim);

    if (state.gone && op != Op::reopen &&
        !(op == Op::bypass_write && has_fault(Mutant::gone_bypasses)))
        return false;
    if (page >= state.volume_pages)
        return false;
    switch (op) {
    case Op::idle:
    case Op::open_after_crash:
        return false;
    case Op::grow:
        return state.volume_pages < state.bounds.pages && all_idle(state);
    case Op::reopen:
        return all_idle(state);
    case Op::write_fast:
        return unlocked && any_free(state);
    case Op::fill_clean:
        return p.holder == none && any_free(state);
    case Op::bypass_write:
        return unlocked && !p.home_busy &&
               std::max(p.home[0].count, p.home[1].count) <= most_unflushed &&
               (p.holder == none || state.gone || has_fault(Mutant::bypass_of_resident_page));
    case Op::flush:
        return any_undurable(state);
    case Op::writeback:
        return unlocked && claim.state == TIERED_CLAIM_DIRTY &&
               (!p.home_busy || has_fault(Mutant::writeback_ignores_home_writes));
    case Op::evict:
        return unlocked && claim.state == TIERED_CLAIM_CLEAN;
    case Op::discard:
        return unlocked && (!p.home_busy || has_fault(Mutant::discard_ignores_home_writes));
    case Op::recycle:
        return any_to_recycle(state);
    case Op::meet_bad:
        return unlocked && p.holder != none && claim.state != TIERED_CLAIM_LOST &&
               state.is_damaged(Damage::data, p.holder);
    default:
        return can_start_on_memory(state, op, page, half);
    }
    return false;
}

} // namespace model
