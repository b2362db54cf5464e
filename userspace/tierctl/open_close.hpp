// SPDX-License-Identifier: GPL-2.0-or-later
// Opening and closing one volume, for the verbs that do it and those that do it for many.
#pragma once

#include <string>

namespace tierctl {

struct open_options {
    std::string name;
    std::string capacity;
    bool read_only = false;
    bool writethrough = false;
    bool without_fast = false;
    bool accept_loss = false;
};

/// Throws a sentence when the volume cannot be opened.
void open_by_name(const open_options& options);

/// Throws a sentence when the volume cannot be closed.
void close_volume(const std::string& name);

} // namespace tierctl
