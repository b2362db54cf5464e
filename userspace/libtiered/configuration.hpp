// SPDX-License-Identifier: GPL-2.0-or-later
// /etc/tiered.d: which volumes this machine opens by itself, and how; tiered.d(5) is its
// description.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tiered {

inline constexpr const char* configuration_folder = "/etc/tiered.d";

/// When a volume is opened without anybody asking.
enum class open_when {
    never,
    boot,      ///< by its unit, once its devices are there
    initramfs, ///< before the root file system is mounted, which is on it
};

/// One file.
struct configured_volume {
    std::string path; ///< of the file
    std::string name;
    open_when open = open_when::boot;
    bool read_only = false;
    bool writethrough = false;
    bool memory_only = false;
    bool without_fast = false; ///< open the disk alone when the fast tier is missing and not needed
    std::string capacity;      ///< empty: found by its identity
    std::chrono::seconds wait{30}; ///< for devices that are missing
};

/// Reads the text of the file `path`; throws a sentence with the number of the line that is wrong.
configured_volume configuration_from_text(std::string_view text, const std::string& path);

struct configuration {
    std::vector<configured_volume> volumes; ///< by the names of their files
    std::vector<std::string> complaints;    ///< sentences about files that cannot be used
};

/// Reads every *.conf of a folder, which need not exist. A file that is wrong does not keep the
/// others from being read; of two for one volume the second is a complaint.
configuration read_configuration(const std::string& folder = configuration_folder);

/// What is configured for `name`; throws a sentence when nothing is, or its file is wrong.
configured_volume require_configured(const std::string& name,
                                     const std::string& folder = configuration_folder);

} // namespace tiered
