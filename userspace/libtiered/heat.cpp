// SPDX-License-Identifier: GPL-2.0-or-later
// What of a volume is in its fast tier.
#include "heat.hpp"

#include "reply.hpp"

namespace tiered {

namespace {

extent_heat parse_extent(std::string_view word, const std::string& reply) {
    extent_heat heat;
    for (std::uint64_t* field : {&heat.extent, &heat.resident_pages, &heat.dirty_pages}) {
        const std::size_t colon = word.find(':');
        *field = reply_number(word.substr(0, colon), reply);
        word.remove_prefix(colon == word.npos ? word.size() : colon + 1);
    }
    heat.recent_pages = reply_number(word, reply);
    return heat;
}

} // namespace

heat_reply parse_heat_reply(const std::string& text) {
    const reply_part part = parse_reply_part(text);
    heat_reply reply{.extents = {}, .next = part.next};
    for (const std::string& word : part.words)
        reply.extents.push_back(parse_extent(word, text));
    return reply;
}

} // namespace tiered
