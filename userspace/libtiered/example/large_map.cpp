// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps a map in the memory of a volume, larger than this machine's own may be: large_map VOLUME
// MIB Fills it to that size, forgets each third entry and looks at all others.
#include <arena.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <tiered.hpp>
#include <vector>

namespace {

constexpr std::size_t numbers = 500; // an entry has about a page
using entries = std::pmr::map<std::uint64_t, std::pmr::vector<std::uint64_t>>;

/// The numbers that an entry has.
std::uint64_t number(std::uint64_t key, std::size_t i) {
    return key * 0x9e37'79b9'7f4a'7c15 + i;
}

void fill(entries& all, std::uint64_t count) {
    for (std::uint64_t key = 0; key < count; key++) {
        auto& entry = all[key]; // its vector takes memory from the same arena
        entry.reserve(numbers);
        for (std::size_t i = 0; i < numbers; i++)
            entry.push_back(number(key, i));
    }
}

void require_intact(const entries& all) {
    for (const auto& [key, entry] : all)
        for (std::size_t i = 0; i < numbers; i++)
            if (entry.at(i) != number(key, i))
                tiered::fail("number {} of entry {} is {}, not {}", i, key, entry[i],
                             number(key, i));
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 3)
        tiered::fail("name a volume and how much of it to use: large_map VOLUME MIB");
    // Nothing of it shall outlive the program, so that nothing has to be durable.
    tiered::arena arena(tiered::mapping(argv[1], {.stores = tiered::durability::if_possible}));
    entries all(&arena);
    fill(all, std::strtoull(argv[2], nullptr, 10) * (1 << 20) / (numbers * 8));
    std::printf("%s of %s allocated\n", tiered::size_text(arena.allocated_bytes()).c_str(),
                tiered::size_text(arena.memory().size_bytes()).c_str());
    std::erase_if(all, [](const auto& entry) { return entry.first % 3 == 0; });
    require_intact(all);
    std::printf("%zu entries as they were stored\n", all.size());
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "large_map: %s\n", e.what());
    return 1;
}
