// SPDX-License-Identifier: GPL-2.0-or-later
// Follows stores through mappings, word by word.
#include "stores.hpp"

#include <algorithm>
#include <utility>

namespace campaign {

namespace {

constexpr unsigned sector_words = sector_bytes / 8;
constexpr unsigned line_words = 8;

bool contains(const std::vector<std::uint32_t>& numbers, std::uint32_t number) {
    return std::ranges::find(numbers, number) != numbers.end();
}

/// What the sector of a word may be filled with.
std::vector<std::uint32_t> filled_with(const std::vector<page_state>& states, unsigned word) {
    std::vector<std::uint32_t> numbers;
    for (const page_state& state : states)
        if (!contains(numbers, state[word / sector_words]))
            numbers.push_back(state[word / sector_words]);
    return numbers;
}

bool meet(const std::vector<std::uint32_t>& some, const std::vector<std::uint32_t>& others) {
    return std::ranges::any_of(some, [&](std::uint32_t one) { return contains(others, one); });
}

std::string place(std::uint32_t page, unsigned word) {
    return "word " + std::to_string(word) + " of page " + std::to_string(page);
}

} // namespace

void stores::add(std::uint32_t number, std::uint32_t page, const std::vector<page_state>& current) {
    for (const unsigned word : stored_words(number))
        pages_[page][word].may.push_back({number, filled_with(current, word)});
}

std::vector<store_to> stores::newest(std::uint32_t page, std::uint64_t lines,
                                     const std::vector<page_state>& current) const {
    std::vector<store_to> found;
    const auto at = pages_.find(page);
    if (at == pages_.end())
        return found;
    for (const auto& [word, known] : at->second)
        if (lines >> word / line_words & 1 && !known.may.empty() &&
            meet(known.may.back().over, filled_with(current, word)))
            found.push_back({page, word, known.may.back().number});
    return found;
}

std::vector<std::uint32_t> stores::make_durable(const store_to& one) {
    auto& [may, must] = pages_[one.page][one.word];
    const auto kept = std::ranges::find(may, one.number, &one_store::number);
    if (kept == may.end())
        return {}; // A newer one is durable, or a write came over it.
    may.erase(may.begin(), kept);
    must = true;
    return may.front().over;
}

void stores::release(std::uint32_t page) {
    if (const auto at = pages_.find(page); at != pages_.end())
        for (auto& [word, known] : at->second)
            known.must = false;
}

void stores::prune(std::uint32_t page, const std::vector<page_state>& possible) {
    const auto at = pages_.find(page);
    if (at == pages_.end())
        return;
    for (auto& [word, known] : at->second) {
        const auto filled = filled_with(possible, word);
        if (!known.may.empty() && !meet(known.may.front().over, filled))
            known.must = false;
        std::erase_if(known.may, [&](const one_store& one) { return !meet(one.over, filled); });
    }
    std::erase_if(at->second, [](const auto& one) { return one.second.may.empty(); });
}

std::string stores::judge(std::uint32_t page, const page_state& filled,
                          const std::vector<odd_word>& odd) const {
    for (const odd_word& one : odd)
        if (std::string text = judge_odd(page, filled, one); !text.empty())
            return text;
    const auto at = pages_.find(page);
    if (at == pages_.end())
        return "";
    for (const auto& [word, known] : at->second)
        if (known.must && contains(known.may.front().over, filled[word / sector_words]) &&
            std::ranges::find(odd, word, &odd_word::word) == odd.end())
            return place(page, word) + " has nothing of operation " +
                   std::to_string(known.may.front().number) + ", which was to be durable";
    return "";
}

std::string stores::judge_odd(std::uint32_t page, const page_state& filled,
                              const odd_word& one) const {
    const std::uint32_t number = stored_by(one.value, one.word);
    if (!number)
        return "sector " + std::to_string(one.word / sector_words) + " of page " +
               std::to_string(page) + " holds what nobody wrote there";
    if (const auto at = pages_.find(page); at != pages_.end())
        if (const auto known = at->second.find(one.word); known != at->second.end())
            for (const one_store& may : known->second.may)
                if (may.number == number && contains(may.over, filled[one.word / sector_words]))
                    return "";
    return place(page, one.word) + " is of operation " + std::to_string(number) +
           ", over a sector of operation " + std::to_string(filled[one.word / sector_words]) +
           ", which cannot be";
}

} // namespace campaign
