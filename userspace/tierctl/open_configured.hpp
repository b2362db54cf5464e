// SPDX-License-Identifier: GPL-2.0-or-later
// Opening what /etc/tiered.d says, and closing everything: what a machine does when it boots and
// when it goes down.
#pragma once

#include <string>

namespace tierctl {

/// Opens `name` as it is configured, waiting for devices that are missing as long as that says.
int open_as_configured(const std::string& name);

/// Opens every volume whose file does not say `open = no`; what goes wrong with one does not keep
/// the others closed. 1 when anything went wrong.
int open_all_configured();

/// Closes every open volume that nobody uses. 1 when one stays open.
int close_all();

} // namespace tierctl
