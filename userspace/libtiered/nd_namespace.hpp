// SPDX-License-Identifier: GPL-2.0-or-later
// Namespaces of NVDIMMs: which one is behind a device, in which mode, and turning it into fsdax.
#pragma once

#include <optional>
#include <string>

namespace tiered {

enum class nd_mode { fsdax, sector, raw, devdax, unknown };

struct nd_namespace {
    std::string name; ///< "namespace0.0"
    nd_mode mode = nd_mode::unknown;

    const char* mode_text() const;
    /// The command that turns the namespace into one that a volume can use.
    std::string convert_command() const;
};

/// The namespace that gives the block device or the devdax character device called
/// `kernel_name` ("pmem0", "pmem0s", "dax0.0"); nothing when no namespace does.
std::optional<nd_namespace> find_namespace(const std::string& kernel_name);

/// Turns the namespace into fsdax, whatever was on it, and returns the path of its block device.
std::string convert_to_fsdax(const nd_namespace& ns);

} // namespace tiered
