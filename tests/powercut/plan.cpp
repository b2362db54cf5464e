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

/// Fills the fast tier but for a few frames, with pages behind the hot part.
constexpr std::uint32_t fill_operations = 3712 * page_sectors / fill_sectors;

constexpr std::uint32_t grows = 3;

/// What is stored to most: every so many of the hot pages.
constexpr std::uint32_t memory_stride = 8;
/// Stores beside one flush or reload, unless that ends before them.
constexpr std::uint32_t stores_beside = 32;
constexpr std::uint64_t store_mark = 0x5afe;

class planner {
public:
    explicit planner(const plan_options& options)
        : options_(options), random_(options.seed, 0),
          pages_(options.control ? hot_pages : volume_pages_at_first) {}

    std::vector<operation> run() {
        if (options_.fill)
            fill();
        while (next() <= options_.amount)
            if (options_.memory && (reload_beside() || random_.below(10) < 4))
                add_memory();
            else if (options_.control || !add_rare())
                add(options_.control ? control_operation() : random_operation());
        plan_.resize(options_.amount + 1);
        return std::move(plan_);
    }

private:
    std::uint32_t next() const { return static_cast<std::uint32_t>(plan_.size()); }

    void fill() {
        for (std::uint32_t at = 0; at < fill_operations && next() <= options_.amount; at++)
            plan_.push_back(
                {action::write_dsync, hot_pages * page_sectors + at * fill_sectors, fill_sectors});
    }

    /// What is done a few times in all, spread over the run. True when it was its turn.
    bool add_rare() {
        const std::uint32_t quarter = options_.amount / 4;
        const std::array<operation, grows + 1> rare{{{action::grow, quarter + 1, 0},
                                                     {action::grow, 2 * quarter, 0},
                                                     {action::format, 3 * quarter, 0},
                                                     {action::grow, 3 * quarter + quarter / 2, 0}}};
        if (rare_ == rare.size() || next() < rare[rare_].first)
            return false;
        if (rare[rare_++].what == action::format)
            plan_.push_back({action::format, 0, 0});
        else
            grow();
        return true;
    }

    void grow() {
        pages_ += (volume_pages - volume_pages_at_first) / grows;
        plan_.push_back({action::grow, 0, pages_ * page_sectors});
        // What lies beyond the old end is used at once.
        for (std::uint32_t at = 1; at <= 4; at++)
            plan_.push_back({action::write_dsync, (pages_ - at) * page_sectors, page_sectors});
    }

    void add(const operation& one) {
        plan_.push_back(one);
        const bool writes = one.what == action::write || one.what == action::write_dsync;
        if (writes && one.count <= burst_sectors_max && random_.below(12) == 0)
            return join(one);
        // What bypassed and is not flushed must not become resident as clean.
        if (one.what == action::write && random_.below(3) == 0)
            plan_.push_back({action::read, one.first, one.count});
    }

    /// Others write as well, here or next to it, or elsewhere.
    void join(const operation& one) {
        for (std::uint32_t number = 1; number < writers; number++) {
            const action what = random_.below(2) ? action::write : action::write_dsync;
            operation other = random_place(what, std::min(random_size(), burst_sectors_max), false);
            if (random_.below(3)) {
                other.first = one.first - one.first % page_sectors + below(2 * page_sectors);
                other.first = std::min(other.first, pages_ * page_sectors - other.count);
            }
            other.joined = true;
            plan_.push_back(other);
        }
    }

    std::uint32_t below(std::uint32_t bound) {
        return static_cast<std::uint32_t>(random_.below(bound));
    }

    std::uint32_t random_size() {
        constexpr std::array<std::uint32_t, 10> sizes{1, 2, 8, 8, 8, 8, 16, 25, 128, 512};
        return sizes[random_.below(sizes.size())];
    }

    operation random_place(action what, std::uint32_t count, bool whole_pages) {
        const std::uint32_t span = (random_.below(10) < 7 ? hot_pages : pages_) * page_sectors;
        std::uint32_t first = below(std::max(1u, span - std::min(span - 1, count)));
        if (whole_pages || random_.below(10) < 7)
            first -= first % page_sectors;
        return {what, first, count};
    }

    operation control_operation() {
        const std::uint64_t choice = random_.below(10);
        if (choice == 0)
            return {action::sync, 0, 0};
        return random_place(choice < 3   ? action::read
                            : choice < 5 ? action::write
                                         : action::write_dsync,
                            std::min(random_size(), 16u), false);
    }

    operation random_operation() {
        const std::uint64_t choice = random_.below(1000);
        if (choice < 450)
            return random_place(action::write_dsync, random_size(), false);
        if (choice < 700)
            return random_place(action::write, random_size(), false);
        if (choice < 770)
            return {action::sync, 0, 0};
        if (choice < 880)
            return random_place(action::read, random_size(), false);
        if (choice < 950)
            return random_place(action::discard, page_sectors << below(5), true);
        if (choice < 985)
            return {action::rest, 0, 0};
        if (choice < 992)
            return {action::flush, 0, 0};
        return {choice < 997 ? action::reload : action::reopen, 0, 0};
    }

    /// The table is loaded again once while there are stores, whatever else is drawn. True when it
    /// was its turn.
    bool reload_beside() {
        if (reloaded_ || next() < options_.amount / 3)
            return false;
        reloaded_ = true;
        beside(action::reload);
        return true;
    }

