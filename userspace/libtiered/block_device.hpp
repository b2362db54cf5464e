// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel says of a block device, and who uses it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tiered {

struct block_device {
    std::string path;        ///< as it was named
    std::string kernel_name; ///< "vda", "pmem0"
    std::string sysfs;       ///< its folder below /sys
    dev_t number = 0;
    std::uint64_t size_sectors = 0;
    std::uint32_t logical_block_bytes =
        512; ///< the smallest request, which file systems call sector
    bool partition = false;
    bool dax = false;
    bool zoned = false;
    bool integrity = false; ///< formatted with protection information (T10 PI or alike)
    bool read_only = false;
    std::string serial;  ///< what identifies the hardware, or empty
    std::string dm_uuid; ///< of a device-mapper device, or empty

    std::uint64_t size_bytes() const { return size_sectors * 512; }
    /// The path that the kernel gives the device.
    std::string dev_path() const { return "/dev/" + kernel_name; }
};

/// Throws when `path` is missing or no block device.
block_device inspect_block_device(const std::string& path);

/// The device with this number, or nothing when it is gone.
std::optional<block_device> find_block_device(dev_t number);
/// The same of the device that "major:minor" names.
std::optional<block_device> find_block_device(const std::string& number_text);
/// The device that "major:minor" names, as its path; the text itself when there is none.
std::string device_path_of(const std::string& number_text);

std::vector<block_device> all_block_devices();

/// Who uses the device, as the predicate of a sentence ("is mounted on /mnt"); empty when nobody is
/// known to.
std::string user_of(const block_device& device);

/// A program that has the device open, "dd (process 123)"; empty when there is none. This process
/// does not count; root sees all others.
std::string opener_of(const block_device& device);

/// Where the device `number` is mounted according to a mountinfo file's text.
std::optional<std::string> mount_point_in(const std::string& mountinfo, dev_t number);

} // namespace tiered
