// SPDX-License-Identifier: GPL-2.0-or-later
// Pages as their frames and their homes hold them.
#pragma once

#include "superblock.hpp"

#include <array>
#include <optional>

namespace tiered {

using page_contents = std::array<std::byte, TIERED_FRAME_BYTES>;

/// The page at `offset`, or nothing when the medium cannot read all of it.
std::optional<page_contents> read_page(storage& from, std::uint64_t offset);

enum class comparison { same, different, frame_unreadable, home_unreadable };

/// Compares `frame` with the home of `page`; without a capacity tier the home is unreadable.
comparison compare_with_home(storage& fast, storage* capacity, const superblock& sb,
                             std::uint32_t frame, std::uint64_t page);

} // namespace tiered