    std::uint32_t memory_page() {
        const std::uint64_t choice = random_.below(10);
        if (choice < 6)
            return below(hot_pages / memory_stride) * memory_stride;
        return below(choice < 8 ? hot_pages : pages_);
    }

    static operation in_page(action what, std::uint32_t page) {
        return {what, page * page_sectors, page_sectors};
    }

    void add_memory() {
        const std::uint64_t choice = random_.below(100);
        const std::uint32_t page = memory_page();
        if (choice < 35)
            return plan_.push_back(in_page(action::store_flush, page));
        if (choice < 53)
            return plan_.push_back(in_page(action::store, page));
        if (choice < 70) {
            plan_.push_back(in_page(action::store, page));
            return plan_.push_back(
                {action::msync, page * page_sectors,
                 std::min(page_sectors << 3 * below(3), (pages_ - page) * page_sectors)});
        }
        if (choice < 74)
            return load_unflushed();
        if (choice < 92)
            return write_over(page);
        if (choice < 96)
            return plan_.push_back({action::rest, 0, 0});
        beside(action::flush);
    }

    /// What bypassed and is not flushed must not become resident as clean by being touched.
    void load_unflushed() {
        const std::uint32_t page = below(pages_);
        plan_.push_back({action::write, page * page_sectors + below(page_sectors), 1});
        plan_.push_back(in_page(action::load, page));
    }

    /// The block device, in a page that is stored to just before and after.
    void write_over(std::uint32_t page) {
        plan_.push_back(in_page(random_.below(2) ? action::store : action::store_flush, page));
        const std::uint64_t choice = random_.below(8);
        operation one = in_page(choice < 3   ? action::write
                                : choice < 6 ? action::write_dsync
                                : choice < 7 ? action::discard
                                             : action::read,
                                page);
        if (one.what != action::discard && random_.below(2))
            one = {one.what, one.first + below(page_sectors), 1};
        plan_.push_back(one);
        plan_.push_back(in_page(random_.below(2) ? action::store : action::store_flush, page));
    }

    /// Stores to a few pages that are dirty already, while `what` makes all pages clean or unmaps
    /// them.
    void beside(action what) {
        const std::array<std::uint32_t, 3> pages{memory_page(), memory_page(), memory_page()};
        for (const std::uint32_t page : pages)
            plan_.push_back(in_page(action::store, page));
        plan_.push_back({what, 0, 0});
        for (std::uint32_t at = 0; at < stores_beside; at++) {
            operation one = in_page(random_.below(2) ? action::store : action::store_flush,
                                    pages[random_.below(pages.size())]);
            one.joined = true;
            plan_.push_back(one);
        }
    }

    const plan_options& options_;
    dice random_;
    std::uint32_t pages_; ///< of the volume by now
    bool reloaded_ = false;
    std::size_t rare_ = 0;
    std::vector<operation> plan_ = std::vector<operation>(1);
};

std::uint64_t mixed(std::uint32_t number, std::uint32_t sector, std::uint64_t at) {
    return dice(std::uint64_t{number} << 32 | sector, at).next() | 1; // no word is zero
}

} // namespace

std::vector<operation> make_plan(const plan_options& options) {
    return planner(options).run();
}

std::vector<unsigned> stored_words(std::uint32_t number) {
    constexpr unsigned sector_words = sector_bytes / 8;
    constexpr std::uint64_t first_words = 11; // of a sector: lines are met again
    dice random(number, store_mark);
    std::vector<unsigned> words;
    for (std::uint64_t count = 1 + random.below(4); words.size() < count;) {
        const auto word = static_cast<unsigned>(random.below(page_sectors) * sector_words + 1 +
                                                random.below(first_words));
        if (std::ranges::find(words, word) == words.end())
            words.push_back(word);
    }
    return words;
}

std::uint64_t stored_value(std::uint32_t number, unsigned word) {
    return store_mark << 48 | std::uint64_t{number} << 16 | word;
}

std::uint32_t stored_by(std::uint64_t value, unsigned word) {
    const auto number = static_cast<std::uint32_t>(value >> 16);
    return value == stored_value(number, word) ? number : 0;
}

void fill_sector(std::uint32_t number, std::uint32_t sector,
                 std::span<std::uint64_t, sector_bytes / 8> words) {
    words[0] = std::uint64_t{number} << 32 | sector;
    for (std::size_t at = 1; at < words.size(); at++)
        words[at] = at < 8 ? mixed(number, sector, at) : words[at - 7] + at;
}

bool read_sector(std::span<const std::uint64_t, sector_bytes / 8> words, std::uint32_t sector,
                 std::uint32_t& number, std::vector<odd_word>* odd) {
    number = static_cast<std::uint32_t>(words[0] >> 32);
    std::array<std::uint64_t, sector_bytes / 8> expected{};
    if (number != 0)
        fill_sector(number, sector, expected);
    // A store never changes the first one.
    if (words[0] != expected[0])
        return false;
    for (std::size_t at = 1; at < words.size(); at++) {
        if (words[at] == expected[at])
            continue;
        if (!odd)
            return false;
        odd->push_back(
            {static_cast<unsigned>(sector % page_sectors * words.size() + at), words[at]});
    }
    return true;
}

} // namespace campaign
