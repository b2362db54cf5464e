// SPDX-License-Identifier: GPL-2.0-or-later
// The parameters of a `tiered` table line (driver/README.md, "Table line"), read and written.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tiered {

struct table_option {
    std::string name;
    std::string value; ///< empty: the option has none

    bool operator==(const table_option&) const = default;
};

struct volume_table {
    std::string fast;     ///< a path, "major:minor", or "-": the disk alone
    std::string capacity; ///< a path or "major:minor"
    std::vector<table_option> options;

    bool has(std::string_view name) const { return value_of(name).has_value(); }
    /// The option's value (empty where it has none), or nothing when the line does not name it.
    std::optional<std::string> value_of(std::string_view name) const;
    void put(const std::string& name, const std::string& value = {});
    void drop(std::string_view name);

    /// The parameters as device-mapper takes them.
    std::string parameters() const;
};

/// Throws a sentence when `parameters` are not those of a `tiered` target.
volume_table parse_table(const std::string& parameters);

} // namespace tiered
