// SPDX-License-Identifier: GPL-2.0-or-later
// What requests cost: the devices' models and the sums that a simulation ends with.
#pragma once

#include "request.hpp"

#include <array>
#include <optional>
#include <span>
#include <string_view>

namespace tiered::sim {

/// A capacity tier. An operation costs a seek, unless its request continues the one before, and its
/// bytes.
struct device_model {
    std::string_view name;
    double seek_us;
    double bytes_per_us;

    double transfer_us(std::uint64_t bytes) const {
        return static_cast<double>(bytes) / bytes_per_us;
    }
};

inline constexpr std::array<device_model, 3> device_models{{
    {"ssd", 100, 500},
    {"tssd", 500, 200},
    {"hdd", 8000, 150},
}};

std::optional<device_model> find_device(std::string_view name);

/// The fast tier: an access of a request to it, whatever its pages, and its bytes.
inline constexpr double fast_access_us = 2;
inline constexpr double fast_bytes_per_us = 6000;

inline double fast_us(std::uint64_t bytes) {
    return fast_access_us + static_cast<double>(bytes) / fast_bytes_per_us;
}

/// Whether `r` goes on where `before` ended. It is the request that continues, whatever served the
/// other.
inline bool continues(const request& r, const std::optional<request>& before) {
    return before && !r.apart && before->end() == r.offset;
}

double all_slow_us(const device_model& device, const request& r, bool continuation);

/// What happened, in bytes and pages: the same on every device.
struct counters {
    std::uint64_t page_accesses = 0;
    std::uint64_t page_hits = 0;
    std::uint64_t fill_bytes = 0;
    std::uint64_t writeback_bytes = 0;
    std::uint64_t written_bytes = 0;
};

/// And in time: on one device.
struct times {
    double service_us = 0;
    double migration_us = 0;

    double total_us() const { return service_us + migration_us; }
};

} // namespace tiered::sim
