// SPDX-License-Identifier: GPL-2.0-or-later
// The frame words as the real code sees them: addresses for the protocol, values for the load.
#pragma once

#include "load.h"
#include "state.h"

#include <array>
#include <string>

namespace model {

constexpr u8 volume_seed = 0x5a;

std::string claim_text(u8 packed);

// Words that the load left to tiered_shadows_restore(), which alone reads words.
class WordImage {
public:
    WordImage();
    void set_differing(u8 frame, u8 primary);
    const std::array<__le64, max_frames>& primary() const { return primary_; }
    const std::array<__le64, max_frames>& shadow() const { return shadow_; }

private:
    std::array<__le64, max_frames> primary_;
    std::array<__le64, max_frames> shadow_;
};

// Words stand for cells. The protocol may name them and cannot read them: then what it does can
// only depend on its arguments, and running it again from the start of an operation does the same.
class WordMap {
public:
    explicit WordMap(const Bounds& bounds);
    const tiered_words& words() const { return words_; }
    // The same words at addresses where `image` can be read.
    tiered_words readable(const WordImage& image) const;
    // The cell behind an address that the protocol passed.
    Cell& cell(State& state, const __le64* word) const;
    u32 frame(const __le64* word) const;
    bool is_shadow(const __le64* word) const;

private:
    tiered_words words_{};
};

const WordMap& word_map(const Bounds& bounds);

// The words of one crash image, packed.
struct Image {
    std::array<u8, max_frames> primary{};
    std::array<u8, max_frames> shadow{};
    u8 unreadable = none; // the frame whose primary word is bad
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
    tiered_claim damaged{}; // what the shadow of the unreadable frame says
    bool conflict = false;
};

enum class ScanOrder { ascending, descending };

Loaded load_image(const Bounds& bounds, const Image& image, ScanOrder order);

// Whether the page answers EIO: the shadow of an unreadable word may speak of contents that are
// newer than those found.
bool is_refused(const Loaded& loaded, unsigned page);

} // namespace model
