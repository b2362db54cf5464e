// SPDX-License-Identifier: GPL-2.0-or-later
// Mostly small writes to a hot part, so that pages are overwritten while dirty, written back or
// evicted; and everything else that moves claims.
#include "plan.hpp"

#include "../../qemu/powercut/dice.hpp"

#include <algorithm>

namespace campaign {

namespace {

using powercut::dice;

constexpr std::uint32_t fill_sectors = 128; // 64 KiB: the largest that is not kept out
constexpr std::uint32_t hot_pages = 192;

/// Fills the fast tier but for a few frames, with pages behind the hot part.
constexpr std::uint32_t fill_operations = 3712 * page_sectors / fill_sectors;

std::uint32_t random_size(dice& random) {
    constexpr std::array<std::uint32_t, 10> sizes{1, 2, 8, 8, 8, 8, 16, 25, 128, 512};
    return sizes[random.below(sizes.size())];
}

std::uint32_t below(dice& random, std::uint32_t bound) {
    return static_cast<std::uint32_t>(random.below(bound));
}

operation random_place(dice& random, action what, std::uint32_t count, bool whole_pages) {
    const std::uint32_t span = random.below(10) < 7 ? hot_pages * page_sectors : volume_sectors;
    std::uint32_t first = below(random, std::max(1u, span - std::min(span - 1, count)));
    if (whole_pages || random.below(10) < 7)
        first -= first % page_sectors;
    return {what, first, count};
}

operation random_operation(dice& random) {
    const std::uint64_t choice = random.below(1000);
    if (choice < 450)
        return random_place(random, action::write_dsync, random_size(random), false);
    if (choice < 700)
        return random_place(random, action::write, random_size(random), false);
    if (choice < 770)
        return {action::sync, 0, 0};
    if (choice < 880)
        return random_place(random, action::read, random_size(random), false);
    if (choice < 950)
        return random_place(random, action::discard, page_sectors << below(random, 5), true);
    if (choice < 985)
        return {action::rest, 0, 0};
    if (choice < 992)
        return {action::flush, 0, 0};
    return {choice < 997 ? action::reload : action::reopen, 0, 0};
}

std::uint64_t mixed(std::uint32_t number, std::uint32_t sector, std::uint64_t at) {
    return dice(std::uint64_t{number} << 32 | sector, at).next() | 1; // no word is zero
}

} // namespace

std::vector<operation> make_plan(std::uint64_t seed, bool fill, std::uint32_t amount) {
    std::vector<operation> plan(1);
    dice random(seed, 0);
    for (std::uint32_t number = 0; number < std::min(amount, fill ? fill_operations : 0u); number++)
        plan.push_back(
            {action::write_dsync, hot_pages * page_sectors + number * fill_sectors, fill_sectors});
    while (plan.size() <= amount) {
        plan.push_back(random_operation(random));
        // What bypassed and is not flushed must not become resident as clean.
        if (plan.back().what == action::write && plan.size() <= amount && random.below(3) == 0)
            plan.push_back({action::read, plan.back().first, plan.back().count});
    }
    return plan;
}

void fill_sector(std::uint32_t number, std::uint32_t sector,
                 std::span<std::uint64_t, sector_bytes / 8> words) {
    words[0] = std::uint64_t{number} << 32 | sector;
    for (std::size_t at = 1; at < words.size(); at++)
        words[at] = at < 8 ? mixed(number, sector, at) : words[at - 7] + at;
}

bool read_sector(std::span<const std::uint64_t, sector_bytes / 8> words, std::uint32_t sector,
                 std::uint32_t& number) {
    number = 0;
    if (std::ranges::all_of(words, [](std::uint64_t word) { return word == 0; }))
        return true;
    std::array<std::uint64_t, sector_bytes / 8> expected{};
    number = static_cast<std::uint32_t>(words[0] >> 32);
    if (number == 0)
        return false;
    fill_sector(number, sector, expected);
    return std::ranges::equal(words, expected);
}

} // namespace campaign
