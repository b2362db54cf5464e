// SPDX-License-Identifier: GPL-2.0-or-later
// Volumes that are open, by what device-mapper and the driver say of them.
#pragma once

#include "dm.hpp"
#include "status.hpp"

namespace tiered {

/// The open volume that `device`, with a `tiered` table, is.
open_volume describe(const dm_device& device);
/// The device of the open volume `name`; throws a sentence when it is not open.
dm_device require_open(const std::string& name);

/// Whether the volume with this UUID is open, whoever opened it and under whatever name.
bool is_open_volume(const std::string& uuid);

/// Throws a sentence when the open volume has no fast tier that could be asked.
void require_fast_tier(const dm_device& device);

/// Throws a sentence when the table of the open volume must not be loaded anew: where its fast tier
/// is gone or missing, the driver would refuse any table, and hold back all I/O for good.
void require_reloadable(const dm_device& device);

} // namespace tiered
