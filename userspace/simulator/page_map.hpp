// SPDX-License-Identifier: GPL-2.0-or-later
// A hash map from pages to 32-bit values: linear probing, and no tombstones, because caches erase
// as much as they insert.
#pragma once

#include <cstdint>
#include <vector>

namespace tiered::sim {

class page_map {
public:
    static constexpr std::uint32_t none = UINT32_MAX;

    explicit page_map(std::size_t expected = 16) {
        while ((std::size_t{1} << bits) < 2 * expected)
            bits++;
        slots.resize(std::size_t{1} << bits);
    }

    std::uint32_t find(std::uint64_t page) const {
        for (std::size_t i = place(page);; i = next(i)) {
            if (slots[i].value == none)
                return none;
            if (slots[i].page == page)
                return slots[i].value;
        }
    }

    bool contains(std::uint64_t page) const { return find(page) != none; }

    /// Inserts or replaces; `value` is not `none`.
    void set(std::uint64_t page, std::uint32_t value) {
        std::size_t i = place(page);
        while (slots[i].value != none && slots[i].page != page)
            i = next(i);
        used += slots[i].value == none;
        slots[i] = {page, value};
        if (2 * used > slots.size())
            grow();
    }

    bool erase(std::uint64_t page) {
        std::size_t hole = place(page);
        while (slots[hole].value != none && slots[hole].page != page)
            hole = next(hole);
        if (slots[hole].value == none)
            return false;
        used--;
        // Pull back what probed past the hole.
        for (std::size_t i = next(hole); slots[i].value != none; i = next(i))
            if (((i - place(slots[i].page)) & mask()) >= ((i - hole) & mask())) {
                slots[hole] = slots[i];
                hole = i;
            }
        slots[hole].value = none;
        return true;
    }

    std::size_t size() const { return used; }

    /// In no order that means anything.
    std::vector<std::uint64_t> pages() const {
        std::vector<std::uint64_t> all;
        all.reserve(used);
        for (const slot& s : slots)
            if (s.value != none)
                all.push_back(s.page);
        return all;
    }

private:
    struct slot {
        std::uint64_t page = 0;
        std::uint32_t value = none;
    };

    std::size_t mask() const { return slots.size() - 1; }
    std::size_t next(std::size_t i) const { return (i + 1) & mask(); }
    std::size_t place(std::uint64_t page) const {
        return (page * 0x9e3779b97f4a7c15u) >> (64 - bits);
    }

    void grow() {
        std::vector<slot> old(2 * slots.size());
        old.swap(slots);
        bits++;
        used = 0;
        for (const slot& s : old)
            if (s.value != none)
                set(s.page, s.value);
    }

    unsigned bits = 4;
    std::size_t used = 0;
    std::vector<slot> slots;
};

} // namespace tiered::sim
