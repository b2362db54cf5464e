// SPDX-License-Identifier: GPL-2.0-or-later
// Draws images: from nothing that is not promised, to everything, and each word or line for itself
// in between.
#include "cuts.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace powercut {

namespace {

enum class style {
    nothing,    ///< only what is durable
    everything, ///< all newest values
    words,      ///< each word has any of its values
    lines,      ///< each line is there or not
    but_one,    ///< everything but one line
    only_one,   ///< nothing but one line
    most_words, ///< a few words are lost
    styles,
};

/// The values that each word of a line may have, oldest first, without the durable one.
using line_values = std::array<std::vector<const later_value*>, words_per_line>;

line_values by_word(const open_line& line) {
    line_values values;
    for (const later_value& one : line.values)
        values[one.word].push_back(&one);
    return values;
}

class drawer {
public:
    drawer(const line_model& model, const cut& one, const line_filter& may_lose)
        : dice_(one.seed, one.number * 2 + 1),
          style_(static_cast<style>(dice_.below(static_cast<unsigned>(style::styles)))) {
        for (const open_line& line : model.open_lines())
            (!may_lose || may_lose(line.line) ? lines_ : kept_).push_back(&line);
        chosen_ = lines_.empty() ? 0 : dice_.below(lines_.size());
    }

    image run() {
        for (std::size_t at = 0; at < lines_.size(); at++)
            draw_line(at);
        for (const open_line* line : kept_)
            keep_line(*line);
        return std::move(result_);
    }

private:
    void draw_line(std::size_t at) {
        const bool whole_line = dice_.below(2);
        const line_values values = by_word(*lines_[at]);
        for (unsigned word = 0; word < words_per_line; word++)
            if (!values[word].empty())
                take(lines_[at]->line * words_per_line + word, values[word],
                     choose(at, values[word].size(), whole_line));
    }

    void keep_line(const open_line& line) {
        const line_values values = by_word(line);
        for (unsigned word = 0; word < words_per_line; word++)
            if (!values[word].empty())
                take(line.line * words_per_line + word, values[word], values[word].size());
    }

    /// How many of a word's later values came to pass.
    std::size_t choose(std::size_t line, std::size_t count, bool whole_line) {
        switch (style_) {
        case style::nothing:
            return 0;
        case style::words:
            return dice_.below(count + 1);
        case style::lines:
            return whole_line ? count : 0;
        case style::but_one:
            return line == chosen_ ? 0 : count;
        case style::only_one:
            return line == chosen_ ? count : 0;
        case style::most_words:
            return dice_.below(8) ? count : 0;
        default:
            return count;
        }
    }

    void take(std::uint64_t word, const std::vector<const later_value*>& values,
              std::size_t count) {
        if (count > 0)
            result_.survivors.push_back({word, values[count - 1]->value});
        if (count < values.size())
            result_.losses.push_back({word, values.back()->value, values.back()->site});
    }

    std::vector<const open_line*> lines_;
    std::vector<const open_line*> kept_; ///< with all newest values
    dice dice_;
    style style_;
    std::size_t chosen_ = 0;
    image result_;
};

} // namespace

std::vector<std::size_t> find_moments(const log_file& log, moments which) {
    std::vector<std::size_t> found;
    std::set<std::pair<record_type, std::uint32_t>> met;
    for (std::size_t at = 0; at < log.size(); at++) {
        const record head = log.at(at).head;
        const bool moment = head.type == record_type::fence || head.type == record_type::mark ||
                            head.type == record_type::end;
        if (moment && (which == moments::every || met.emplace(head.type, head.site).second))
            found.push_back(at);
    }
    return found;
}

cut choose_cut(std::uint64_t seed, std::uint64_t number, std::span<const std::size_t> all_moments) {
    return {all_moments[dice(seed, number * 2).below(all_moments.size())], seed, number};
}

image draw(const line_model& model, const cut& one, const line_filter& may_lose) {
    return drawer(model, one, may_lose).run();
}

std::vector<survivor> all_but(const line_model& model, std::span<const loss> losses,
                              std::span<const survivor> drawn) {
    std::map<std::uint64_t, std::uint64_t> values;
    for (const open_line& line : model.open_lines())
        for (const later_value& one : line.values)
            values[line.line * words_per_line + one.word] = one.value;
    for (const loss& lost : losses)
        values.erase(lost.word);
    for (const survivor& one : drawn)
        if (std::ranges::find(losses, one.word, &loss::word) != losses.end())
            values[one.word] = one.value;
    std::vector<survivor> result;
    for (const auto& [word, value] : values)
        result.push_back({word, value});
    return result;
}

} // namespace powercut
