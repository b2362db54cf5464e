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
    std::array<const Cell*, 2 * max_frames + 2> cells_{};
    std::array<u8, 2 * max_frames + 2> at_{};
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

// The one value that both halves of a frame have whatever the crash does, or `torn`.
u8 certain_contents(const Frame& frame) {
    const u8 value = frame.data[0].durable();

    for (const Cell& half : frame.data)
        for (unsigned i = 0; i < half.count; i++)
            if (half.values[i] != value)
                return torn;
    return value;
}

bool all_of(const Cell& cell, u8 value) {
    return cell.settled() && cell.durable() == value;
}

bool promised(const Page& page, unsigned number, u8 value) {
    return value_of_page(value, number) && page.promise.after_crash & bit(value_id(value));
}

bool all_promised(const Page& page, unsigned number) {
    for (unsigned i = 0; i < page.home.count; i++)
        if (!promised(page, number, page.home.values[i]))
            return false;
    return true;
}

void check_page(const State& view, const Image& image, const Loaded& loaded, unsigned number) {
    const Page& page = view.pages[number];
    const Loaded::Held& held = loaded.pages[number];
    const tiered_claim_state state = unpack(held.claim).state;
    const bool bad_data = held.frame != none && view.is_damaged(Damage::data, held.frame);

    if (is_lost(loaded, number) || (bad_data && state == TIERED_CLAIM_DIRTY)) {
        if (!page.promise.may_fail)
            refuse(view, image, fmt::format("page {} is lost without need", number));
        return;
    }
    if (held.frame == none || bad_data) {
        if (!all_promised(page, number))
            refuse(
                view, image,
                fmt::format("page {} may be read from its home as old or torn contents", number));
        return;
    }
    const u8 contents = certain_contents(view.frames[held.frame]);

    if (!promised(page, number, contents))
        refuse(view, image,
               fmt::format("page {} is read as old contents from frame {}", number, held.frame));
    if (state == TIERED_CLAIM_CLEAN && !all_of(page.home, contents))
        refuse(view, image,
               fmt::format("page {} is clean and its home may differ from frame {}", number,
                           held.frame));
}

// Losers too: a claim speaks for its frame until it is cleared.
void check_claims(const State& view, const Image& image) {
    for (unsigned f = 0; f < view.bounds.frames; f++) {
        const bool speaks_of_data = holds_page(image.primary[f]) &&
                                    unpack(image.primary[f]).state != TIERED_CLAIM_LOST &&
                                    !view.is_damaged(Damage::data, f);

        if (speaks_of_data && !value_of_page(certain_contents(view.frames[f]),
                                             static_cast<unsigned>(unpack(image.primary[f]).page)))
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
    const Cell& home = view.pages[page].home;
    Cell& chosen = restarted.pages[page].home;

    for (unsigned i = 0; i < home.count; i++) {
        chosen.reset(home.values[i]);
        start_from(view, page + 1, restarted, next);
    }
    if (home.count > 1 && !all_promised(view.pages[page], page)) {
        chosen.reset(torn);
        restarted.pages[page].promise.alone_torn = true;
        start_from(view, page + 1, restarted, next);
        restarted.pages[page].promise.alone_torn = view.pages[page].promise.alone_torn;
    }
}

} // namespace

void check_reads(const State& state) {
    if (state.opening)
        return;
    for (unsigned p = 0; p < state.bounds.pages; p++) {
        const u8 value = state.visible(p);

        if (value == failed && (state.pages[p].promise.may_fail || state.gone))
            continue;
        if (!value_of_page(value, p) || !(state.pages[p].promise.now & bit(value_id(value))))
            throw Violation(fmt::format("page {} reads as {}", p,
                                        value == failed ? "an error without need"
                                                        : "old, foreign or torn contents"));
    }
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
        view.pages[p].home.pending = {};
        view.pages[p].promise.after_crash = state.pages[p].promise.after_crash;
        view.pages[p].promise.may_fail = state.pages[p].promise.may_fail;
        view.pages[p].promise.alone = state.pages[p].promise.alone;
        view.pages[p].promise.alone_torn = state.pages[p].promise.alone_torn;
    }
    forget_unseen(view);
    return view;
}

namespace {

// Whoever writes through may lose the fast tier at any moment, and the machine with it.
void check_homes_alone(const State& view) {
    for (unsigned p = 0; p < view.bounds.pages && view.bounds.through; p++) {
        const Page& page = view.pages[p];

        for (unsigned i = 0; i < page.home.count; i++) {
            const u8 value = page.home.values[i];
            const bool known = value_of_page(value, p) && page.promise.alone & bit(value_id(value));

            if (!known && !(value == torn && page.promise.alone_torn))
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
        if (!all_of(view.frames[f].primary, packed_free) ||
            !all_of(view.frames[f].shadow, packed_free))
            for_each_image(view, f, [&](const Image& image) {
                check_unreadable(view, image);
                images++;
            });
    return images;
}

namespace {

// What the medium is after this crash, with nothing gone bad in it.
State restart(const State& view, const Image& image) {
    State restarted = view;

    for (unsigned f = 0; f < view.bounds.frames; f++) {
        Frame& frame = restarted.frames[f];

        frame.primary.reset(image.primary[f]);
        frame.shadow.reset(image.shadow[f]);
        frame.use = FrameUse::used;
        for (Cell& half : frame.data)
            half.reset(holds_page(image.primary[f]) ? half.newest() : garbage);
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
        state.pages[unpack(claim).page].promise.may_fail = true;
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
    Choice choice;

    for (unsigned f = 0; f < view.bounds.frames; f++)
        choice.add(view.frames[f].primary);
    for (unsigned f = 0; f < view.bounds.frames; f++)
        choice.add(view.frames[f].shadow);
    const unsigned slots_at = choice.add(view.superblocks[0]);
    choice.add(view.superblocks[1]);
    do {
        Image image;

        for (unsigned f = 0; f < view.bounds.frames; f++) {
            image.primary[f] = choice.value(f);
            image.shadow[f] = choice.value(view.bounds.frames + f);
        }
        image.superblocks = {choice.value(slots_at), choice.value(slots_at + 1)};
        go_on_from(restart(view, image), next);
    } while (choice.next());
}

} // namespace model
