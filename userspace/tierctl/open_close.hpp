// SPDX-License-Identifier: GPL-2.0-or-later
// Opening and closing one volume, for the verbs that do it and those that do it for many.
#pragma once

#include "discovery.hpp"
#include "dm.hpp"

#include <string>

namespace tierctl {

struct open_options {
    std::string name;
    std::string capacity; ///< the disk, where the user named it
    bool read_only = false;
    bool writethrough = false;
    bool memory_only = false;
    bool without_fast = false;
    bool accept_loss = false;
};

/// Loads the kernel module where it is not there yet; throws when the target is not offered then.
void load_module();

/// Throws a sentence when the volume cannot be opened.
void open_by_name(const open_options& options);

/// Throws when the volume cannot be opened; nothing is left behind then.
void open_found(const open_options& options, const tiered::found_volume& volume);

/// A volume that writes through: notes that its disk has everything or, where pages are still on
/// their way home or lost, says how many if it is to `tell`. Until then the disk is not whole.
void settle_writethrough(const std::string& name, bool tell);

/// Throws when somebody uses the open volume, and says who where that is known.
void require_unused(const tiered::dm_device& device);

/// Notes what is not at home and removes the device; throws while somebody uses it.
void close_volume(const std::string& name);

} // namespace tierctl
