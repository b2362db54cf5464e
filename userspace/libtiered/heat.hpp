// SPDX-License-Identifier: GPL-2.0-or-later
// What of a volume is in its fast tier: the reply to the message `heat` (driver/core/status.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tiered {

inline constexpr std::uint64_t extent_bytes = 1 << 20;
inline constexpr std::uint64_t extent_pages = extent_bytes / 4096;

/// Pages of 4 KiB of one extent.
struct extent_heat {
    std::uint64_t extent = 0;
    std::uint64_t resident_pages = 0;
    std::uint64_t dirty_pages = 0;  ///< of the resident ones
    std::uint64_t recent_pages = 0; ///< of the resident ones, used again since reclaim last came by

    std::uint64_t offset_bytes() const { return extent * extent_bytes; }
    bool operator==(const extent_heat&) const = default;
};

struct heat_reply {
    std::vector<extent_heat> extents;
    std::optional<std::uint64_t> next; ///< from where to ask again; nothing: that was all
};

/// Throws when the text is not such a reply.
heat_reply parse_heat_reply(const std::string& text);

} // namespace tiered
