// SPDX-License-Identifier: GPL-2.0-or-later
// Device-mapper devices, by libdevmapper.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tiered {

inline constexpr const char* dm_target = "tiered";
inline constexpr const char* dm_uuid_prefix = "TIERED-";

struct dm_device {
    std::string name;
    std::string uuid;
    std::string target; ///< of its first segment; empty when it has no table
    std::string table;
    std::string status;
    std::uint64_t sectors = 0;
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    std::uint32_t open_count = 0;
    bool read_only = false;
    bool suspended = false;

    bool is_volume() const { return target == dm_target; }
};

/// The device called `name`, without waiting for its I/O.
std::optional<dm_device> find_dm_device(const std::string& name);

/// Every device with a `tiered` table.
std::vector<dm_device> open_dm_volumes();

bool dm_target_registered();

/// Creates and resumes a device with one segment; leaves nothing behind when that fails.
void create_dm_device(const std::string& name, const std::string& uuid, std::uint64_t sectors,
                      const std::string& parameters, bool read_only);

/// Gives the device another length (in sectors of 512 bytes) and parameters while it is in use.
/// When they are refused, at once or when they are to take effect, the old ones go on; throws then.
void reload_dm_device(const dm_device& device, std::uint64_t sectors,
                      const std::string& parameters);

/// Holds back the device's I/O once what is under way has ended; until resumed or removed.
void suspend_dm_device(const std::string& name);
void resume_dm_device(const std::string& name);

/// Removes the device; tries again for a few seconds when something holds it open for a moment.
void remove_dm_device(const std::string& name);

/// Sends a message to the device's only segment and returns the reply, empty where there is none.
std::string send_dm_message(const std::string& name, const std::string& message);

} // namespace tiered
