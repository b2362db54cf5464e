// SPDX-License-Identifier: GPL-2.0-or-later
// The driver's operations on pages, step by step as the driver performs them. Keep this file and
// driver/ alike.
#include "driver.h"

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

// Copies the frame, which is pinned, to its home.
u8 write_home(Driver& driver, u8 page, const Holder& dirty) {
    driver.begin_home_write(page);
    driver.note_event(page);
    driver.pin(dirty.frame);
    driver.unlock(page);
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

// A full-page write: out of place. It ends when its claim is durable or, written through, when its
// home is.
void write_fast(Driver& driver, u8 page) {
    const bool through = driver.bounds().through && !has_fault(Mutant::through_ends_at_publish);

    if (!driver.enter())
        return;
    driver.lock(page);
    const u8 frame = driver.allocate();
    if (frame == none)
        return driver.unlock(page);

    const u8 value = driver.begin_write(page);
    driver.note_event(page);
    if (!has_fault(Mutant::data_stored_after_publish))
        driver.store_data(frame, value);

    const Holder old = driver.holder(page);
    const tiered_claim claim{page, TIERED_CLAIM_DIRTY, next_version(old)};
    if (old.frame != none && has_fault(Mutant::old_frame_freed_before_publish))
        driver.withdraw(page, old.frame);
    driver.publish(page, frame, claim);
    if (has_fault(Mutant::data_stored_after_publish))
        driver.store_data(frame, value);
    driver.set_holder(page, frame, claim);
    if (!through)
        driver.acknowledge_durable(page, value);

    if (old.frame != none) {
        driver.supersede(page, old.frame);
        driver.to_limbo(old.frame);
    }
    driver.note_event(page);
    driver.unlock(page);
    if (through)
        end_through(driver, page, value);
}

bool fill_is_current(Driver& driver, u8 page) {
    if (driver.holder(page).frame != none || driver.home_busy(page))
        return false;
    if (driver.fill_spoiled(page) && !has_fault(Mutant::fill_ignores_events))
        return false;
    return !driver.home_unflushed(page) || has_fault(Mutant::fill_ignores_unflushed);
}

// Makes a page resident from a read of its home that is passing.
void fill_clean(Driver& driver, u8 page) {
    driver.begin_fill(page);
    const u8 value = driver.read_home(page);

    if (!driver.enter())
        return;
    driver.lock(page);
    const u8 frame = fill_is_current(driver, page) ? driver.allocate() : none;
    if (frame != none) {
        const tiered_claim claim{page, TIERED_CLAIM_CLEAN, 0};

        driver.store_data(frame, value);
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

    driver.disk_write(page, value);

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
    driver.lock(page);
    const Holder bad = driver.holder(page);
    if (bad.frame == none || bad.claim.state == TIERED_CLAIM_LOST ||
        driver.data_readable(bad.frame))
        return driver.unlock(page);
    driver.condemn(bad.frame);
    if (bad.claim.state == TIERED_CLAIM_CLEAN || has_fault(Mutant::bad_dirty_page_is_dropped))
        clear_holder(driver, page);
    else
        lose(driver, page, bad);
    driver.noticed_bad(page);
    driver.unlock(page);
}

// Copies a dirty frame to its home and marks it clean.
void writeback(Driver& driver, u8 page) {
    if (!driver.enter())
        return;
    driver.lock(page);
    const Holder dirty = driver.holder(page);
    const bool busy = driver.home_busy(page) && !has_fault(Mutant::writeback_ignores_home_writes);
    if (dirty.frame == none || dirty.claim.state != TIERED_CLAIM_DIRTY || busy)
        return driver.unlock(page);
    const u8 contents = write_home(driver, page, dirty);
    driver.leave();
    if (contents == failed) {
        driver.lock(page);
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
    if (now.frame == dirty.frame && went_bad)
        // After it was copied: nothing is lost after all.
        clear_holder(driver, page);
    else if (entered &&
             (now.frame == dirty.frame || has_fault(Mutant::mark_clean_without_holder_check)))
        mark_clean(driver, page, dirty);
    end_home_write(driver, page, dirty.frame);
    driver.unlock(page);
}

// Frees the frame of a clean page.
void evict(Driver& driver, u8 page) {
    if (!driver.enter())
        return;
    driver.lock(page);
    const Holder clean = driver.holder(page);
    if (clean.frame == none || clean.claim.state != TIERED_CLAIM_CLEAN)
        return driver.unlock(page);
    if (has_fault(Mutant::evict_unindexes_first)) {
        driver.remove_holder(page);
        driver.unlock(page);
        driver.withdraw(page, clean.frame);
        return driver.to_limbo(clean.frame);
    }
    driver.withdraw(page, clean.frame);
    driver.remove_holder(page);
    driver.to_limbo(clean.frame);
    driver.unlock(page);
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
    driver.unlock(page);
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
        driver.disk_write(page, zeroes);
        if (!has_fault(Mutant::discard_without_disk_flush))
            driver.disk_flush();
    }
    const bool withdraws = may_zero && driver.enter();
    driver.lock(page);
    if (withdraws)
        clear_holder(driver, page);
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

// The volume is closed and opened again while the machine runs: words are read back as the caches
// have them, durable or not. Closing completes clears, unless the fast tier was unbound.
void reopen(Driver& driver) {
    driver.begin_close();
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

// So that there is an end: a home takes no more bypassing writes before it is flushed.
constexpr unsigned most_unflushed = 2;

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
        if (page.promise.undurable)
            return true;
    return false;
}

} // namespace

void run_operation(Driver& driver, Op op, u8 page) {
    switch (op) {
    case Op::idle:
        return;
    case Op::write_fast:
        return write_fast(driver, page);
    case Op::fill_clean:
        return fill_clean(driver, page);
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
    }
}

bool can_start(const State& state, Op op, u8 page) {
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
        return unlocked && !p.home_busy && p.home.count <= most_unflushed &&
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
    }
    return false;
}

} // namespace model
