// SPDX-License-Identifier: GPL-2.0-or-later
// Open volumes as the verbs show them.
#pragma once

#include "dm.hpp"
#include "status.hpp"

namespace tierctl {

tiered::open_volume describe(const tiered::dm_device& device);

/// The open volume `name`; throws a sentence when it is not open.
tiered::dm_device require_open(const std::string& name);

} // namespace tierctl
