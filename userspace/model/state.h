// SPDX-License-Identifier: GPL-2.0-or-later
// The modelled world: what is on media, what the CPUs have not drained yet, what the driver keeps
// in DRAM, and what the users of the volume were promised. A State is plain data, copied at every
// step.
#pragma once

#include "claim.h"

#include <array>
#include <cstdint>
#include <vector>

namespace model {

constexpr unsigned max_cpus = 3;
constexpr unsigned max_pages = 2;
constexpr unsigned max_frames = 6;
constexpr unsigned max_ids = 16; // contents of one page that can be told apart at one time
constexpr unsigned halves = 2;   // of a page, so that one that is torn shows
constexpr u8 none = 0xff;

// Contents of a page or of half a frame: the page they were written to and which write it was.
constexpr u8 garbage = 0xf0; // a free frame's: never right to see
constexpr u8 torn = 0xf1;    // a home whose last write the crash cut in two
constexpr u8 failed = 0xf2;  // not contents: the read answers EIO
constexpr u8 make_value(unsigned page, unsigned id) {
    return static_cast<u8>(page * max_ids + id);
}
// What a page, a frame or a home holds, half by half.
using Contents = std::array<u8, halves>;
constexpr Contents whole(u8 value) {
    return {value, value};
}
constexpr unsigned value_id(u8 value) {
    return value % max_ids;
}
constexpr bool value_of_page(u8 value, unsigned page) {
    return value < max_pages * max_ids && value / max_ids == page;
}
using Mask = uint16_t;
constexpr Mask bit(unsigned number) {
    return static_cast<Mask>(1u << number);
}

// A claim in one byte, so that states stay small.
u8 pack(const tiered_claim& claim);
tiered_claim unpack(u8 packed);
constexpr u8 packed_free = 0;
constexpr u8 packed_retired = 1;
constexpr u8 packed_wiped = 2; // no claim: a word that does not decode
constexpr bool holds_page(u8 packed) {
    return packed & 0x80;
}

// Eight bytes (or half a frame, or a home): every value that a crash now could leave, oldest first.
// The first is durable, the last is what a load reads.
struct Cell {
    static constexpr unsigned depth = 6;
    std::array<u8, depth> values{};
    u8 count = 1;
    std::array<u8, max_cpus>
        pending{};        // the value that this CPU's next fence makes durable; 0: none
    u8 undrained = 0;     // a word stored around the cache by...
    u8 undrained_cpu = 0; // ...this CPU, which no other CPU can drain

    u8 durable() const { return values[0]; }
    u8 newest() const { return values[count - 1]; }
    bool settled() const { return count == 1; }
    bool holds_only(u8 value) const { return settled() && durable() == value; }
    void reset(u8 value);
    void store(u8 value);                      // through the cache
    void store_around(unsigned cpu, u8 value); // non-temporal
    void flush(unsigned cpu);                  // clwb
    void flush_up_to(unsigned cpu, unsigned newest_covered);
    void fence(unsigned cpu); // sfence
};

using SlotImage = std::array<u8, 2>; // what the two superblocks are

enum class FrameUse : u8 { free, used, limbo, settling, retired };

// The one place of the medium that cannot be read any more. It stays so across crashes.
enum class Damage : u8 { nothing, primary, shadow, data };

struct Frame {
    Cell primary;
    Cell shadow;
    std::array<Cell, halves> data;
    FrameUse use = FrameUse::free;
    u8 pins = 0;            // readers that a recycling must wait for
    bool condemned = false; // to be retired when it is freed
    // of a volume that is used as memory
    bool mapped = false;   // it may be in page tables
    bool stored = false;   // it may be stored to, and what was may be in the caches alone
    bool cleaning = false; // its write-back is under way
    bool restored = false; // it became stored since that began
};

// What page tables say of a page.
struct Mapping {
    u8 frame = none;
    bool writable = false;
};

// What the users of half a page were promised. Masks are of write numbers (value_id).
struct Promise {
    Mask after_crash = 0;  // writes that may be seen after a crash now
    Mask now = 0;          // writes that may be read now
    Mask acknowledged = 0; // writes that have ended
    Mask undurable = 0;    // ended, and waiting for a FLUSH
    Mask stored = 0;       // stored through a mapping, and waiting for its user's flush
    Mask alone = 0;        // writes that the home may show without the fast tier (writing through)
    bool alone_torn = false;            // or a write to it that a crash cut in two
    std::array<Mask, max_ids> before{}; // writes that had ended when this one started
    std::array<Mask, max_cpus>
        flushing{}; // of those that wait, the ones that the FLUSH or msync on this CPU answers for

