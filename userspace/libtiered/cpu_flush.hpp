// SPDX-License-Identifier: GPL-2.0-or-later
// Writing lines of the CPU's cache back to the medium, by the best instruction that the CPU has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tiered {

inline constexpr std::size_t cache_line_bytes = 64;

/// From the one that every CPU has to the best:
enum class line_flush {
    none,       ///< no x86: only the kernel can make a store durable
    clflush,    ///< takes the line out of the cache, and one waits for the other
    clflushopt, ///< takes the line out of the cache too, but many are under way at once
    clwb,       ///< as many at once, and the line may stay: the next load or store of it is a hit
};

/// What CPUID says of this CPU. Asked once.
line_flush best_line_flush();
std::string_view name_of(line_flush how);

/// Calls `flush` with the address of each cache line that has a part of the range.
template <typename Flush>
void each_line(const void* begin, std::size_t bytes, Flush flush) {
    const auto at = reinterpret_cast<std::uintptr_t>(begin);
    for (std::uintptr_t line = at & ~(cache_line_bytes - 1); line < at + bytes;
         line += cache_line_bytes)
        flush(reinterpret_cast<const char*>(line));
}

/// Writes the lines of the range back and waits for that, by an instruction that this CPU has.
void flush_lines(line_flush how, const void* begin, std::size_t bytes);

} // namespace tiered
