// SPDX-License-Identifier: GPL-2.0-or-later
// Small things about text.
#include "text.hpp"

#include "error.hpp"
#include "format.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <uuid/uuid.h>

namespace tiered {

namespace {

constexpr std::string_view letters_and_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view white_space = " \t\r\n\v\f";

bool may_be_in_name(char c) {
    return letters_and_digits.find(c) != std::string_view::npos || c == '.' || c == '_' ||
           c == '+' || c == '-';
}

} // namespace

uuid_bytes new_uuid() {
    uuid_bytes bytes;
    ::uuid_generate(bytes.data());
    return bytes;
}

std::string uuid_text(std::span<const std::uint8_t, 16> bytes) {
    char text[UUID_STR_LEN];
    ::uuid_unparse_lower(bytes.data(), text);
    return text;
}

void require_volume_name(std::string_view name) {
    if (name.empty() || name.size() >= TIERED_NAME_BYTES)
        fail("a volume name has 1 to {} characters, but '{}' has {}", TIERED_NAME_BYTES - 1, name,
             name.size());
    if (!std::all_of(name.begin(), name.end(), may_be_in_name))
        fail("the volume name '{}' may only have letters, digits and the characters . _ + - in it",
             name);
    if (name[0] == '.' || name[0] == '-')
        fail("the volume name '{}' may not start with '{}'", name, name[0]);
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::array<const char*, 6> units{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024)
        return fmt::format("{} bytes", bytes);
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    for (; value >= 1023.95 && unit + 1 < units.size(); unit++)
        value /= 1024;
    return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string count_text(std::uint64_t count) {
    const std::string digits = std::to_string(count);
    std::string text;
    for (std::size_t i = 0; i < digits.size(); i++) {
        if (i > 0 && (digits.size() - i) % 3 == 0)
            text += ',';
        text += digits[i];
    }
    return text;
}

std::string percent_text(const std::optional<double>& share) {
    return share ? fmt::format("{:.1f} %", *share * 100) : "-";
}

std::string duration_text(std::uint64_t ns) {
    if (!ns)
        return "-";
    if (ns < 1'000'000)
        return fmt::format("{:.1f} us", static_cast<double>(ns) / 1e3);
    return fmt::format("{:.1f} ms", static_cast<double>(ns) / 1e6);
}

std::string padded_text(std::span<const std::uint8_t> field) {
    return std::string(field.begin(), std::find(field.begin(), field.end(), 0));
}

void store_padded(std::span<std::uint8_t> field, std::string_view text) {
    std::fill(field.begin(), field.end(), 0);
    std::copy_n(text.begin(), std::min(text.size(), field.size()), field.begin());
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(white_space);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

std::vector<std::string> split_words(std::string_view text) {
    std::istringstream stream{std::string(text)};
    return {std::istream_iterator<std::string>(stream), {}};
}

std::optional<std::string> read_text_file(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    // An attribute in sysfs may open and then refuse to be read: a disk without a serial number
    // does. Extracting into a stream buffer reports that as a failure of the file, where an
    // iterator would throw.
    if (!(file >> text.rdbuf()) && !file.eof())
        return std::nullopt;
    return std::string(trimmed(text.str()));
}

} // namespace tiered
