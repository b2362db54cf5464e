// SPDX-License-Identifier: GPL-2.0-or-later
// Names of volumes inside names of systemd's units.
#pragma once

#include <fmt/format.h>
#include <string>
#include <string_view>

namespace tiered {

/// What `systemd-escape NAME` prints, for a name that can name a volume.
inline std::string unit_escaped(std::string_view name) {
    std::string escaped;
    for (const char c : name)
        if (c == '-' || c == '+')
            escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        else
            escaped += c;
    return escaped;
}

} // namespace tiered
