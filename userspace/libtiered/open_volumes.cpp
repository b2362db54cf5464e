// SPDX-License-Identifier: GPL-2.0-or-later
// Volumes that are open.
#include "open_volumes.hpp"

#include "../../driver/core/format.h"
#include "block_device.hpp"
#include "error.hpp"
#include "table.hpp"

#include <algorithm>
#include <filesystem>
#include <sys/sysmacros.h>

namespace tiered {

namespace {

/// A device that was made without tierctl may have no UUID of its own; the driver knows the
/// volume's.
std::string volume_uuid(const dm_device& device, const open_volume& volume) {
    const std::string_view prefix = dm_uuid_prefix;
    if (device.uuid.starts_with(prefix))
        return device.uuid.substr(prefix.size());
    if (volume.status.state == TIERED_STATE_FAIL || volume.without_fast())
        return "";
    return send_dm_message(device.name, TIERED_MESSAGE_UUID);
}

/// A fast tier that went and came back is another block device with the same number: one that the
/// volume does not hold.
bool holds_fast_tier(const dm_device& device) {
    const auto fast = find_block_device(parse_table(device.table).fast);
    const auto volume = find_block_device(makedev(device.major, device.minor));
    return fast && volume &&
           std::filesystem::exists(fast->sysfs + "/holders/" + volume->kernel_name);
}

} // namespace

open_volume describe(const dm_device& device) {
    const volume_table table = parse_table(device.table);
    open_volume volume;
    volume.name = device.name;
    if (table.fast != "-")
        volume.fast_path = device_path_of(table.fast);
    volume.capacity_path = device_path_of(table.capacity);
    volume.memory_only = table.has("memory_only");
    volume.size_bytes = device.sectors * TIERED_SECTOR_BYTES;
    volume.open_count = device.open_count;
    volume.status = parse_status(device.status);
    volume.uuid = volume_uuid(device, volume);
    return volume;
}

dm_device require_open(const std::string& name) {
    const auto device = find_dm_device(name);
    if (!device)
        fail("the volume '{}' is not open; open it with: tierctl open {}", name, name);
    if (!device->is_volume())
        fail("/dev/mapper/{} is no volume of dm-tiered", name);
    return *device;
}

bool is_open_volume(const std::string& uuid) {
    return std::ranges::any_of(
        open_dm_volumes(), [&](const dm_device& device) { return describe(device).uuid == uuid; });
}

void require_fast_tier(const dm_device& device) {
    const open_volume volume = describe(device);
    if (volume.without_fast())
        fail(
            "the volume '{}' is open without its fast tier, of which nothing can be told; bring it "
            "back, then close and open the volume",
            device.name);
    if (volume.status.state == TIERED_STATE_FAIL)
        fail("the volume '{0}' has failed; look at dmesg, close it and run tierctl check {0}",
             device.name);
}

void require_reloadable(const dm_device& device) {
    require_fast_tier(device);
    if (!holds_fast_tier(device))
        fail("the fast tier of the volume '{}' is gone, and nothing can be changed without it; "
             "close "
             "the volume, and open it when the fast tier is back",
             device.name);
}

} // namespace tiered