    void begin(u8 value);
    void acknowledge(u8 value);
    void end_store(u8 value);
    void make_durable(unsigned id);
    void end_flush(unsigned cpu);
};

struct Page {
    // driver
    u8 holder = none;       // the index: the frame that holds this page
    u8 claim = packed_free; // its claim
    bool home_busy = false; // a home write is in flight
    bool unflushed = false; // the home was written by a bypass and not flushed since
    Mask covered = 0;       // CPUs whose running disk flush answers for `unflushed`
    Mask spoiled = 0;       // CPUs whose running fill must be dropped
    bool exclusive = false; // it is being discarded: faults wait
    Mapping mapping;
    // disk
    std::array<Cell, halves> home;
    bool home_in_flight = false; // submitted, not completed
    u8 changing = 0;             // the halves to which that brings something new
    // users
    std::array<Promise, halves> promise;
    bool may_fail = false; // what alone had the contents went bad: a read may answer EIO
};

struct Stripe {
    u8 locked_by = none;
    u8 unfenced_frame = none;
};

// Who marks a page and enters it into page tables holds it shared, who takes that away holds it
// alone.
struct Gate {
    Mask shared = 0; // CPUs
    u8 shut_by = none;
};

enum class Op : u8 {
    idle,
    write_fast,
    fill_clean,
    bypass_write,
    flush,
    writeback,
    evict,
    discard,
    recycle,
    meet_bad,
    open_after_crash,
    reopen,
    grow,
    fill_for_fault,
    map_to_load,
    map_to_store,
    store,
    persist,
    sync,
    write_part,
    write_in_place,
};

// What a CPU needs before its next step.
enum class Wait : u8 { nothing, lock, lock_with_idle_home, open_gate, free_gate };

// Where one CPU stands in its operation: how many steps it made and what it learnt in them. An
// operation is run again from its start to make its next step.
struct Cpu {
    static constexpr unsigned log_size = 24;
    Op op = Op::idle;
    u8 page = none;
    u8 half = 0;
    u8 steps = 0;
    Wait waits = Wait::nothing;
    u8 waits_for_page = none;
    bool inside = false; // uses the fast tier, which cannot go meanwhile
    u8 frames_count = 0;
    u8 values_count = 0;
    u8 claims_count = 0;
    u8 numbers_count = 0;
    std::array<u8, log_size> frames{};
    std::array<u8, log_size> values{};
    std::array<u8, log_size> claims{};
    std::array<u8, log_size> numbers{};
};

struct Bounds {
    unsigned cpus = 2;
    unsigned pages = 2;
    unsigned stripes = 1;
    unsigned frames = 4;
    bool damage = false;  // whether the medium goes bad on the way
    bool unbinds = false; // whether the fast tier goes and comes back on the way
    bool through = false; // whether a write ends when its home has it
    bool grows = false;   // whether the last page is beyond the end at first
    unsigned memory = 0;  // halves of pages that are stored to through mappings

    // Halves of a home and of what was promised that can differ.
    unsigned apart() const { return memory ? halves : 1; }
};

struct State {
    Bounds bounds;
    bool went_bad = false; // once on a path
    Damage damage = Damage::nothing;
    u8 damaged_frame = none;
    bool noticed = false; // what damaged data meant for their page has been made durable
    bool crashed = false; // what a crash sees: no DRAM
    bool opening = false; // after a crash, before the volume is open
    bool gone = false;    // the fast tier was unbound under the volume
    // of a volume that grows
    std::array<Cell, 2> superblocks{};
    u8 standing = 0;     // the superblock that the driver went by
    u8 volume_pages = 0; // as it has them
    bool grown = false;  // whoever made the volume grow was told that it has
    std::array<Frame, max_frames> frames{};
    std::array<Page, max_pages> pages{};
    std::array<Stripe, max_pages> stripes{};
    std::array<Gate, max_pages> gates{};
    std::array<Cpu, max_cpus> cpus{};

    Stripe& stripe(unsigned page) { return stripes[page % bounds.stripes]; }
    const Stripe& stripe(unsigned page) const { return stripes[page % bounds.stripes]; }
    bool is_damaged(Damage what, unsigned frame) const {
        return damage == what && damaged_frame == frame;
    }
    // Pages that share a lock share a gate.
    Gate& gate(unsigned page) { return gates[page % bounds.stripes]; }
    const Gate& gate(unsigned page) const { return gates[page % bounds.stripes]; }
    // What a read of the page gets.
    u8 visible(unsigned page, unsigned half) const;
    bool can_go_on(const Cpu& cpu) const;
};

Contents newest_of(const std::array<Cell, halves>& cells);

// A write number of `page` that nothing in the state mentions any more.
u8 fresh_value(const State& state, unsigned page);
// Drops write numbers that can never be seen again from the promises.
void forget_unseen(State& state);
// The same for states that differ only in the names of frames, write numbers, CPUs and pages.
uint64_t canonical_hash(const State& state);

} // namespace model
