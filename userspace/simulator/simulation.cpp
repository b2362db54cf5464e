// SPDX-License-Identifier: GPL-2.0-or-later
// Tiers by name, and a trace through them.
#include "simulation.hpp"

#include "error.hpp"
#include "policy_tier.hpp"
#include "smq_tier.hpp"

#include <algorithm>
#include <charconv>

namespace tiered::sim {

namespace {

constexpr std::string_view ours = "ours";
constexpr std::string_view nothing = "none";
constexpr std::string_view smq = "smq";
constexpr std::string_view bound = "clairvoyant";

const reference* find_reference(std::string_view name) {
    for (const reference& r : references())
        if (r.name == name)
            return &r;
    return nullptr;
}

std::string known_names() {
    std::string names;
    for (const std::string& name : policy_bases())
        names += (names.empty() ? "" : ", ") + name;
    return names;
}

void parse_variant(std::string_view part, std::string_view whole, policy_name& policy) {
    if (part == "back" || part == "through" || part == "around") {
        policy.mode = part == "back"      ? write_mode::back
                      : part == "through" ? write_mode::through
                                          : write_mode::around;
        return;
    }
    const auto [end, status] =
        std::from_chars(part.data(), part.data() + part.size(), policy.width);
    if (status != std::errc() || end != part.data() + part.size() || policy.width == 0 ||
        policy.width > 64 || (policy.width & (policy.width - 1)))
        fail("'{}' in the policy {} is neither a width (1, 2, 4 ... 64 pages) nor back, through or "
             "around",
             part, whole);
}

} // namespace

std::string policy_name::text() const {
    std::string name = base;
    if (width > 1)
        name += fmt::format("/{}", width);
    if (mode != write_mode::back)
        name += mode == write_mode::through ? "/through" : "/around";
    return name;
}

std::vector<std::string> policy_bases() {
    std::vector<std::string> names{std::string(ours), std::string(nothing)};
    for (const reference& r : references())
        names.emplace_back(r.name);
    names.emplace_back(smq);
    names.emplace_back(bound);
    return names;
}

policy_name parse_policy(std::string_view text) {
    const std::size_t slash = std::min(text.find('/'), text.size());
    policy_name policy{std::string(text.substr(0, slash))};
    const std::vector<std::string> bases = policy_bases();
    if (std::find(bases.begin(), bases.end(), policy.base) == bases.end())
        fail("there is no policy '{}'; choose one of {} or all", policy.base, known_names());
    std::string_view rest = text.substr(slash);
    if (!rest.empty() && !find_reference(policy.base))
        fail("the policy {} has no width or way of writing to choose; leave out '{}'", policy.base,
             rest);
    while (!rest.empty()) {
        rest.remove_prefix(1);
        const std::size_t end = std::min(rest.find('/'), rest.size());
        parse_variant(rest.substr(0, end), text, policy);
        rest.remove_prefix(end);
    }
    return policy;
}

bool is_clairvoyant(const policy_name& policy) {
    return policy.base == bound;
}

bool is_by_device(const policy_name& policy) {
    const reference* r = find_reference(policy.base);
    return policy.base == ours || (r && r->by_device);
}

std::unique_ptr<tier> make_tier(const policy_name& policy, std::uint32_t pages,
                                std::span<const device_model> devices) {
    if (policy.base == nothing || pages == 0)
        return std::make_unique<no_tier>(devices);
    if (policy.base == ours)
        return std::make_unique<policy_tier>(pages, devices[0]);
    if (policy.base == smq)
        return std::make_unique<smq_tier>(pages, devices);
    if (is_clairvoyant(policy))
        return std::make_unique<reference_tier>(make_clairvoyant(pages), 1, write_mode::back,
                                                devices);
    const double page_cost_us = devices[0].seek_us + devices[0].transfer_us(page_bytes);
    return std::make_unique<reference_tier>(find_reference(policy.base)->make(pages, page_cost_us),
                                            policy.width, policy.mode, devices);
}

void simulate(request_source& source, std::span<const std::unique_ptr<tier>> tiers,
              std::span<const std::uint64_t> next_uses, std::uint64_t requests,
              const progress_report& report) {
    std::optional<request> before;
    std::uint64_t done = 0, accesses = 0;
    source.rewind();
    for (access a{}; source.next(a.r); before = a.r) {
        if (report && done % report_every == 0)
            report(static_cast<double>(done) /
                   static_cast<double>(std::max<std::uint64_t>(requests, 1)));
        a.continuation = continues(a.r, before);
        if (!next_uses.empty())
            a.next_uses = next_uses.subspan(accesses, a.r.pages());
        for (const std::unique_ptr<tier>& t : tiers)
            t->serve(a);
        accesses += a.r.pages();
        done++;
    }
    for (const std::unique_ptr<tier>& t : tiers)
        t->finish();
}

recorded::recorded(request_source& source) {
    source.rewind();
    for (request r; source.next(r);)
        requests.push_back(r);
}

bool recorded::next(request& r) {
    if (at == requests.size())
        return false;
    r = requests[at++];
    return true;
}

double recorded::progress() const {
    return requests.empty() ? 1.0 : static_cast<double>(at) / static_cast<double>(requests.size());
}

} // namespace tiered::sim
