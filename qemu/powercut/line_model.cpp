// SPDX-License-Identifier: GPL-2.0-or-later
// Replays the record of a run.
#include "line_model.hpp"

#include <algorithm>
#include <utility>

namespace powercut {

namespace {
constexpr std::uint8_t all_words = 0xff;
}

line_model::line_model(std::uint64_t bytes)
    : durable_(bytes / word_bytes), slot_((durable_.size() + words_per_line - 1) / words_per_line) {
}

void line_model::apply(const event& one) {
    switch (one.head.type) {
    case record_type::image:
        std::ranges::copy(one.words, durable_.begin() + static_cast<std::ptrdiff_t>(
                                                            one.head.where * words_per_page));
        break;
    case record_type::store:
    case record_type::found:
        store(one);
        break;
    case record_type::nt_store:
        store(one);
        promise_stored(one);
        break;
    case record_type::flush:
        if (slot_[one.head.where])
            promised_[one.head.processor].push_back({one.head.where, order_, all_words});
        break;
    case record_type::fence:
        fence(one.head.processor);
        break;
    default:
        break;
    }
}

bool line_model::any_value(std::uint64_t word,
                           const std::function<bool(std::uint64_t)>& such) const {
    if (such(durable_[word]))
        return true;
    const std::uint32_t slot = slot_[word / words_per_line];
    return slot && std::ranges::any_of(open_[slot - 1].values, [&](const later_value& one) {
               return one.word == word % words_per_line && such(one.value);
           });
}

std::vector<survivor> line_model::exchange(std::span<const survivor> values) {
    std::vector<survivor> before;
    for (const survivor& one : values)
        before.push_back({one.word, std::exchange(durable_[one.word], one.value)});
    return before;
}

open_line& line_model::line_at(std::uint64_t line) {
    if (!slot_[line]) {
        open_.push_back({line, {}});
        slot_[line] = static_cast<std::uint32_t>(open_.size());
    }
    return open_[slot_[line] - 1];
}

void line_model::store(const event& one) {
    order_++;
    for (std::size_t at = 0; at < one.words.size(); at++) {
        const std::uint64_t word = one.head.where + at;
        line_at(word / words_per_line)
            .values.push_back({one.words[at], order_, one.head.site,
                               static_cast<std::uint8_t>(word % words_per_line)});
    }
}

void line_model::promise_stored(const event& one) {
    std::vector<promise>& promises = promised_[one.head.processor];
    const std::uint64_t end = one.head.where + one.words.size();
    for (std::uint64_t word = one.head.where; word < end;) {
        promise next{word / words_per_line, order_, 0};
        for (; word < end && word / words_per_line == next.line; word++)
            next.words |= static_cast<std::uint8_t>(1u << word % words_per_line);
        promises.push_back(next);
    }
}

void line_model::fence(unsigned processor) {
    for (const promise& kept : promised_[processor])
        keep(kept);
    promised_[processor].clear();
}

/// The promised values are durable; what came before them is gone.
void line_model::keep(const promise& kept) {
    if (!slot_[kept.line])
        return; // by another processor's fence
    std::vector<later_value>& values = line_at(kept.line).values;
    std::erase_if(values, [&](const later_value& one) {
        if (one.order > kept.order || !(kept.words >> one.word & 1))
            return false;
        durable_[kept.line * words_per_line + one.word] = one.value;
        return true;
    });
    if (values.empty())
        close_line(kept.line);
}

void line_model::close_line(std::uint64_t line) {
    const std::uint32_t place = slot_[line] - 1;
    slot_[line] = 0;
    if (place + 1 != open_.size()) {
        open_[place] = std::move(open_.back());
        slot_[open_[place].line] = place + 1;
    }
    open_.pop_back();
}

} // namespace powercut
