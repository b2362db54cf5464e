// SPDX-License-Identifier: GPL-2.0-or-later
// Writing every dirty page of an open volume home.
#pragma once

#include <string>

namespace tierctl {

/// Has every page that is dirty now written home and waits for it, with a progress bar on a
/// terminal; 0, or the exit status of a wait that SIGINT ended. Throws when it cannot be done.
int flush_volume(const std::string& name);

} // namespace tierctl
