// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses of words, and the real load run over a crash image.
#include "media.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <functional>
#include <optional>
#include <stdexcept>

namespace model {

namespace {

constexpr size_t area_words = 512;
constexpr u64 unreadable_bits = 0xff00000000000000ull; // turns every CRC8 wrong

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
                made[frame][packed] =
                    tiered_claim_encode(unpack(static_cast<u8>(packed)), frame, volume_seed);
        return made;
    }();
    return all;
}

using Words = std::array<__le64, max_frames>;

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
    return held.frame;
}

void hold(void* context, u32 frame, const tiered_claim* claim, u32) {
    static_cast<Loaded*>(context)->pages[claim->page] = {static_cast<u8>(frame), pack(*claim)};
}

void found(void* context, u32 frame, tiered_found what, const tiered_claim* claim, u32) {
    auto& loaded = *static_cast<Loaded*>(context);

    loaded.found[frame] = what;
    loaded.conflict |= what == TIERED_FOUND_CONFLICT || what == TIERED_FOUND_UNKNOWN;
    if (what == TIERED_FOUND_DAMAGED)
        loaded.damaged = *claim;
}

constexpr tiered_load_ops load_ops{.find = find_holder, .hold = hold, .found = found};

} // namespace

std::string claim_text(u8 packed) {
    static constexpr std::array states{"free", "clean", "dirty", "lost"};
    const tiered_claim claim = unpack(packed);

    if (packed == packed_free)
        return "free";
    return fmt::format("{{page {}, {}, version {}}}", claim.page, states[claim.state],
                       claim.version);
}

WordMap::WordMap(const Bounds& bounds) {
    words_ = {.primary = unreadable_area(),
              .shadow = unreadable_area() + area_words,
              .pages = bounds.pages,
              .frames = bounds.frames,
              .seed = volume_seed,
              .bad_primary = nullptr,
              .bad_shadow = nullptr};
}

tiered_words WordMap::readable(const WordImage& image) const {
    tiered_words words = words_;

    readable_primary = image.primary();
    readable_shadow = image.shadow();
    words.primary = readable_primary.data();
    words.shadow = readable_shadow.data();
    return words;
}

bool WordMap::is_shadow(const __le64* word) const {
    return find(readable_shadow, word) || (!find(readable_primary, word) && word >= words_.shadow);
}

u32 WordMap::frame(const __le64* word) const {
    if (const auto readable = find(readable_primary, word))
        return *readable;
    if (const auto readable = find(readable_shadow, word))
        return *readable;
    return static_cast<u32>(word - (is_shadow(word) ? words_.shadow : words_.primary));
}

Cell& WordMap::cell(State& state, const __le64* word) const {
    Frame& f = state.frames.at(frame(word));

    return is_shadow(word) ? f.shadow : f.primary;
}

WordImage::WordImage() {
    for (unsigned f = 0; f < max_frames; f++)
        primary_[f] = shadow_[f] = codes()[f][packed_free];
}

void WordImage::set_differing(u8 frame, u8 primary) {
    primary_[frame] = codes()[frame][primary];
    shadow_[frame] = ~primary_[frame];
}

const WordMap& word_map(const Bounds& bounds) {
    static WordMap map(bounds);

    if (map.words().frames != bounds.frames || map.words().pages != bounds.pages)
        map = WordMap(bounds);
    return map;
}

Loaded load_image(const Bounds& bounds, const Image& image, ScanOrder order) {
    std::array<__le64, max_frames> primary{};
    std::array<__le64, max_frames> shadow{};
    Loaded loaded;

    for (unsigned f = 0; f < bounds.frames; f++) {
        primary[f] = codes()[f][image.primary[f]];
        shadow[f] = codes()[f][image.shadow[f]];
    }
    if (image.unreadable != none)
        primary[image.unreadable] ^= unreadable_bits;
    tiered_words words{};
    words.pages = bounds.pages;
    words.frames = bounds.frames;
    words.seed = volume_seed;
    for (u32 i = 0; i < bounds.frames; i++) {
        const u32 f = order == ScanOrder::ascending ? i : bounds.frames - 1 - i;
        const tiered_word_copies copies{
            .primary = &primary[f], .shadow = &shadow[f], .first = f, .count = 1};
        tiered_load_words(&words, &copies, &load_ops, &loaded);
    }
    if (image.unreadable != none)
        tiered_load_damaged(image.unreadable, &loaded.damaged, &load_ops, &loaded);
    return loaded;
}

bool is_refused(const Loaded& loaded, unsigned page) {
    const Loaded::Held& held = loaded.pages[page];

    return held.frame != none && unpack(held.claim).state == TIERED_CLAIM_LOST;
}

} // namespace model
