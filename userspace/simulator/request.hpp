// SPDX-License-Identifier: GPL-2.0-or-later
// One request of a trace, and where requests come from.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tiered::sim {

inline constexpr std::uint64_t page_bytes = 4096;
/// The end of the largest volume that a claim can describe: 2^40 pages.
inline constexpr std::uint64_t largest_offset = page_bytes << 40;
/// More than any bio carries; a trace with larger requests has a broken column.
inline constexpr std::uint64_t largest_request = 64u << 20;

struct request {
    std::uint64_t time_us;
    std::uint64_t offset;
    std::uint32_t bytes;
    bool write;
    /// Of a sample: others came between it and the one before, whatever their places say.
    bool apart = false;

    std::uint64_t end() const { return offset + bytes; }
    std::uint64_t first_page() const { return offset / page_bytes; }
    std::uint64_t last_page() const { return (end() - 1) / page_bytes; }
    /// The bytes of its i-th page that it covers.
    std::uint64_t covered(std::uint32_t i) const {
        const std::uint64_t begin = (first_page() + i) * page_bytes;
        return std::min(end(), begin + page_bytes) - std::max(offset, begin);
    }
    std::uint32_t pages() const {
        return static_cast<std::uint32_t>(last_page() - first_page() + 1);
    }
};

/// A sequence of requests that can be gone through again.
class request_source {
public:
    virtual ~request_source() = default;
    /// False at the end.
    virtual bool next(request& r) = 0;
    virtual void rewind() = 0;
    /// Between 0 and 1: how much of it has been read.
    virtual double progress() const = 0;
};

} // namespace tiered::sim
