// SPDX-License-Identifier: GPL-2.0-or-later
// Table lines of the target.
#include "table.hpp"

#include "error.hpp"
#include "text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace tiered {

namespace {

/// Every other option has one value.
constexpr std::array<std::string_view, 4> without_value{"read_only", "writethrough", "memory_only",
                                                        "nothing_dirty"};

[[noreturn]] void fail_not_understood(const std::string& parameters) {
    fail("the table line \"{}\" is not one that this tierctl understands; use a tierctl and a "
         "module "
         "of one version",
         parameters);
}

std::size_t count_in(const std::string& word, const std::string& parameters) {
    std::size_t count = 0;
    const auto [end, ec] = std::from_chars(word.data(), word.data() + word.size(), count);
    if (ec != std::errc() || end != word.data() + word.size())
        fail_not_understood(parameters);
    return count;
}

std::vector<table_option> parse_options(const std::vector<std::string>& words, std::size_t at,
                                        const std::string& parameters) {
    std::vector<table_option> options;
    while (at < words.size()) {
        table_option option{words[at++], {}};
        if (std::ranges::find(without_value, option.name) == without_value.end()) {
            if (at == words.size())
                fail_not_understood(parameters);
            option.value = words[at++];
        }
        options.push_back(std::move(option));
    }
    return options;
}

} // namespace

std::optional<std::string> volume_table::value_of(std::string_view name) const {
    const auto found = std::ranges::find(options, name, &table_option::name);
    if (found == options.end())
        return std::nullopt;
    return found->value;
}

void volume_table::put(const std::string& name, const std::string& value) {
    drop(name);
    options.push_back({name, value});
}

void volume_table::drop(std::string_view name) {
    std::erase_if(options, [name](const table_option& option) { return option.name == name; });
}

std::string volume_table::parameters() const {
    std::vector<std::string> words;
    for (const table_option& option : options) {
        words.push_back(option.name);
        if (!option.value.empty())
            words.push_back(option.value);
    }
    const std::string base = fmt::format("{} 1 {}", fast, capacity);
    return words.empty() ? base
                         : fmt::format("{} {} {}", base, words.size(), fmt::join(words, " "));
}

volume_table parse_table(const std::string& parameters) {
    constexpr std::size_t count_word = 3;
    const std::vector<std::string> words = split_words(parameters);
    if (words.size() < count_word || words[1] != "1")
        fail_not_understood(parameters);
    volume_table table{words[0], words[2], {}};
    if (words.size() == count_word)
        return table;
    if (count_in(words[count_word], parameters) != words.size() - count_word - 1)
        fail_not_understood(parameters);
    table.options = parse_options(words, count_word + 1, parameters);
    return table;
}

} // namespace tiered
