// SPDX-License-Identifier: GPL-2.0-or-later
// What an operation of the model can do: locks, frames, the index, the claim protocol, homes. Each
// call is a step that happens once; an operation is run again from its start to reach its next
// step, and earlier steps then only give their old answers.
#pragma once

#include "media.h"
#include "mutants.h"
#include "protocol.h"
#include "state.h"

#include <array>
#include <csetjmp>
#include <vector>

namespace model {

enum class Step : u8 {
    lock,
    unlock,
    allocate,
    store_data,
    read_frame,
    read_home,
    holder,
    set_holder,
    remove_holder,
    to_limbo,
    to_free,
    pin,
    unpin,
    load_clear,
    store_clear,
    pm_store,
    pm_store_shadow,
    pm_store_around,
    pm_flush,
    pm_flush_shadow,
    pm_fence,
    home_busy,
    begin_home_write,
    end_home_write,
    disk_submit,
    disk_complete,
    disk_flush_begin,
    disk_flush_end,
    note_event,
    begin_fill,
    fill_spoiled,
    home_unflushed,
    mark_unflushed,
    begin_write,
    acknowledge,
    begin_flush,
    end_flush,
    take_limbo,
    condemn,
    is_condemned,
    is_readable,
    noticed_bad,
    enter,
    leave,
    is_gone,
    begin_close,
    load_words,
    forget,
    opened,
    rely_on_what_is_read,
    flush_words,
    load_superblocks,
    store_superblock,
    write_superblock,
    set_volume_pages,
    share_gate,
    leave_gate,
    shut_gate,
    open_gate,
    unmap,
    look_at_marks,
    look_at_mapping,
    mark,
    unmark,
    enter_mapping,
    drop_mapping,
    flush_lines,
    begin_cleaning,
    end_cleaning,
    set_exclusive,
    is_exclusive,
    store_in_place,
    memory_store,
    memory_flush,
    end_store,
    begin_sync,
    end_sync,
    crash,
    go_bad,
    unbound,
};

// Where another CPU may come in between.
enum class Grain {
    coarse, // before everything that makes something durable, visible without a lock, or waits
    fine,   // also at every store and flush
};

struct TraceEntry {
    u8 cpu;
    Op op;
    u8 page;
    Step step;
    u8 first;
    u8 second;
};

struct Holder {
    u8 frame;
    tiered_claim claim;
};

struct FrameList {
    std::array<u8, max_frames> frames{};
    unsigned count = 0;
};

struct Marks {
    bool mapped;
    bool stored;
};

// What the scan of the words leaves to be put right before any I/O.
struct Scan {
    WordImage shadows_to_restore;
    std::array<Holder, max_frames> lost{}; // by a damaged word
    unsigned lost_count = 0;
    FrameList losers;
};

class Driver {
public:
    Driver(State& state, unsigned cpu, Grain grain, std::vector<TraceEntry>& trace);

    const Bounds& bounds() const { return state_.bounds; }
    // Runs the operation of this CPU up to its next point.
    void run();

    // Whether the fast tier is there, and stays until leave().
    bool enter();
    void leave();
    bool gone();

    void lock(u8 page);
    void lock_with_idle_home(u8 page); // waits until no write of the home is on its way
    void unlock(u8 page);

    u8 allocate(); // or `none`
    void store_data(u8 frame, const Contents& contents);
    Contents read_frame(u8 frame);
    void to_limbo(u8 frame);
    void to_free(u8 frame);
    void pin(u8 frame);
    void unpin(u8 frame);
    FrameList take_limbo(); // frames that nobody reads
    void condemn(u8 frame);
    bool condemned(u8 frame);
    bool data_readable(u8 frame);

    Holder holder(u8 page);
    void set_holder(u8 page, u8 frame, const tiered_claim& claim);
    void remove_holder(u8 page);

    void publish(u8 page, u8 frame, const tiered_claim& claim);
    void supersede(u8 page, u8 frame);
    void withdraw(u8 page, u8 frame);
    void mark_clean(u8 frame, const tiered_claim& claim);
    void mark_dirty(u8 frame, const tiered_claim& claim);
    void mark_lost(u8 frame, const tiered_claim& claim);
    void retire(u8 frame);
    void settle(const FrameList& list);

    bool home_busy(u8 page);
    void begin_home_write(u8 page);
    void end_home_write(u8 page);
    void disk_write(u8 page, const Contents& contents);
    void disk_flush();
    Contents read_home(u8 page);

    void note_event(u8 page); // a write of the page started or ended
    void begin_fill(u8 page);
    bool fill_spoiled(u8 page);
    bool home_unflushed(u8 page);
    bool any_home_unflushed();
    void mark_unflushed(u8 page);

