// SPDX-License-Identifier: GPL-2.0-or-later
// Ranges of an open volume that are pinned: they stay in the fast tier. The messages `pin`, `unpin`
// and `pins` (driver/core/status.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tiered {

/// Whole pages of 4 KiB.
struct page_range {
    std::uint64_t first_page = 0;
    std::uint64_t pages = 0;

    bool operator==(const page_range&) const = default;
};

struct pinned_range {
    page_range range;
    std::uint64_t resident_pages = 0;

    bool operator==(const pinned_range&) const = default;
};

struct pins_reply {
    std::vector<pinned_range> pins;
    std::optional<std::uint64_t> next; ///< from where to ask again; nothing: that was all
};

/// Throws when the text is not such a reply.
pins_reply parse_pins_reply(const std::string& text);

/// What is pinned of the open volume `name`, in order.
std::vector<pinned_range> ask_pins(const std::string& name);

/// Pins or unpins all of the ranges; throws the driver's sentence when it refuses, and then none
/// is.
void pin_ranges(const std::string& name, const std::vector<page_range>& ranges);
void unpin_ranges(const std::string& name, const std::vector<page_range>& ranges);

/// The pages that `length_bytes` from `offset_bytes` on touch, of a volume of `size_bytes`; without
/// a length, all from there on. Throws a sentence when they do not lie within the volume.
page_range pages_at(std::uint64_t offset_bytes, std::optional<std::uint64_t> length_bytes,
                    std::uint64_t size_bytes);

/// The pages of the volume /dev/mapper/NAME, with device number `device`, where the contents of a
/// file lie that is in a file system right on it. Throws a sentence where that cannot be told.
std::vector<page_range> pages_of_file(const std::string& path, dev_t device,
                                      std::uint64_t size_bytes);

} // namespace tiered
