// SPDX-License-Identifier: GPL-2.0-or-later
// What libblkid recognises on a device: file systems, RAID members, partition tables.
#pragma once

#include <optional>
#include <string>

namespace tiered {

struct signature {
    std::string type; ///< as libblkid names it: "ext4", "gpt", ...
    std::string uuid;
    std::string label;
    bool ambiguous = false; ///< more than one signature, none of which can be trusted

    /// "an ext4 file system labelled 'x' (UUID ...)": fits after "holds".
    std::string described() const;
};

std::optional<signature> find_signature(const std::string& path);

/// Removes every signature that libblkid knows, durably.
void wipe_signatures(const std::string& path);

} // namespace tiered
