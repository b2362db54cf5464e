// SPDX-License-Identifier: GPL-2.0-or-later
// The table from pages to frames.
#include "page_index.hpp"

#include <bit>

namespace tiered {

page_index::page_index(const tiered_words& words)
    // At most half full, so that a search ends soon.
    : words_(words), slots_(std::bit_ceil(2 * (std::size_t{words.frames} + 1)), TIERED_NO_FRAME) {}

tiered_claim page_index::claim_of(std::uint32_t frame) const {
    tiered_claim claim{};
    // Only frames whose word decoded are ever held.
    (void)tiered_claim_decode(words_.primary[frame], frame, words_.seed, words_.pages, &claim);
    return claim;
}

std::size_t page_index::slot_of(std::uint64_t page) const {
    constexpr std::uint64_t golden_ratio = 0x9e3779b97f4a7c15;
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = static_cast<std::size_t>(page * golden_ratio >> 20) & mask;
    while (slots_[slot] != TIERED_NO_FRAME && claim_of(slots_[slot]).page != page)
        slot = (slot + 1) & mask;
    return slot;
}

std::optional<page_index::holder> page_index::find(std::uint64_t page) const {
    const std::uint32_t frame = slots_[slot_of(page)];
    if (frame == TIERED_NO_FRAME)
        return std::nullopt;
    return holder{frame, claim_of(frame)};
}

void page_index::hold(std::uint32_t frame, std::uint64_t page) {
    slots_[slot_of(page)] = frame;
}

} // namespace tiered
