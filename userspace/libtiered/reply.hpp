// SPDX-License-Identifier: GPL-2.0-or-later
// Replies of the driver to messages that come in parts: words, and last a dash or from where to ask
// again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tiered {

struct reply_part {
    std::vector<std::string> words;
    std::optional<std::uint64_t> next; ///< from where to ask again; nothing: that was all
};

/// Throws when the text does not end like such a reply.
reply_part parse_reply_part(const std::string& text);

/// The number that `word` of `reply` must be; throws when it is none.
std::uint64_t reply_number(std::string_view word, const std::string& reply);

[[noreturn]] void fail_unexpected_reply(const std::string& reply);

/// Sends `message` to the volume `name`, with the place to go on from, until all parts have come.
/// `take` gets each part's text and returns its `next`.
void ask_in_parts(const std::string& name, const std::string& message,
                  const std::function<std::optional<std::uint64_t>(const std::string&)>& take);

} // namespace tiered
