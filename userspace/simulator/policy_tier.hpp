// SPDX-License-Identifier: GPL-2.0-or-later
// The project's own policy in simulation: driver/core/policy.c decides, this does what the driver
// does about it.
#pragma once

#include "policy.h"
#include "tier.hpp"

namespace tiered::sim {

class policy_tier : public tier {
public:
    policy_tier(std::uint32_t pages, const device_model& device);

    void serve(const access& a) override;
    void finish() override;

    /// What the policy promises never to be negative; see driver/core/policy.h.
    std::int64_t balance_ns() const { return tiered_policy_balance(&policy); }

private:
    static constexpr std::uint32_t none = page_map::none;
    static_assert(none == TIERED_POLICY_NEW);

    void describe(const access& a);
    void look_up(const access& a);
    void note_hits();
    void read(const access& a);
    double read_us(const access& a) const;
    void write(const access& a);
    bool absorb(const access& a);
    bool find_frames();
    void write_home(const access& a);
    void miss(const access& a);
    void fill(const access& a);
    void widen(const access& a, std::uint32_t i);
    bool bring_along(std::uint64_t base, std::uint64_t page);
    std::uint64_t resident_or_asked(const request& r, std::uint64_t base,
                                    std::uint32_t width) const;

    std::uint32_t take_frame();
    std::uint32_t next_by_hand();
    void place(std::uint32_t frame, const tiered_policy_offer& offer);
    void evict(std::uint32_t frame);
    void make_dirty(std::uint64_t page);
    void overwrite_home(std::uint64_t page);
    void write_back(std::uint64_t page);
    void clean_request(const request& r);

    const device_model device;
    std::vector<std::uint64_t> memory;
    tiered_policy policy;
    tiered_policy_cpu cpu{};
    page_map index;
    std::vector<std::uint64_t> page_of;
    std::vector<std::uint32_t> free_frames;
    std::uint32_t hand = 0; ///< the frame to empty where the policy names none
    dirty_pages dirty;

    // Of the request that is served.
    tiered_policy_io io{};
    double home_us = 0;
    std::vector<std::uint32_t> frames;
    std::uint64_t hit_bytes = 0;
    std::uint32_t hits = 0;
};

} // namespace tiered::sim
