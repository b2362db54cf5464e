// SPDX-License-Identifier: GPL-2.0-or-later
// Pages as their frames and their homes hold them.
#include "page_contents.hpp"

#include "error.hpp"

namespace tiered {

std::optional<page_contents> read_page(storage& from, std::uint64_t offset) {
    page_contents contents;
    try {
        from.read(offset, contents);
    } catch (const media_error&) {
        return std::nullopt;
    }
    return contents;
}

comparison compare_with_home(storage& fast, storage* capacity, const superblock& sb,
                             std::uint32_t frame, std::uint64_t page) {
    const auto here = read_page(fast, sb.frame_offset(frame));
    if (!here)
        return comparison::frame_unreadable;
    const auto home = capacity ? read_page(*capacity, page * TIERED_FRAME_BYTES) : std::nullopt;
    if (!home)
        return comparison::home_unreadable;
    return *here == *home ? comparison::same : comparison::different;
}

} // namespace tiered
