// SPDX-License-Identifier: GPL-2.0-or-later
// A sample of the requests to an open volume: replies to the message `samples`
// (driver/core/status.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tiered {

/// What of a request lies in a group of pages that is sampled.
struct request_sample {
    std::uint64_t time_us = 0; ///< since the volume was opened
    std::uint64_t sector = 0;
    std::uint64_t sectors = 0;
    bool write = false;
    bool more = false; ///< the rest of the request is the next sample of its processor
    /// Pages that the processor touched since its last sample, this one's among them, and those
    /// that frames served.
    std::uint64_t accesses = 0;
    std::uint64_t hits = 0;

    bool operator==(const request_sample&) const = default;
};

struct samples_reply {
    std::uint64_t one_in = 0;   ///< groups for one that is sampled
    std::uint64_t since_us = 0; ///< no sample that was taken later is missing
    std::vector<request_sample> samples;
    std::optional<std::uint64_t> next; ///< from where to ask again; nothing: that was all
};

/// Throws when the text is not such a reply.
samples_reply parse_samples_reply(const std::string& text);

struct sampled_requests {
    std::uint64_t one_in = 1;
    std::uint64_t since_us = 0;
    std::vector<request_sample> samples; ///< in their order; none is a part of another's request
};

/// What the replies to all parts say together. Throws when they are not of one volume.
sampled_requests put_together(const std::vector<samples_reply>& replies);

/// Everything that the open volume `name` remembers.
sampled_requests ask_samples(const std::string& name);

} // namespace tiered
