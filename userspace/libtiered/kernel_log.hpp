// SPDX-License-Identifier: GPL-2.0-or-later
// The sentence with which the driver refused: the device mapper returns no more than an errno, the
// reason goes to the kernel log.
#pragma once

#include "unique_fd.hpp"

#include <string>
#include <vector>

namespace tiered {

/// Reads what the kernel logs from its construction on.
class kernel_log {
public:
    kernel_log();
    /// The messages logged since then; none when the log may not be read.
    std::vector<std::string> messages();
    /// Why the driver refused something about `volume`, as it goes on after a colon; `otherwise`
    /// where the log does not tell.
    std::string refusal(const std::string& volume, const std::string& otherwise);

private:
    unique_fd fd_;
};

/// The driver's last sentence among `messages`, without prefix and errno; empty when there is none.
std::string driver_reason(const std::vector<std::string>& messages);

} // namespace tiered
