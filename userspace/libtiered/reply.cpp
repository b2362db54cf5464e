// SPDX-License-Identifier: GPL-2.0-or-later
// Replies of the driver to messages that come in parts.
#include "reply.hpp"

#include "dm.hpp"
#include "error.hpp"
#include "text.hpp"

#include <charconv>

namespace tiered {

void fail_unexpected_reply(const std::string& reply) {
    fail("the driver replied \"{}\", which this tierctl does not understand; use a tierctl and a "
         "module "
         "of one version",
         reply);
}

std::uint64_t reply_number(std::string_view word, const std::string& reply) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size() || word.empty())
        fail_unexpected_reply(reply);
    return number;
}

reply_part parse_reply_part(const std::string& text) {
    reply_part part{.words = split_words(text), .next = {}};
    if (part.words.empty())
        fail_unexpected_reply(text);
    if (part.words.back() != "-")
        part.next = reply_number(part.words.back(), text);
    part.words.pop_back();
    return part;
}

void ask_in_parts(const std::string& name, const std::string& message,
                  const std::function<std::optional<std::uint64_t>(const std::string&)>& take) {
    std::optional<std::uint64_t> next = 0;
    while (next)
        next = take(send_dm_message(name, fmt::format("{} {}", message, *next)));
}

} // namespace tiered
