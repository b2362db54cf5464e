// SPDX-License-Identifier: GPL-2.0-or-later
// The last decision about each extent of a volume: the reply to the message `why`
// (driver/core/status.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tiered {

struct extent_decision {
    std::uint64_t extent = 0;
    std::string reason;      ///< a name out of TIERED_REASONS
    std::uint64_t age_s = 0; ///< seconds since it was made

    bool operator==(const extent_decision&) const = default;
};

struct why_reply {
    std::vector<extent_decision> decisions;
    std::optional<std::uint64_t> next; ///< from where to ask again; nothing: that was all
};

/// Throws when the text is not such a reply.
why_reply parse_why_reply(const std::string& text);

/// Everything that the driver says of the open volume `name`, in order of the extents.
std::vector<extent_decision> ask_why(const std::string& name);

/// What the reason means, for people; a name that a newer driver made up is returned as it is.
std::string reason_text(std::string_view reason);

} // namespace tiered
