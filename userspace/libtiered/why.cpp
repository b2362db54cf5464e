// SPDX-License-Identifier: GPL-2.0-or-later
// The last decision about each extent of a volume.
#include "why.hpp"

#include "../../driver/core/status.h"
#include "reply.hpp"

#include <algorithm>

namespace tiered {

namespace {

struct known_reason {
    std::string_view name;
    std::string_view text;
};

constexpr known_reason known_reasons[] = {
#define KNOWN(name, text) {#name, text},
    TIERED_REASONS(KNOWN)
#undef KNOWN
};

extent_decision parse_decision(const std::string& word, const std::string& reply) {
    const std::size_t first = word.find(':'), last = word.rfind(':');
    if (first == last || last == first + 1)
        fail_unexpected_reply(reply);
    return {.extent = reply_number(std::string_view(word).substr(0, first), reply),
            .reason = word.substr(first + 1, last - first - 1),
            .age_s = reply_number(std::string_view(word).substr(last + 1), reply)};
}

} // namespace

why_reply parse_why_reply(const std::string& text) {
    const reply_part part = parse_reply_part(text);
    why_reply reply{.decisions = {}, .next = part.next};
    for (const std::string& word : part.words)
        reply.decisions.push_back(parse_decision(word, text));
    return reply;
}

std::vector<extent_decision> ask_why(const std::string& name) {
    std::vector<extent_decision> all;
    ask_in_parts(name, TIERED_MESSAGE_WHY, [&all](const std::string& text) {
        const why_reply reply = parse_why_reply(text);
        all.insert(all.end(), reply.decisions.begin(), reply.decisions.end());
        return reply.next;
    });
    std::ranges::sort(all, {}, &extent_decision::extent);
    return all;
}

std::string reason_text(std::string_view reason) {
    for (const known_reason& known : known_reasons)
        if (known.name == reason)
            return std::string(known.text);
    return std::string(reason);
}

} // namespace tiered
