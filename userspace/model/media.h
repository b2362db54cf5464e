// SPDX-License-Identifier: GPL-2.0-or-later
// The frame words as the real code sees them: addresses for the protocol, values for the load.
#pragma once

#include "load.h"
#include "state.h"

#include <array>
#include <string>

namespace model {

constexpr u8 volume_seed = 0x5a;

// One word a sector, so that each frame's word can go bad for itself.
constexpr u32 word_number(unsigned frame) {
    return frame * static_cast<u32>(TIERED_WORDS_PER_SECTOR);
}
constexpr u8 frame_of_word(u32 number) {
    return number == TIERED_NO_FRAME ? none : static_cast<u8>(number / TIERED_WORDS_PER_SECTOR);
}

std::string claim_text(u8 packed);

// Words that the load left to tiered_shadows_restore(), which alone reads words.
class WordImage {
public:
    void set_differing(u8 frame, u8 primary) { differing_[frame] = primary; }
    // The word of a frame whose shadow is to be looked at, or `none`.
    u8 differing(unsigned frame) const { return differing_[frame]; }

private:
    std::array<u8, max_frames> differing_ = [] {
        std::array<u8, max_frames> all{};
        all.fill(none);
        return all;
    }();
};

// Words stand for cells. The protocol may name them and cannot read them: then what it does can
// only depend on its arguments, and running it again from the start of an operation does the same.
class WordMap {
public:
    explicit WordMap(const Bounds& bounds);
    bool is_of(const Bounds& bounds) const {
        return words_.frames == word_number(bounds.frames) && words_.pages == bounds.pages;
    }
    // With what `state` says of unreadable sectors.
    tiered_words words(const State& state) const;
    // The same words at addresses where `image` can be read.
    tiered_words readable(const State& state, const WordImage& image) const;
    // The cell behind an address that the protocol passed.
    Cell& cell(State& state, const __le64* word) const;
    u8 frame(const __le64* word) const;
    bool is_shadow(const __le64* word) const;

private:
    tiered_words words_{};
};

const WordMap& word_map(const Bounds& bounds);

// The words of one crash image, packed; what cannot be read is wiped.
struct Image {
    std::array<u8, max_frames> primary{};
    std::array<u8, max_frames> shadow{};
    SlotImage superblocks{};
};

// What the real load made of an image.
struct Loaded {
    struct Held {
        u8 frame = none;
        u8 claim = packed_free;
        bool operator==(const Held&) const = default;
    };
    std::array<Held, max_pages> pages{};
    std::array<tiered_found, max_frames> found{};
    // What the shadows of damaged words say, or `none`.
    std::array<u8, max_frames> damaged = [] {
        std::array<u8, max_frames> all{};
        all.fill(none);
        return all;
    }();
    bool any_damaged = false;
    bool conflict = false;
    unsigned volume_pages = 0;
};

enum class ScanOrder { ascending, descending };

// The words as they are now.
Image newest_image(const State& state);
Loaded load_image(const Bounds& bounds, const Image& image, ScanOrder order);

// Whether the page answers EIO: its contents are lost, or the shadow of a damaged word may speak of
// contents that are newer than those found.
bool is_lost(const Loaded& loaded, unsigned page);

} // namespace model
