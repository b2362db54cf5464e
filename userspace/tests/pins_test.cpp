// SPDX-License-Identifier: GPL-2.0-or-later
// Ranges of pinned pages, against a set of single pages.
#include "../../driver/core/pins.h"

#include <array>
#include <gtest/gtest.h>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace {

using pairs = std::vector<std::pair<u64, u64>>;

class ranges {
public:
    void add(u64 first, u64 end) { tiered_pins_add(pins_.data(), &count_, {first, end}); }
    void remove(u64 first, u64 end) { tiered_pins_remove(pins_.data(), &count_, {first, end}); }
    bool has(u64 page) const {
        const u32 at = tiered_pins_find(pins_.data(), count_, page);
        return at < count_ && pins_[at].first <= page;
    }
    u64 pages() const { return tiered_pins_pages(pins_.data(), count_); }
    pairs all() const {
        pairs out;
        for (u32 i = 0; i < count_; i++)
            out.emplace_back(pins_[i].first, pins_[i].end);
        return out;
    }

private:
    std::array<tiered_pin, 128> pins_{};
    u32 count_ = 0;
};

TEST(Pins, JoinWhatOverlapsOrTouches) {
    ranges r;
    r.add(10, 20);
    r.add(30, 40);
    r.add(20, 22);
    EXPECT_EQ((pairs{{10, 22}, {30, 40}}), r.all());
    r.add(0, 10);
    r.add(21, 31);
    EXPECT_EQ((pairs{{0, 40}}), r.all());
    r.add(5, 6);
    EXPECT_EQ(40u, r.pages());
}

TEST(Pins, AreCutWhereTheyAreTakenAway) {
    ranges r;
    r.add(10, 20);
    r.add(30, 40);
    r.remove(12, 14);
    EXPECT_EQ((pairs{{10, 12}, {14, 20}, {30, 40}}), r.all());
    r.remove(11, 35);
    EXPECT_EQ((pairs{{10, 11}, {35, 40}}), r.all());
    r.remove(11, 35);
    EXPECT_EQ(6u, r.pages());
    r.remove(0, ~0ull);
    EXPECT_TRUE(r.all().empty());
}

TEST(Pins, AgreeWithASetOfPages) {
    constexpr u64 most = 100;
    std::mt19937 random(1);
    std::uniform_int_distribution<u64> pages(0, most);
    ranges r;
    std::set<u64> set;
    for (int i = 0; i < 20000; i++) {
        u64 first = pages(random), end = pages(random);
        if (first > end)
            std::swap(first, end);
        if (first == end)
            continue;
        const bool adding = random() % 2;
        for (u64 page = first; page < end; page++) {
            if (adding)
                set.insert(page);
            else
                set.erase(page);
        }
        adding ? r.add(first, end) : r.remove(first, end);
        ASSERT_EQ(set.size(), r.pages());
        for (u64 page = 0; page <= most; page++)
            ASSERT_EQ(set.contains(page), r.has(page)) << page;
        const pairs all = r.all();
        for (std::size_t at = 1; at < all.size(); at++)
            ASSERT_LT(all[at - 1].second, all[at].first);
    }
}

} // namespace
