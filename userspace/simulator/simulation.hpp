// SPDX-License-Identifier: GPL-2.0-or-later
// Tiers by name, and a trace through any number of them in one pass.
#pragma once

#include "survey.hpp"
#include "tier.hpp"

namespace tiered::sim {

/// A policy as the user names it. A reference with a width or a way of writing of its own is
/// `lru/16/around`.
struct policy_name {
    std::string base;
    std::uint32_t width = 1;
    write_mode mode = write_mode::back;

    std::string text() const;
};

/// Every base name, ours first.
std::vector<std::string> policy_bases();
/// Throws when there is no such policy.
policy_name parse_policy(std::string_view text);
/// Whether it needs to be told the future.
bool is_clairvoyant(const policy_name& policy);
/// Whether its decisions depend on the device, so that one simulation cannot stand for several
/// devices.
bool is_by_device(const policy_name& policy);

std::unique_ptr<tier> make_tier(const policy_name& policy, std::uint32_t pages,
                                std::span<const device_model> devices);

/// `next_uses` is of the whole trace, or empty when no tier needs it.
void simulate(request_source& source, std::span<const std::unique_ptr<tier>> tiers,
              std::span<const std::uint64_t> next_uses, std::uint64_t requests,
              const progress_report& report = {});

/// A trace in memory, for going through it often.
class recorded : public request_source {
public:
    explicit recorded(request_source& source);
    explicit recorded(std::vector<request> trace) : requests(std::move(trace)) {}
    bool next(request& r) override;
    void rewind() override { at = 0; }
    double progress() const override;

private:
    std::vector<request> requests;
    std::size_t at = 0;
};

} // namespace tiered::sim
