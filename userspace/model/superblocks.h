// SPDX-License-Identifier: GPL-2.0-or-later
// The two superblocks of a volume that grows: what matters of each in one byte, and which of two
// the real code goes by.
#pragma once

#include "state.h"

namespace model {

// A slot that a crash tore, or that cannot be read, is `torn`.
constexpr u8 pack_superblock(unsigned generation, unsigned pages) {
    return static_cast<u8>(generation << 1 | (pages - 1));
}
constexpr unsigned superblock_generation(u8 packed) {
    return packed >> 1;
}
constexpr unsigned superblock_pages(u8 packed) {
    return (packed & 1u) + 1;
}

// The slot that stands, as tiered_superblock_choose() has it; `none` when neither can be believed.
u8 standing_slot(const SlotImage& slots);
// The pages of the volume by the slot that stands; 0 when there is none.
unsigned volume_pages(const SlotImage& slots);

} // namespace model
