// SPDX-License-Identifier: GPL-2.0-or-later
// Enumerates crash images, runs the real load over each, and compares what it finds with what users
// were promised.
#include "oracle.h"

#include "media.h"
#include "violation.h"

#include <fmt/format.h>

namespace model {

namespace {

std::string image_text(const State& view, const Image& image) {
    std::string text;

    for (unsigned f = 0; f < view.bounds.frames; f++)
        text += fmt::format("\n    frame {}: {}{}", f,
                            f == image.unreadable ? "UNREADABLE, shadow " : "",
                            claim_text(f == image.unreadable ? image.shadow[f] : image.primary[f]));
    return text;
}

[[noreturn]] void refuse(const State& view, const Image& image, const std::string& what) {
    throw Violation(fmt::format("{}\n  crash image:{}", what, image_text(view, image)));
}

// Calls `next` for each combination of values that the first `count` of `cells` may have.
template <typename Next>
void for_each_choice(const std::array<const Cell*, 2 * max_frames>& cells, unsigned count,
                     Next next) {
    std::array<u8, 2 * max_frames> choice{};

    for (;;) {
        next(choice);
        unsigned at = 0;
        while (at < count && ++choice[at] == cells[at]->count)
            choice[at++] = 0;
        if (at == count)
            return;
    }
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

    if (held.frame == none) {
        for (unsigned i = 0; i < page.home.count; i++)
            if (!promised(page, number, page.home.values[i]))
                refuse(view, image,
                       fmt::format("page {} may be read from its home as old or torn contents",
                                   number));
        return;
    }
    const u8 contents = certain_contents(view.frames[held.frame]);

    if (!promised(page, number, contents))
        refuse(view, image,
               fmt::format("page {} is read as old contents from frame {}", number, held.frame));
    if (unpack(held.claim).state == TIERED_CLAIM_CLEAN && !all_of(page.home, contents))
        refuse(view, image,
               fmt::format("page {} is clean and its home may differ from frame {}", number,
                           held.frame));
}

// Losers too: a claim speaks for its frame until it is cleared.
void check_claims(const State& view, const Image& image) {
    for (unsigned f = 0; f < view.bounds.frames; f++) {
        if (image.primary[f] == packed_free)
            continue;
        if (!value_of_page(certain_contents(view.frames[f]),
                           static_cast<unsigned>(unpack(image.primary[f]).page)))
            refuse(view, image,
                   fmt::format("the claim of frame {} stands on other or torn data", f));
    }
}

void check_image(const State& view, const Image& image) {
    const Loaded loaded = load_image(view.bounds, image, ScanOrder::ascending);
    const Loaded backwards = load_image(view.bounds, image, ScanOrder::descending);

    if (loaded.conflict || backwards.conflict)
        refuse(view, image, "the load finds two claims that no crash may leave");
    if (loaded.pages != backwards.pages)
        refuse(view, image, "the load depends on the order of the scan");
    check_claims(view, image);
    for (unsigned p = 0; p < view.bounds.pages; p++)
        check_page(view, image, loaded, p);
}

// One primary word cannot be read: nothing old may be read in silence, with either order of the
// scan.
void check_unreadable(const State& view, const Image& image) {
    for (const ScanOrder order : {ScanOrder::ascending, ScanOrder::descending}) {
        const Loaded loaded = load_image(view.bounds, image, order);

        for (unsigned p = 0; p < view.bounds.pages; p++)
            if (!is_refused(loaded, p))
                check_page(view, image, loaded, p);
    }
}

struct Cells {
    std::array<const Cell*, 2 * max_frames> list{};
    unsigned count = 0;
};

Cells primaries(const State& view) {
    Cells cells;

    for (unsigned f = 0; f < view.bounds.frames; f++)
        cells.list[cells.count++] = &view.frames[f].primary;
    return cells;
}

uint64_t check_unreadable_frame(const State& view, u8 frame) {
    Cells cells = primaries(view);
    uint64_t images = 0;

    // The primary's own value does not matter any more, its shadow's does.
    cells.list[frame] = &view.frames[frame].shadow;
    for_each_choice(cells.list, cells.count, [&](const auto& choice) {
        Image image;
        for (unsigned f = 0; f < view.bounds.frames; f++)
            image.primary[f] = cells.list[f]->values[choice[f]];
        image.shadow = image.primary;
        image.unreadable = frame;
        check_unreadable(view, image);
        images++;
    });
    return images;
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
        start_from(view, page + 1, restarted, next);
    }
}

} // namespace

void check_reads(const State& state) {
    if (state.opening)
        return;
    for (unsigned p = 0; p < state.bounds.pages; p++) {
        const u8 value = state.visible(p);

        if (!value_of_page(value, p) || !(state.pages[p].promise.now & bit(value_id(value))))
            throw Violation(fmt::format("page {} reads as old, foreign or torn contents", p));
    }
}

State crash_view(const State& state) {
    State view;

    view.bounds = state.bounds;
    view.crashed = true;
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
    }
    forget_unseen(view);
    return view;
}

uint64_t check_crashes(const State& view) {
    const Cells cells = primaries(view);
    uint64_t images = 0;

    for_each_choice(cells.list, cells.count, [&](const auto& choice) {
        Image image;
        for (unsigned f = 0; f < view.bounds.frames; f++)
            image.primary[f] = cells.list[f]->values[choice[f]];
        image.shadow = image.primary;
        check_image(view, image);
        images++;
    });
    for (u8 f = 0; f < view.bounds.frames; f++)
        if (!all_of(view.frames[f].primary, packed_free) ||
            !all_of(view.frames[f].shadow, packed_free))
            images += check_unreadable_frame(view, f);
    return images;
}

void for_each_restart(const State& view, const std::function<void(const State&)>& next) {
    Cells cells = primaries(view);

    for (unsigned f = 0; f < view.bounds.frames; f++)
        cells.list[cells.count++] = &view.frames[f].shadow;
    for_each_choice(cells.list, cells.count, [&](const auto& choice) {
        State restarted = view;
        Image image;

        for (unsigned f = 0; f < view.bounds.frames; f++) {
            image.primary[f] = view.frames[f].primary.values[choice[f]];
            image.shadow[f] = view.frames[f].shadow.values[choice[view.bounds.frames + f]];
            Frame& frame = restarted.frames[f];
            const bool speaks = image.primary[f] != packed_free;

            frame.primary.reset(image.primary[f]);
            frame.shadow.reset(image.shadow[f]);
            frame.use = FrameUse::used;
            for (Cell& half : frame.data)
                half.reset(speaks ? half.newest() : garbage);
        }
        restarted.crashed = false;
        restarted.opening = true;
        restarted.cpus[0].op = Op::open_after_crash;
        restarted.cpus[0].page = 0;
        start_from(view, 0, restarted, next);
    });
}

} // namespace model
