// SPDX-License-Identifier: GPL-2.0-or-later
// clwb, clflushopt and clflush.
#include "cpu_flush.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
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

} // namespace

line_flush best_line_flush() {
    static const line_flush best = ask_cpu();
    return best;
}

// Not by the compiler's own functions, which want the whole program to be for such a CPU; and so
// that it moves no store of the program's over them.
void flush_lines(line_flush how, const void* begin, std::size_t bytes) {
    if (how == line_flush::clwb)
        each_line(begin, bytes, [](const char* line) {
            asm volatile("clwb %0" : : "m"(*line) : "memory");
        });
    else if (how == line_flush::clflushopt)
        each_line(begin, bytes, [](const char* line) {
            asm volatile("clflushopt %0" : : "m"(*line) : "memory");
        });
    else
        each_line(begin, bytes, [](const char* line) {
            asm volatile("clflush %0" : : "m"(*line) : "memory");
        });
    // clwb and clflushopt are ordered by nothing else: what comes after this waits for them.
    asm volatile("sfence" : : : "memory");
}

#else

line_flush best_line_flush() {
    return line_flush::none;
}

void flush_lines(line_flush, const void*, std::size_t) {}

#endif

} // namespace tiered
