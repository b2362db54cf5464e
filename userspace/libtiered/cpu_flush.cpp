// SPDX-License-Identifier: GPL-2.0-or-later
// clwb, clflushopt and clflush.
#include "cpu_flush.hpp"

#include <atomic>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace tiered {

std::string_view name_of(line_flush how) {
    switch (how) {
    case line_flush::clflush:
        return "clflush";
    case line_flush::clflushopt:
        return "clflushopt";
    case line_flush::clwb:
        return "clwb";
    case line_flush::none:
        break;
    }
    return "msync";
}

#if defined(__x86_64__)

namespace {

line_flush ask_cpu() {
    constexpr unsigned extended_features = 7;
    constexpr unsigned clflushopt_bit = 1U << 23;
    constexpr unsigned clwb_bit = 1U << 24;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid_count(extended_features, 0, &a, &b, &c, &d))
        return line_flush::clflush;
    if (b & clwb_bit)
        return line_flush::clwb;
    return b & clflushopt_bit ? line_flush::clflushopt : line_flush::clflush;
}

__attribute__((target("clwb"))) void write_back(const void* begin, std::size_t bytes) {
    each_line(
        begin, bytes, [](const void* line) __attribute__((target("clwb"))) {
            _mm_clwb(const_cast<void*>(line));
        });
}

__attribute__((target("clflushopt"))) void flush_many(const void* begin, std::size_t bytes) {
    each_line(
        begin, bytes, [](const void* line) __attribute__((target("clflushopt"))) {
            _mm_clflushopt(const_cast<void*>(line));
        });
}

} // namespace

line_flush best_line_flush() {
    static const line_flush best = ask_cpu();
    return best;
}

void flush_lines(line_flush how, const void* begin, std::size_t bytes) {
    // The instructions tell the compiler nothing of the stores that they are for.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (how == line_flush::clwb)
        write_back(begin, bytes);
    else if (how == line_flush::clflushopt)
        flush_many(begin, bytes);
    else
        each_line(begin, bytes, [](const void* line) { _mm_clflush(line); });
    // clwb and clflushopt are ordered by nothing else: what comes after this waits for them.
    _mm_sfence();
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

#else

line_flush best_line_flush() {
    return line_flush::none;
}

void flush_lines(line_flush, const void*, std::size_t) {}

#endif

} // namespace tiered
