// SPDX-License-Identifier: GPL-2.0-or-later
// Opening a volume whose fast tier is missing: its disk alone.
#pragma once

#include "discovery.hpp"
#include "record.hpp"

#include <optional>
#include <string>

namespace tierctl {

struct alone_options {
    std::string name;
    bool wanted = false; ///< the user said that the fast tier is to be done without
    bool accept_loss = false;
    bool read_only = false;
};

/// How the disk alone may be opened; throws with what is known, what is not, and the way out, when
/// it may not.
enum class alone_access { writable, read_only };
alone_access require_may_open_alone(const std::optional<tiered::volume_record>& record,
                                    const alone_options& options);

/// Throws when the disk was written without the fast tier that is here (again), or may have been
/// since it was detached from this one or from a later one.
void require_not_written_alone(const tiered::found_volume& volume);

} // namespace tierctl
