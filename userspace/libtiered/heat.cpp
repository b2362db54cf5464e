// SPDX-License-Identifier: GPL-2.0-or-later
// What of a volume is in its fast tier.
#include "heat.hpp"

#include "error.hpp"
#include "text.hpp"

#include <charconv>

namespace tiered {

namespace {

std::uint64_t heat_number(std::string_view text, const std::string& reply) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        fail("the driver replied \"{}\" where numbers were expected; do the module and tierctl "
             "belong "
             "together?",
             reply);
    return number;
}

extent_heat parse_extent(std::string_view word, const std::string& reply) {
    extent_heat heat;
    for (std::uint64_t* field : {&heat.extent, &heat.resident_pages, &heat.dirty_pages}) {
        const std::size_t colon = word.find(':');
        *field = heat_number(word.substr(0, colon), reply);
        word.remove_prefix(colon == word.npos ? word.size() : colon + 1);
    }
    heat.recent_pages = heat_number(word, reply);
    return heat;
}

} // namespace

heat_reply parse_heat_reply(const std::string& text) {
    std::vector<std::string> words = split_words(text);
    heat_reply reply;
    if (words.empty())
        fail("the driver replied nothing to a question about heat");
    if (words.back() != "-")
        reply.next = heat_number(words.back(), text);
    words.pop_back();
    for (const std::string& word : words)
        reply.extents.push_back(parse_extent(word, text));
    return reply;
}

} // namespace tiered