    // From here on, clearing the bad block must not bring anything else to light.
    void noticed_bad(u8 page);

    // What the user sees: a write starts, ends, is durable.
    u8 begin_write(u8 page);
    u8 begin_write_of_half(u8 page, u8 half);
    void acknowledge(u8 page, u8 value);
    void acknowledge_durable(u8 page, u8 value);
    void acknowledge_half_durable(u8 page, u8 half, u8 value);
    void begin_flush();
    void end_flush();

    // The volume as memory. Without it nothing is marked, and gates are free.
    u8 half() const { return me_.half; }
    void share_gate(u8 page);
    void leave_gate(u8 page);
    void shut_gate(u8 page);
    void open_gate(u8 page);
    Marks marks(u8 frame);
    void mark(u8 frame, bool stored); // RESTORED too where that is due
    void unmark(u8 frame);
    void unmark_to(u8 frame, const Marks& before);
    void enter_mapping(u8 page, u8 frame, bool writable);
    void drop_mapping_to_load(u8 page);
    void upgrade_mapping(u8 page, u8 frame); // where it still allows loads from this frame
    bool maps_to_load(u8 page);
    void unmap(u8 page);
    void flush_lines(u8 frame); // all CPUs' caches, not yet durable
    void begin_cleaning(u8 frame);
    bool end_cleaning(u8 frame); // whether it was stored to since
    void set_exclusive(u8 page, bool exclusive);
    bool is_exclusive(u8 page);
    // A program stores to this half; or flushes the line, and learns what it flushed: `none` if
    // nothing is mapped.
    void store_in_place(u8 frame, u8 half, u8 value); // around the cache
    void memory_store(u8 page, u8 half);
    u8 memory_flush(u8 page, u8 half);
    void stored_durably(u8 page, u8 half, u8 value);
    void begin_sync(u8 page);
    void end_sync(u8 page);

    // Closing the volume, with nothing else under way, and forgetting all that is in DRAM.
    void begin_close();
    void settle_clear(u8 page);
    void forget();

    // Whether the superblock that does not stand is torn or knows the volume by another size.
    bool load_superblocks();
    // Writes the one that does not stand, which then does. Of a volume that grows only.
    void write_superblock(unsigned pages);
    void set_volume_pages(unsigned pages);
    unsigned pages_now();

    Scan load_words();
    void flush_words();
    void restore_shadows(const Scan& scan);
    void clear_loser(u8 frame);
    void opened();
    void rely_on_what_is_read(); // as users do from the first I/O after a crash on

    // The shim of driver/core ends up here.
    void pm_store(const __le64* word, __le64 value);
    void pm_store_around(const __le64* word, __le64 value);
    void pm_flush(const __le64* word);
    void pm_fence();

private:
    bool perform(Step step, u8 first = none, u8 second = none, Wait wait = Wait::nothing);
    void take_lock(u8 page, Wait wait);
    bool pauses_before(Step step) const;
    void note_frame(u8 frame) { me_.frames.at(me_.frames_count++) = frame; }
    void note_value(u8 value) { me_.values.at(me_.values_count++) = value; }
    void note_claim(u8 claim) { me_.claims.at(me_.claims_count++) = claim; }
    void note_number(u8 number) { me_.numbers.at(me_.numbers_count++) = number; }
    u8 answer_frame(bool performed, u8 frame);
    u8 answer_value(bool performed, u8 value);
    Contents answer_contents(bool performed, const Contents& contents);
    u8 answer_claim(bool performed, u8 claim);
    u8 answer_number(bool performed, u8 number);
    void release(u8 frame);
    u8 begin(u8 page, unsigned first, unsigned end);
    void rely_on_half(u8 page, u8 half);
    tiered_words words() const { return word_map(state_.bounds).words(state_); }
    void index_loaded(const Loaded& loaded);
    void condemn_loaded(const Loaded& loaded);
    unsigned log_lost(const Loaded& loaded);
    unsigned log_old_shadows(const Image& image);
    unsigned log_losers(const Loaded& loaded);
    tiered_clear load_clear(u8 page);
    void store_clear(u8 page, const tiered_clear& clear);

    State& state_;
    const unsigned cpu_;
    Cpu& me_;
    const Grain grain_;
    std::vector<TraceEntry>& trace_;
    std::jmp_buf pause_{};
    unsigned visited_ = 0;
    bool progressed_ = false;
    unsigned frames_read_ = 0;
    unsigned values_read_ = 0;
    unsigned claims_read_ = 0;
    unsigned numbers_read_ = 0;
};

// The operations, named as in the driver (operations.cpp).
void run_operation(Driver& driver, Op op, u8 page);
// Whether starting the operation now would do anything.
bool can_start(const State& state, Op op, u8 page, u8 half);

} // namespace model
