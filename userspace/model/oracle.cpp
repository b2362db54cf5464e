// SPDX-License-Identifier: GPL-2.0-or-later
// Enumerates crash images, runs the real load over each, and compares what it finds with what users
// were promised.
#include "oracle.h"

#include "media.h"
#include "violation.h"

#include <fmt/format.h>

#include <algorithm>

namespace model {

namespace {

std::string image_text(const State& view, const Image& image) {
    std::string text;

    for (unsigned f = 0; f < view.bounds.frames; f++)
        text += fmt::format("\n    frame {}: {}, shadow {}{}", f, claim_text(image.primary[f]),
                            claim_text(image.shadow[f]),
                            view.is_damaged(Damage::data, f) ? ", data cannot be read" : "");
    return text;
}

[[noreturn]] void refuse(const State& view, const Image& image, const std::string& what) {
    throw Violation(fmt::format("{}\n  crash image:{}", what, image_text(view, image)));
}

// Cells and a value of each.
class Choice {
public:
    // Returns the number of the cell.
    unsigned add(const Cell& cell) {
        cells_.at(count_) = &cell;
        return count_++;
    }
    u8 value(unsigned number) const { return cells_[number]->values[at_[number]]; }
    bool next() {
        unsigned number = 0;

        while (number < count_ && ++at_[number] == cells_[number]->count)
            at_[number++] = 0;
        return number < count_;
    }

private:
    std::array<const Cell*, 4 * max_frames + 2> cells_{};
    std::array<u8, 4 * max_frames + 2> at_{};
    unsigned count_ = 0;
};

bool may_be_wiped(const Cell& primary) {
    return std::find(primary.values.begin(), primary.values.begin() + primary.count,
                     packed_wiped) != primary.values.begin() + primary.count;
}

// Calls `next` for each image that a crash may leave of the words. A shadow that no load looks at
// is given as its primary. `unreadable`: a frame whose primary cannot be read.
template <typename Next>
void for_each_image(const State& view, u8 unreadable, Next next) {
    const auto hidden = [&](u8 f) {
        return f == unreadable || view.is_damaged(Damage::primary, f);
    };
    std::array<unsigned, max_frames> shadow_at{};
    Choice choice;

    for (u8 f = 0; f < view.bounds.frames; f++)
        shadow_at.at(f) = choice.add(hidden(f) ? view.frames[f].shadow : view.frames[f].primary);
    for (u8 f = 0; f < view.bounds.frames; f++)
        if (!hidden(f) && may_be_wiped(view.frames[f].primary))
            shadow_at.at(f) = choice.add(view.frames[f].shadow);
    const unsigned slots_at = choice.add(view.superblocks[0]);
    choice.add(view.superblocks[1]);
    do {
        Image image;
        for (u8 f = 0; f < view.bounds.frames; f++) {
            image.primary.at(f) = hidden(f) ? packed_wiped : choice.value(f);
            image.shadow.at(f) = choice.value(shadow_at[f]);
        }
        image.superblocks = {choice.value(slots_at), choice.value(slots_at + 1)};
        next(image);
    } while (choice.next());
}

template <typename Check>
bool all_values(const Cell& cell, Check check) {
    return std::all_of(cell.values.begin(), cell.values.begin() + cell.count, check);
}

// Whatever a crash leaves of this half of the page may be read.
bool promised(const Page& page, unsigned number, unsigned half, const Cell& cell) {
    const Mask seen = page.promise[half].after_crash;

    return all_values(cell, [&](u8 value) {
        return value_of_page(value, number) && seen & bit(value_id(value));
    });
}

bool home_promised(const State& view, unsigned number) {
    const Page& page = view.pages[number];

    for (unsigned half = 0; half < view.bounds.apart(); half++)
        if (!promised(page, number, half, page.home[half]))
            return false;
    return true;
}

// Without stores in place a frame has one write of its page, whatever the crash does.
bool torn_without_stores(const State& view, const Frame& frame) {
    const u8 value = frame.data[0].durable();

    return !view.bounds.memory &&
           !(frame.data[0].holds_only(value) && frame.data[1].holds_only(value));
}

bool frame_promised(const State& view, unsigned number, const Frame& frame) {
    const Page& page = view.pages[number];

    if (torn_without_stores(view, frame))
        return false;
    for (unsigned half = 0; half < view.bounds.apart(); half++)
        if (!promised(page, number, half, frame.data[half]))
            return false;
    return true;
}

bool same_as_home(const State& view, unsigned number, const Frame& frame) {
    for (unsigned half = 0; half < view.bounds.apart(); half++) {
        const u8 value = frame.data[half].durable();

        if (!frame.data[half].holds_only(value) || !view.pages[number].home[half].holds_only(value))
            return false;
    }
    return true;
}

void check_page(const State& view, const Image& image, const Loaded& loaded, unsigned number) {
    const Page& page = view.pages[number];
    const Loaded::Held& held = loaded.pages[number];
    const tiered_claim_state state = unpack(held.claim).state;
    const bool bad_data = held.frame != none && view.is_damaged(Damage::data, held.frame);

    if (is_lost(loaded, number) || (bad_data && state == TIERED_CLAIM_DIRTY)) {
        if (!page.may_fail)
            refuse(view, image, fmt::format("page {} is lost without need", number));
        return;
    }
    if (held.frame == none || bad_data) {
        if (!home_promised(view, number))
            refuse(
                view, image,
                fmt::format("page {} may be read from its home as old or torn contents", number));
        return;
    }
    const Frame& frame = view.frames[held.frame];

    if (!frame_promised(view, number, frame))
        refuse(view, image,
               fmt::format("page {} is read as old contents from frame {}", number, held.frame));
    if (state == TIERED_CLAIM_CLEAN && !same_as_home(view, number, frame))
        refuse(view, image,
               fmt::format("page {} is clean and its home may differ from frame {}", number,
                           held.frame));
}

bool holds_data_of(const State& view, const Frame& frame, u64 page) {
    const auto of_page = [&](u8 value) {
        return value_of_page(value, static_cast<unsigned>(page));
    };

    return !torn_without_stores(view, frame) && all_values(frame.data[0], of_page) &&
           all_values(frame.data[1], of_page);
}

// Losers too: a claim speaks for its frame until it is cleared.
void check_claims(const State& view, const Image& image) {
    for (unsigned f = 0; f < view.bounds.frames; f++) {
        const bool speaks_of_data = holds_page(image.primary[f]) &&
                                    unpack(image.primary[f]).state != TIERED_CLAIM_LOST &&
                                    !view.is_damaged(Damage::data, f);

        if (speaks_of_data && !holds_data_of(view, view.frames[f], unpack(image.primary[f]).page))
            refuse(view, image,
                   fmt::format("the claim of frame {} stands on other or torn data", f));
    }
}

void check_size(const State& view, const Image& image, const Loaded& loaded) {
    if (!loaded.volume_pages)
        refuse(view, image, "neither superblock can be believed");
    if (view.grown && loaded.volume_pages < view.bounds.pages)
        refuse(view, image, "the volume has grown and is small again");
}

void check_loaded(const State& view, const Image& image) {
    const Loaded loaded = load_image(view.bounds, image, ScanOrder::ascending);
    const Loaded backwards = load_image(view.bounds, image, ScanOrder::descending);

    if (loaded.conflict || backwards.conflict)
        refuse(view, image, "the load finds two claims that no crash may leave");
    if (loaded.pages != backwards.pages)
        refuse(view, image, "the load depends on the order of the scan");
    check_size(view, image, loaded);
    check_claims(view, image);
    for (unsigned p = 0; p < loaded.volume_pages; p++)
        check_page(view, image, loaded, p);
}

// As it is, and without either superblock. Not when the crash tore the other one: that would be two
// faults at once.
void check_image(const State& view, const Image& image) {
    check_loaded(view, image);
    for (unsigned slot = 0; slot < 2 && view.bounds.grows; slot++) {
        Image unreadable = image;

        unreadable.superblocks[slot] = torn;
        if (image.superblocks[!slot] != torn)
            check_loaded(view, unreadable);
    }
}

// One primary word cannot be read: nothing old may be read in silence, with either order of the
// scan.
void check_unreadable(const State& view, const Image& image) {
    for (const ScanOrder order : {ScanOrder::ascending, ScanOrder::descending}) {
        const Loaded loaded = load_image(view.bounds, image, order);

        for (unsigned p = 0; p < loaded.volume_pages; p++)
            if (!is_lost(loaded, p))
                check_page(view, image, loaded, p);
    }
}

void start_from_half(const State& view, unsigned page, unsigned half, State& restarted,
                     const std::function<void(const State&)>& next);

// Goes through what the homes may be, page by page, and hands each combination on. A home that a
// crash cut in two is a disk's usual fate where each half might be seen; where one may not, the
// frame above must keep it out of sight.
void start_from(const State& view, unsigned page, State& restarted,
                const std::function<void(const State&)>& next) {
    if (page == view.bounds.pages) {
        State ready = restarted;
        forget_unseen(ready);
        return next(ready);
    }
    if (view.bounds.memory)
        return start_from_half(view, page, 0, restarted, next);
    const Cell& home = view.pages[page].home[0];
    Cell& chosen = restarted.pages[page].home[0];

    for (unsigned i = 0; i < home.count; i++) {
        chosen.reset(home.values[i]);
        start_from(view, page + 1, restarted, next);
    }
    if (home.count > 1 && !home_promised(view, page)) {
        Promise& promise = restarted.pages[page].promise[0];

        chosen.reset(torn);
        promise.alone_torn = true;
        start_from(view, page + 1, restarted, next);
        promise.alone_torn = view.pages[page].promise[0].alone_torn;
    }
}

// Each half of a home persists for itself.
void start_from_half(const State& view, unsigned page, unsigned half, State& restarted,
                     const std::function<void(const State&)>& next) {
    if (half == halves)
        return start_from(view, page + 1, restarted, next);
    const Cell& home = view.pages[page].home[half];

    for (unsigned i = 0; i < home.count; i++) {
        restarted.pages[page].home[half].reset(home.values[i]);
        start_from_half(view, page, half + 1, restarted, next);
    }
}

} // namespace

namespace {

bool may_be_read_now(const Page& page, unsigned number, unsigned half, u8 value) {
    return value_of_page(value, number) && page.promise[half].now & bit(value_id(value));
}

void check_read(const State& state, unsigned number, unsigned half) {
    const Page& page = state.pages[number];
    const u8 value = state.visible(number, half);

    if (value == failed && (page.may_fail || state.gone))
        return;
    if (!may_be_read_now(page, number, half, value))
        throw Violation(fmt::format("page {} reads as {}", number,
                                    value == failed ? "an error without need"
                                                    : "old, foreign or torn contents"));
}

// Through a mapping. One of a bad frame cannot be loaded from.
void check_loads(const State& state, unsigned number) {
    const Page& page = state.pages[number];
    const u8 f = page.mapping.frame;

    if (f == none || state.is_damaged(Damage::data, f))
        return;
    const Frame& frame = state.frames[f];

    if (frame.use != FrameUse::used && frame.use != FrameUse::limbo)
        throw Violation(fmt::format("frame {} is reused while page {} is mapped to it", f, number));
    for (unsigned half = 0; half < halves; half++)
        if (!may_be_read_now(page, number, half, frame.data[half].newest()))
            throw Violation(fmt::format(
                "page {} is loaded as old or foreign contents from frame {}", number, f));
}

} // namespace

void check_reads(const State& state) {
    if (state.opening)
        return;
    for (unsigned p = 0; p < state.bounds.pages; p++) {
        for (unsigned half = 0; half < state.bounds.apart(); half++)
            check_read(state, p, half);
        check_loads(state, p);
    }
}

void check_progress(const State& state) {
    bool busy = false;

    for (const Cpu& cpu : state.cpus) {
        busy |= cpu.op != Op::idle;
        if (cpu.op != Op::idle && state.can_go_on(cpu))
            return;
    }
    if (busy)
        throw Violation("those that are under way wait for each other");
}

State crash_view(const State& state) {
    State view;

    view.bounds = state.bounds;
    view.crashed = true;
    view.went_bad = state.went_bad;
    view.damage = state.damage;
    view.damaged_frame = state.damaged_frame;
    view.noticed = state.noticed;
    view.superblocks = state.superblocks;
    for (Cell& slot : view.superblocks)
        slot.pending = {};
    view.grown = state.grown;
    for (unsigned f = 0; f < state.bounds.frames; f++) {
        const Frame& frame = state.frames[f];

        view.frames[f] = {.primary = frame.primary, .shadow = frame.shadow, .data = frame.data};
        for (Cell* cell : {&view.frames[f].primary, &view.frames[f].shadow, &view.frames[f].data[0],
                           &view.frames[f].data[1]}) {
            cell->pending = {};
            cell->undrained = 0;
            cell->undrained_cpu = 0;
        }
    }
    for (unsigned p = 0; p < state.bounds.pages; p++) {
        view.pages[p].home = state.pages[p].home;
        view.pages[p].may_fail = state.pages[p].may_fail;
        for (unsigned half = 0; half < state.bounds.apart(); half++) {
            const Promise& promise = state.pages[p].promise[half];

            view.pages[p].home[half].pending = {};
            view.pages[p].promise[half].after_crash = promise.after_crash;
            view.pages[p].promise[half].alone = promise.alone;
            view.pages[p].promise[half].alone_torn = promise.alone_torn;
        }
    }
    forget_unseen(view);
    return view;
}

namespace {

// Whoever writes through may lose the fast tier at any moment, and the machine with it.
void check_homes_alone(const State& view) {
    for (unsigned p = 0; p < view.bounds.pages && view.bounds.through; p++) {
        const Page& page = view.pages[p];

        const Promise& promise = page.promise[0];

        for (unsigned i = 0; i < page.home[0].count; i++) {
            const u8 value = page.home[0].values[i];
            const bool known = value_of_page(value, p) && promise.alone & bit(value_id(value));

            if (!known && !(value == torn && promise.alone_torn))
                throw Violation(fmt::format(
                    "page {} is old on its disk alone, though a write through has ended", p));
        }
    }
}

} // namespace

uint64_t check_crashes(const State& view) {
    uint64_t images = 0;

    check_homes_alone(view);

    for_each_image(view, none, [&](const Image& image) {
        check_image(view, image);
        images++;
    });
    for (u8 f = 0; f < view.bounds.frames && !view.went_bad; f++)
        if (!view.frames[f].primary.holds_only(packed_free) ||
            !view.frames[f].shadow.holds_only(packed_free))
            for_each_image(view, f, [&](const Image& image) {
                check_unreadable(view, image);
                images++;
            });
    return images;
}

namespace {

using Data = std::array<Contents, max_frames>;

// What the medium is after this crash, with nothing gone bad in it.
State restart(const State& view, const Image& image, const Data& data) {
    State restarted = view;

    for (unsigned f = 0; f < view.bounds.frames; f++) {
        Frame& frame = restarted.frames[f];

        frame.primary.reset(image.primary[f]);
        frame.shadow.reset(image.shadow[f]);
        frame.use = FrameUse::used;
        for (unsigned half = 0; half < halves; half++)
            frame.data[half].reset(holds_page(image.primary[f]) ? data[f][half] : garbage);
    }
    for (unsigned slot = 0; slot < restarted.superblocks.size(); slot++)
        restarted.superblocks[slot].reset(image.superblocks[slot]);
    restarted.volume_pages = static_cast<u8>(view.bounds.grows ? 0 : view.bounds.pages);
    restarted.crashed = false;
    restarted.opening = true;
    restarted.cpus[0].op = Op::open_after_crash;
    restarted.cpus[0].page = 0;
    return restarted;
}

// The page of the claim may have lost what its frame alone had.
void expect_failure(State& state, u8 claim) {
    if (holds_page(claim))
        state.pages[unpack(claim).page].may_fail = true;
}

bool may_hold_page(const Cell& word) {
    return !all_values(word, [](u8 packed) { return !holds_page(packed); });
}

using NextState = std::function<void(const State&)>;

// One word of `frame` is bad when the power comes back: for good, or until it is stored again.
void damage_words(const State& restarted, u8 frame, const NextState& next) {
    const u8 shadow = restarted.frames[frame].shadow.newest();

    for (const Damage which : {Damage::primary, Damage::shadow}) {
        State damaged = restarted;
        Frame& f = damaged.frames[frame];

        damaged.went_bad = true;
        if (which == Damage::primary)
            expect_failure(damaged, shadow);
        (which == Damage::primary ? f.primary : f.shadow).reset(packed_wiped);
        start_from(restarted, 0, damaged, next);
        damaged.damage = which;
        damaged.damaged_frame = frame;
        start_from(restarted, 0, damaged, next);
    }
}

// A bad block in a frame's data is made good; what is there now is nobody's.
void heal_data(const State& restarted, const NextState& next) {
    State healed = restarted;

    for (Cell& half : healed.frames[healed.damaged_frame].data)
        half.reset(garbage);
    healed.damage = Damage::nothing;
    healed.damaged_frame = none;
    start_from(restarted, 0, healed, next);
}

void go_on_from(const State& restarted, const NextState& next) {
    State ready = restarted;

    start_from(restarted, 0, ready, next);
    for (u8 f = 0; f < restarted.bounds.frames && !restarted.went_bad; f++)
        if (restarted.bounds.damage && (holds_page(restarted.frames[f].primary.newest()) ||
                                        holds_page(restarted.frames[f].shadow.newest())))
            damage_words(restarted, f, next);
    if (restarted.damage == Damage::data && restarted.noticed)
        heal_data(restarted, next);
}

} // namespace

void for_each_restart(const State& view, const std::function<void(const State&)>& next) {
    Cell unclaimed;
    Choice choice;

    unclaimed.reset(garbage);

    for (unsigned f = 0; f < view.bounds.frames; f++)
        choice.add(view.frames[f].primary);
    for (unsigned f = 0; f < view.bounds.frames; f++)
        choice.add(view.frames[f].shadow);
    const unsigned slots_at = choice.add(view.superblocks[0]);
    choice.add(view.superblocks[1]);
    // Only stores to mappings persist by chance under a claim.
    const unsigned data_at = slots_at + 2;
    for (unsigned f = 0; f < view.bounds.frames && view.bounds.memory; f++)
        for (const Cell& half : view.frames[f].data)
            choice.add(may_hold_page(view.frames[f].primary) ? half : unclaimed);
    do {
        Image image;
        Data data;

        for (unsigned f = 0; f < view.bounds.frames; f++) {
            image.primary[f] = choice.value(f);
            image.shadow[f] = choice.value(view.bounds.frames + f);
            data[f] = view.bounds.memory ? Contents{choice.value(data_at + 2 * f),
                                                    choice.value(data_at + 2 * f + 1)}
                                         : newest_of(view.frames[f].data);
        }
        image.superblocks = {choice.value(slots_at), choice.value(slots_at + 1)};
        go_on_from(restart(view, image, data), next);
    } while (choice.next());
}

} // namespace model
