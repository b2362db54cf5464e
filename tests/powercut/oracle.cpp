// SPDX-License-Identifier: GPL-2.0-or-later
// Follows the plan. What is on its way at the same time may take effect in any order; all else has
// the order of its acknowledgements.
#include "oracle.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace campaign {

namespace {

std::string text_of(const page_state& state) {
    std::string text = "[";
    for (const std::uint32_t number : state)
        text += (text.size() > 1 ? " " : "") + std::to_string(number);
    return text + "]";
}

std::string complaint(std::uint32_t page, const page_state& found,
                      const std::vector<page_state>& states, const char* where) {
    std::string text = "page " + std::to_string(page) + " " + where + " is of operations " +
                       text_of(found) + ", not";
    for (const page_state& state : states)
        text += " " + text_of(state);
    return text;
}

bool changes(const operation& one) {
    return one.what == action::write || one.what == action::write_dsync ||
           one.what == action::discard;
}

bool stores_words(const operation& one) {
    return one.what == action::store || one.what == action::store_flush;
}

/// Where everything that was stored goes home, or the mappings of all pages are taken away.
bool is_of_all_pages(const operation& one) {
    return one.what == action::flush || one.what == action::reload || one.what == action::reopen ||
           one.what == action::grow || one.what == action::format;
}

/// What an operation leaves in a sector.
std::uint32_t value_of(std::uint32_t number, const operation& one) {
    return one.what == action::discard ? 0 : number;
}

bool touches(const operation& one, std::uint32_t page) {
    return one.first < (page + 1) * page_sectors && one.end() > page * page_sectors;
}

bool covers(const operation& one, std::uint32_t page, std::size_t at) {
    const std::size_t sector = page * page_sectors + at;
    return sector >= one.first && sector < one.end();
}

bool contains(const std::vector<std::uint32_t>& numbers, std::uint32_t number) {
    return std::ranges::find(numbers, number) != numbers.end();
}

void add(std::vector<page_state>& states, const page_state& state) {
    if (std::ranges::find(states, state) == states.end())
        states.push_back(state);
}

page_state changed(page_state state, std::uint32_t page, std::uint32_t number,
                   const operation& one) {
    for (std::size_t at = 0; at < page_sectors; at++)
        if (covers(one, page, at))
            state[at] = value_of(number, one);
    return state;
}

} // namespace

oracle::oracle(std::vector<operation> plan)
    : plan_(std::move(plan)),
      pages_(volume_pages, {std::vector<page_state>(1), std::vector<page_state>(1), 0}) {}

void oracle::begin(std::uint32_t number) {
    const operation& one = plan_.at(number);
    if (changes(one))
        begin_change(number);
    const std::uint32_t page = one.first / page_sectors;
    if (stores_words(one))
        stores_.add(number, page, pages_[page].current);
    promised_[number] = promised_by(number);
}

void oracle::acknowledge(std::uint32_t number) {
    const operation& one = plan_.at(number);
    if (changes(one))
        end_change(number, one.what != action::write);
    else if (one.what == action::sync || one.what == action::format)
        make_all_durable(number);
    for (const store_to& store : promised_[number])
        make_durable(number, store);
    promised_.erase(number);
}

/// A flush of lines, or of pages, is of everything that was stored to them before.
std::vector<store_to> oracle::promised_by(std::uint32_t number) const {
    const operation& one = plan_[number];
    std::uint32_t first = one.first / page_sectors;
    std::uint32_t end = one.end() / page_sectors;
    std::uint64_t lines = ~std::uint64_t{0};
    if (one.what == action::store_flush) {
        lines = 0;
        for (const unsigned word : stored_words(number))
            lines |= std::uint64_t{1} << word / 8;
    } else if (is_of_all_pages(one)) {
        first = 0;
        end = volume_pages;
    } else if (one.what != action::msync) {
        return {};
    }
    std::vector<store_to> promised;
    for (; first < end; first++)
        std::ranges::move(stores_.newest(first, lines, pages_[first].current),
                          std::back_inserter(promised));
    return promised;
}

/// With a store, what it was stored over is durable.
void oracle::make_durable(std::uint32_t number, const store_to& one) {
    const std::vector<std::uint32_t> over = stores_.make_durable(one);
    if (over.empty())
        return;
    known& here = pages_[one.page];
    std::erase_if(here.possible, [&](const page_state& state) {
        return !contains(over, state[one.word * 8 / sector_bytes]);
    });
    here.settled_by = number;
    stores_.prune(one.page, here.possible);
}

void oracle::begin_change(std::uint32_t number) {
    std::vector<std::uint32_t> rivals;
    for (auto& [other, others] : flying_) {
        others.push_back(number);
        rivals.push_back(other);
    }
    flying_.emplace(number, std::move(rivals));
    const operation& one = plan_[number];
    for (std::uint32_t page = one.first / page_sectors; touches(one, page); page++) {
        if (one.what == action::discard)
            stores_.release(page);
        mix(page);
    }
}

/// All that the changes on their way can make of a page, in any order.
void oracle::mix(std::uint32_t page) {
    known& here = pages_[page];
    // Grows while it is walked.
    for (std::size_t at = 0; at < here.current.size(); at++)
        for (const auto& [number, rivals] : flying_)
            if (touches(plan_[number], page))
                add(here.current, changed(here.current[at], page, number, plan_[number]));
    for (const page_state& state : here.current)
        add(here.possible, state);
}

void oracle::end_change(std::uint32_t number, bool durable) {
    const auto rivals = std::move(flying_.at(number));
    flying_.erase(number);
    const operation& one = plan_[number];
    for (std::uint32_t page = one.first / page_sectors; touches(one, page); page++) {
        known& here = pages_[page];
        settle(number, rivals, page, here.current);
        if (!durable)
            continue;
        settle(number, rivals, page, here.possible);
        here.settled_by = number;
        if (one.what == action::discard)
            stores_.forget(page);
        stores_.prune(page, here.possible);
    }
}

/// The operation's own sectors are as it or a rival left them; of the page's others, all values
/// remain possible.
void oracle::settle(std::uint32_t number, const std::vector<std::uint32_t>& rivals,
                    std::uint32_t page, std::vector<page_state>& states) const {
    const operation& one = plan_[number];
    std::vector<page_state> settled;
    for (page_state state : states) {
        for (std::size_t at = 0; at < page_sectors; at++)
            if (covers(one, page, at) && !contains(rivals, state[at]))
                state[at] = value_of(number, one);
        add(settled, state);
    }
    states = std::move(settled);
}

void oracle::make_all_durable(std::uint32_t number) {
    for (std::uint32_t page = 0; page < volume_pages; page++) {
        known& here = pages_[page];
        if (here.possible == here.current)
            continue;
        here.possible = here.current;
        here.settled_by = number;
        stores_.prune(page, here.possible);
    }
}

std::string oracle::judge_frame(std::uint32_t page, const page_state& found) const {
    const std::vector<page_state>& states = pages_[page].possible;
    return std::ranges::find(states, found) != states.end()
               ? ""
               : complaint(page, found, states, "in its frame");
}

std::string oracle::judge_home(std::uint32_t page, const page_state& found) const {
    const std::vector<page_state>& states = pages_[page].possible;
    for (std::size_t at = 0; at < page_sectors; at++)
        if (std::ranges::none_of(states,
                                 [&](const page_state& state) { return state[at] == found[at]; }))
            return complaint(page, found, states, "on the disk");
    return "";
}

} // namespace campaign
