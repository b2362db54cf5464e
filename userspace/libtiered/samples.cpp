// SPDX-License-Identifier: GPL-2.0-or-later
// A sample of the requests to an open volume.
#include "samples.hpp"

#include "core/samples.h"
#include "core/status.h"
#include "error.hpp"
#include "reply.hpp"

#include <algorithm>
#include <array>

namespace tiered {

namespace {

/// More sectors than any volume has, and more microseconds than a driver tells.
constexpr std::uint64_t sectors_end = 1ull << 43;
constexpr std::uint64_t time_end_us = 1ull << 47;

template <std::size_t count>
std::array<std::string_view, count> fields_of(std::string_view word, const std::string& reply) {
    std::array<std::string_view, count> fields;
    for (std::size_t i = 0; i < count; i++) {
        const std::size_t colon = i + 1 < count ? word.find(':') : word.size();
        if (colon == word.npos)
            fail_unexpected_reply(reply);
        fields[i] = word.substr(0, colon);
        word.remove_prefix(std::min(colon + 1, word.size()));
    }
    return fields;
}

std::uint64_t number_below(std::uint64_t end, std::string_view field, const std::string& reply) {
    const std::uint64_t number = reply_number(field, reply);
    if (number >= end)
        fail_unexpected_reply(reply);
    return number;
}

request_sample parse_sample(std::string_view word, const std::string& reply) {
    const auto [time, sector, sectors, op, accesses, hits] = fields_of<6>(word, reply);
    request_sample sample;
    sample.time_us = number_below(time_end_us, time, reply);
    sample.sector = number_below(sectors_end, sector, reply);
    sample.sectors = reply_number(sectors, reply);
    const std::uint64_t room =
        TIERED_SAMPLE_GROUP_SECTORS - sample.sector % TIERED_SAMPLE_GROUP_SECTORS;
    if (sample.sectors == 0 || sample.sectors > room)
        fail_unexpected_reply(reply);
    sample.write = op.starts_with('w');
    sample.more = op.ends_with('+');
    if (op != (sample.write ? "w" : "r") + std::string(sample.more ? "+" : ""))
        fail_unexpected_reply(reply);
    sample.accesses = number_below(1ull << 32, accesses, reply);
    sample.hits = number_below(1ull << 32, hits, reply);
    return sample;
}

/// Whether `later`, the next sample of the same processor, is the rest of the request of `sample`.
bool goes_on(const request_sample& sample, const request_sample& later) {
    return sample.more && sample.write == later.write &&
           sample.sector + sample.sectors == later.sector;
}

/// From the newest sample to the oldest of each processor; parts of a request become one.
void join_parts(std::vector<request_sample>& samples) {
    std::vector<request_sample> joined;
    for (const request_sample& sample : samples) {
        if (joined.empty() || !goes_on(sample, joined.back())) {
            joined.push_back(sample);
            continue;
        }
        request_sample& rest = joined.back();
        rest.time_us = sample.time_us;
        rest.sector = sample.sector;
        rest.sectors += sample.sectors;
        rest.accesses += sample.accesses;
        rest.hits += sample.hits;
    }
    samples = std::move(joined);
}

} // namespace

samples_reply parse_samples_reply(const std::string& text) {
    const reply_part part = parse_reply_part(text);
    if (part.words.empty())
        fail_unexpected_reply(text);
    const auto [one_in, since] = fields_of<2>(part.words.front(), text);
    samples_reply reply;
    reply.one_in = number_below(1ull << 32, one_in, text);
    if (reply.one_in == 0)
        fail_unexpected_reply(text);
    reply.since_us = number_below(time_end_us, since, text);
    for (std::size_t i = 1; i < part.words.size(); i++)
        reply.samples.push_back(parse_sample(part.words[i], text));
    reply.next = part.next;
    return reply;
}

sampled_requests put_together(const std::vector<samples_reply>& replies) {
    sampled_requests all;
    for (const samples_reply& reply : replies) {
        if (reply.one_in != replies.front().one_in)
            fail("the volume was closed and opened again meanwhile; ask once more");
        all.one_in = reply.one_in;
        // While one part was read the driver may have forgotten of another.
        all.since_us = std::max(all.since_us, reply.since_us);
        all.samples.insert(all.samples.end(), reply.samples.begin(), reply.samples.end());
    }
    join_parts(all.samples);
    std::erase_if(all.samples,
                  [&all](const request_sample& s) { return s.time_us < all.since_us; });
    // Of one processor the newest are first, whatever their times say.
    std::ranges::reverse(all.samples);
    std::ranges::stable_sort(all.samples, {}, &request_sample::time_us);
    return all;
}

sampled_requests ask_samples(const std::string& name) {
    std::vector<samples_reply> replies;
    ask_in_parts(name, TIERED_MESSAGE_SAMPLES, [&replies](const std::string& text) {
        replies.push_back(parse_samples_reply(text));
        return replies.back().next;
    });
    return put_together(replies);
}

} // namespace tiered
