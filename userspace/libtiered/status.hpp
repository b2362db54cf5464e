// SPDX-License-Identifier: GPL-2.0-or-later
// The driver's status line, read and shown.
#pragma once

#include "core/status.h"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace tiered {

struct volume_counters {
#define TIERED_COUNTER(name) std::uint64_t name = 0;
    TIERED_STATUS_FIELDS(TIERED_COUNTER)
#undef TIERED_COUNTER

    /// Pages of which the disk has older contents, or may have: dirty ones, and those that were
    /// lost while they were dirty.
    std::uint64_t pages_not_home() const {
        return frames_dirty + frames_lost;
    }
};

struct volume_status {
    std::string state;
    bool needs_check = false;
    std::optional<volume_counters> counters; ///< absent when the driver says no more than `fail`
};

/// Reads a status line; fields that a newer driver appended are passed over.
volume_status parse_status(std::string_view line);

struct hit_ratios {
    std::optional<double> read; ///< absent: nothing was accessed yet
    std::optional<double> write;
    std::optional<double> all;
};
hit_ratios hit_ratios_of(const volume_counters& counters);

/// A volume that is open.
struct open_volume {
    std::string name;
    std::string uuid;
    std::string fast_path; ///< empty: the disk alone
    std::string capacity_path;
    std::uint64_t size_bytes = 0;
    std::uint32_t open_count = 0;
    bool memory_only = false; ///< its block device serves nobody
    volume_status status;

    bool without_fast() const { return fast_path.empty(); }
};

nlohmann::ordered_json status_json(const open_volume& volume);
std::string status_report(const open_volume& volume);

} // namespace tiered
