// SPDX-License-Identifier: GPL-2.0-or-later
// How often pages were seen lately: a count-min sketch of four rows of small counters, halved after
// ten accesses for each page of the cache (the TinyLFU paper, section 3).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace tiered::sim {

class frequency_sketch {
public:
    explicit frequency_sketch(std::uint32_t pages) : period(10ull * std::max(pages, 1u)) {
        while ((1ull << bits) < 2ull * pages)
            bits++;
        counters.resize(rows << bits);
    }

    void add(std::uint64_t page) {
        const std::uint8_t least = estimate(page);
        if (least < largest)
            // Conservative: only the smallest of its counters may be wrong the least.
            for (unsigned row = 0; row < rows; row++)
                counters[place(row, page)] =
                    std::max<std::uint8_t>(counters[place(row, page)], least + 1);
        if (++additions == period)
            age();
    }

    std::uint8_t estimate(std::uint64_t page) const {
        std::uint8_t least = largest;
        for (unsigned row = 0; row < rows; row++)
            least = std::min(least, counters[place(row, page)]);
        return least;
    }

private:
    static constexpr std::size_t rows = 4;
    static constexpr std::uint8_t largest = 15;
    static constexpr std::array<std::uint64_t, rows> seeds{
        0x9e3779b97f4a7c15u, 0xc2b2ae3d27d4eb4fu, 0x165667b19e3779f9u, 0xd6e8feb86659fd93u};

    std::size_t place(unsigned row, std::uint64_t page) const {
        std::uint64_t hash = (page + row + 1) * seeds[row];
        hash ^= hash >> 32;
        return (std::size_t{row} << bits) + ((hash * seeds[(row + 1) % rows]) >> (64 - bits));
    }

    void age() {
        additions = 0;
        for (std::uint8_t& counter : counters)
            counter /= 2;
    }

    const std::uint64_t period;
    unsigned bits = 6;
    std::uint64_t additions = 0;
    std::vector<std::uint8_t> counters;
};

} // namespace tiered::sim
