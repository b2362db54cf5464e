// SPDX-License-Identifier: GPL-2.0-or-later
// Options of an open volume. The driver judges them again (driver/target.c); here they are judged
// for a sentence that says what would be right.
#include "volume_options.hpp"

#include "error.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace tiered {

namespace {

constexpr std::array<std::string_view, 4> admissions{"small", "all", "none", "thrifty"};

constexpr std::array options{
    volume_option{
        "admission", volume_option::kind::word,
        "what becomes resident: small requests outside streams, all, none, or what pays by "
        "forecast",
        "small, all, none or thrifty", "small"},
    volume_option{"dirty_high", volume_option::kind::number,
                  "write-back begins when more of the frames are dirty", "1 to 95 percent", "60", 1,
                  95},
    volume_option{"dirty_low", volume_option::kind::number, "and ends here",
                  "1 to 95 percent, below dirty_high", "40", 1, 95},
    volume_option{"latency_target_us", volume_option::kind::number,
                  "write-back pauses while requests that the disk serves for others take longer",
                  "0 to 10000000 microseconds; 0: never pauses", "10000", 0, 10'000'000},
    volume_option{"writethrough", volume_option::kind::flag,
                  "a write ends when its home has it: the fast tier may be lost at any moment",
                  "yes or no", "no"},
};

std::optional<std::uint64_t> number_of(const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

bool fits(const volume_option& option, const std::string& value) {
    switch (option.type) {
    case volume_option::kind::number: {
        const auto number = number_of(value);
        return number && *number >= option.least && *number <= option.most;
    }
    case volume_option::kind::word:
        return std::ranges::find(admissions, value) != admissions.end();
    case volume_option::kind::flag:
        break;
    }
    return value == "yes" || value == "no";
}

} // namespace

std::span<const volume_option> volume_options() {
    return options;
}

const volume_option& require_volume_option(std::string_view name) {
    const auto found = std::ranges::find(options, name, &volume_option::name);
    if (found != options.end())
        return *found;
    std::string names;
    for (const volume_option& option : options)
        names += fmt::format("{}{}", names.empty() ? "" : ", ", option.name);
    fail("there is no option '{}' that an open volume could change; there are {}", name, names);
}

std::string option_value(const volume_table& table, const volume_option& option) {
    if (option.type == volume_option::kind::flag)
        return table.has(option.name) ? "yes" : "no";
    return table.value_of(option.name).value_or(std::string(option.default_value));
}

void set_option(volume_table& table, const volume_option& option, const std::string& value) {
    if (value != "default" && !fits(option, value))
        fail("{} cannot be '{}'; give {} (or default)", option.name, value, option.range);
    const bool is_flag = option.type == volume_option::kind::flag;
    if (value == "default" || (is_flag && value == "no"))
        table.drop(option.name);
    else
        table.put(std::string(option.name), is_flag ? "" : value);
}

void require_consistent_options(const volume_table& table) {
    const auto low = number_of(option_value(table, require_volume_option("dirty_low")));
    const auto high = number_of(option_value(table, require_volume_option("dirty_high")));
    if (low >= high)
        fail("dirty_low would be {} and dirty_high {}, but it must be below; change both at once",
             low.value_or(0), high.value_or(0));
}

} // namespace tiered
