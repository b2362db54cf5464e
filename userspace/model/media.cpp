// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses of words, and the real load run over a crash image.
#include "media.h"

#include "superblocks.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <functional>
#include <optional>
#include <stdexcept>

namespace model {

namespace {

constexpr size_t area_words = 512;
constexpr u64 unreadable = ~0ull; // as the driver notes what it cannot read
constexpr size_t words_size = word_number(max_frames);
static_assert(words_size <= area_words);

__le64* unreadable_area() {
    static void* const area = mmap(nullptr, 2 * area_words * sizeof(__le64), PROT_NONE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (area == MAP_FAILED)
        throw std::runtime_error("mmap of the address range for the words failed");
    return static_cast<__le64*>(area);
}

using Codes = std::array<std::array<__le64, 256>, max_frames>;

const Codes& codes() {
    static const Codes all = [] {
        Codes made{};
        for (u32 frame = 0; frame < max_frames; frame++)
            for (unsigned packed = 0; packed < 256; packed++)
                made[frame][packed] = packed == packed_wiped
                                          ? unreadable
                                          : tiered_claim_encode(unpack(static_cast<u8>(packed)),
                                                                word_number(frame), volume_seed);
        return made;
    }();
    return all;
}

using Words = std::array<__le64, words_size>;

Words readable_primary;
Words readable_shadow;

// The number of `word` in `words`.
std::optional<u32> find(const Words& words, const __le64* word) {
    const std::less<const __le64*> less;

    if (less(word, words.data()) || !less(word, words.data() + words.size()))
        return {};
    return static_cast<u32>(word - words.data());
}

u32 find_holder(void* context, u64 page, tiered_claim* claim) {
    const Loaded::Held& held = static_cast<Loaded*>(context)->pages[page];

    if (held.frame == none)
        return TIERED_NO_FRAME;
    *claim = unpack(held.claim);
    return word_number(held.frame);
}

void hold(void* context, u32 frame, const tiered_claim* claim, u32) {
    static_cast<Loaded*>(context)->pages[claim->page] = {frame_of_word(frame), pack(*claim)};
}

void found(void* context, u32 frame, tiered_found what, const tiered_claim* claim, u32) {
    auto& loaded = *static_cast<Loaded*>(context);
    const u8 f = frame_of_word(frame);

    loaded.found[f] = what;
    loaded.conflict |= what == TIERED_FOUND_CONFLICT || what == TIERED_FOUND_UNKNOWN;
    loaded.any_damaged |= what == TIERED_FOUND_DAMAGED;
    if (what == TIERED_FOUND_DAMAGED)
        loaded.damaged[f] = pack(*claim);
}

constexpr tiered_load_ops load_ops{.find = find_holder, .hold = hold, .found = found};

} // namespace

std::string claim_text(u8 packed) {
    static constexpr std::array states{"free", "clean", "dirty", "lost"};
    const tiered_claim claim = unpack(packed);

    if (packed == packed_wiped)
        return "wiped";
    if (!holds_page(packed))
        return packed == packed_retired ? "retired" : "free";
    return fmt::format("{{page {}, {}, version {}}}", claim.page, states[claim.state],
                       claim.version);
}

WordMap::WordMap(const Bounds& bounds) {
    words_ = {.primary = unreadable_area(),
              .shadow = unreadable_area() + area_words,
              .pages = bounds.pages,
              .frames = word_number(bounds.frames),
              .seed = volume_seed,
              .bad_primary = nullptr,
              .bad_shadow = nullptr};
}

// A bitmap in which the sector of this frame's word is marked.
const u8* bad_sector(u8 frame) {
    static constexpr std::array<u8, max_frames> bitmaps{1, 2, 4, 8, 16, 32};

    return &bitmaps.at(frame);
}

tiered_words WordMap::words(const State& state) const {
    tiered_words words = words_;

    if (state.damage == Damage::primary)
        words.bad_primary = bad_sector(state.damaged_frame);
    if (state.damage == Damage::shadow)
        words.bad_shadow = bad_sector(state.damaged_frame);
    return words;
}

tiered_words WordMap::readable(const State& state, const WordImage& image) const {
    tiered_words words = this->words(state);

    for (unsigned f = 0; f < max_frames; f++) {
        const u8 primary = image.differing(f);
        const u32 at = word_number(f);

        readable_primary[at] = primary == none ? 0 : codes()[f][primary];
        readable_shadow[at] = primary == none ? 0 : codes()[f][primary] ^ 1;
    }
    words.primary = readable_primary.data();
    words.shadow = readable_shadow.data();
    return words;
}

bool WordMap::is_shadow(const __le64* word) const {
    return find(readable_shadow, word) || (!find(readable_primary, word) && word >= words_.shadow);
}

u8 WordMap::frame(const __le64* word) const {
    if (const auto readable = find(readable_primary, word))
        return frame_of_word(*readable);
    if (const auto readable = find(readable_shadow, word))
        return frame_of_word(*readable);
    return frame_of_word(
        static_cast<u32>(word - (is_shadow(word) ? words_.shadow : words_.primary)));
}

Cell& WordMap::cell(State& state, const __le64* word) const {
    Frame& f = state.frames.at(frame(word));

    return is_shadow(word) ? f.shadow : f.primary;
}

const WordMap& word_map(const Bounds& bounds) {
    static WordMap map(bounds);

    if (!map.is_of(bounds))
        map = WordMap(bounds);
    return map;
}

Image newest_image(const State& state) {
    Image image;

    for (unsigned f = 0; f < state.bounds.frames; f++) {
        const Frame& frame = state.frames[f];

        image.primary[f] =
            state.is_damaged(Damage::primary, f) ? packed_wiped : frame.primary.newest();
        image.shadow[f] =
            state.is_damaged(Damage::shadow, f) ? packed_wiped : frame.shadow.newest();
    }
    for (unsigned slot = 0; slot < image.superblocks.size(); slot++)
        image.superblocks[slot] = state.superblocks[slot].newest();
    return image;
}

Loaded load_image(const Bounds& bounds, const Image& image, ScanOrder order) {
    Loaded loaded;

    tiered_words words{};
    loaded.volume_pages = bounds.grows ? volume_pages(image.superblocks) : bounds.pages;
    words.pages = loaded.volume_pages;
    words.frames = word_number(bounds.frames);
    words.seed = volume_seed;
    for (u32 i = 0; i < bounds.frames; i++) {
        const u32 f = order == ScanOrder::ascending ? i : bounds.frames - 1 - i;
        const tiered_word_copies copies{.primary = &codes()[f][image.primary[f]],
                                        .shadow = &codes()[f][image.shadow[f]],
                                        .first = word_number(f),
                                        .count = 1};
        tiered_load_words(&words, &copies, &load_ops, &loaded);
    }
    for (unsigned f = 0; f < bounds.frames; f++) {
        const tiered_claim claim = unpack(loaded.damaged[f]);

        if (loaded.damaged[f] != none)
            tiered_load_damaged(word_number(f), &claim, &load_ops, &loaded);
    }
    return loaded;
}

bool is_lost(const Loaded& loaded, unsigned page) {
    const Loaded::Held& held = loaded.pages[page];

    return held.frame != none && unpack(held.claim).state == TIERED_CLAIM_LOST;
}

} // namespace model
