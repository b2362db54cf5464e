// SPDX-License-Identifier: GPL-2.0-or-later
// Follows the plan. One program writes, so operations have an order and all before the last one are
// acknowledged.
#include "oracle.hpp"

#include <algorithm>

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

} // namespace

oracle::oracle(std::vector<operation> plan)
    : plan_(std::move(plan)), states_(volume_pages, std::vector<page_state>(1)) {}

void oracle::begin(std::uint32_t number) {
    const operation& one = plan_.at(number);
    if (one.what == action::write || one.what == action::write_dsync)
        change(number, one, false);
    else if (one.what == action::discard)
        change(number, one, true);
}

void oracle::acknowledge(std::uint32_t number) {
    const operation& one = plan_.at(number);
    if (one.what == action::write_dsync || one.what == action::discard)
        make_durable(one);
    else if (one.what == action::sync)
        make_all_durable();
}

void oracle::change(std::uint32_t number, const operation& one, bool zero) {
    for (std::uint32_t page = one.first / page_sectors; page * page_sectors < one.end(); page++) {
        page_state next = states_[page].back();
        for (std::uint32_t at = 0; at < page_sectors; at++) {
            const std::uint32_t sector = page * page_sectors + at;
            if (sector >= one.first && sector < one.end())
                next[at] = zero ? 0 : number;
        }
        states_[page].push_back(next);
    }
}

/// The operation's own sectors are as it left them; of the page's others, older values remain
/// possible.
void oracle::make_durable(const operation& one) {
    for (std::uint32_t page = one.first / page_sectors; page * page_sectors < one.end(); page++) {
        std::vector<page_state>& states = states_[page];
        const page_state last = states.back();
        for (page_state& state : states)
            for (std::uint32_t at = 0; at < page_sectors; at++) {
                const std::uint32_t sector = page * page_sectors + at;
                if (sector >= one.first && sector < one.end())
                    state[at] = last[at];
            }
        states.erase(std::unique(states.begin(), states.end()), states.end());
    }
}

void oracle::make_all_durable() {
    for (std::vector<page_state>& states : states_)
        states.erase(states.begin(), states.end() - 1);
}

std::string oracle::judge_frame(std::uint32_t page, const page_state& found) const {
    const std::vector<page_state>& states = states_[page];
    return std::ranges::find(states, found) != states.end()
               ? ""
               : complaint(page, found, states, "in its frame");
}

std::string oracle::judge_home(std::uint32_t page, const page_state& found) const {
    const std::vector<page_state>& states = states_[page];
    for (std::size_t at = 0; at < page_sectors; at++)
        if (std::ranges::none_of(states,
                                 [&](const page_state& state) { return state[at] == found[at]; }))
            return complaint(page, found, states, "on the disk");
    return "";
}

} // namespace campaign
