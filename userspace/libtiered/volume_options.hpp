// SPDX-License-Identifier: GPL-2.0-or-later
// The options of a table line that can be changed while a volume is open: meaning, range, default.
#pragma once

#include "table.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tiered {

struct volume_option {
    enum class kind { number, word, flag };

    std::string_view name;
    kind type;
    std::string_view meaning;
    std::string_view range;         ///< for people, with the unit
    std::string_view default_value; ///< the driver's, where the table line says nothing
    std::uint64_t least = 0;        ///< of a number
    std::uint64_t most = 0;
};

/// Every one of them, in the order in which they are shown.
std::span<const volume_option> volume_options();

/// Throws a sentence with all names when there is none of that name.
const volume_option& require_volume_option(std::string_view name);

/// What `table` makes of the option: its value or its default; a flag is "yes" or "no".
std::string option_value(const volume_table& table, const volume_option& option);

/// Has `table` say `value`, or nothing when `value` is "default". Throws a sentence with the range
/// when it is outside of it.
void set_option(volume_table& table, const volume_option& option, const std::string& value);

/// Throws when the options contradict each other.
void require_consistent_options(const volume_table& table);

} // namespace tiered
