// SPDX-License-Identifier: GPL-2.0-or-later
// Small things about text: names of volumes, sizes, UUIDs, one-line files.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tiered {

using uuid_bytes = std::array<std::uint8_t, 16>;

uuid_bytes new_uuid();
std::string uuid_text(std::span<const std::uint8_t, 16> bytes);

/// Throws unless `name` can name a volume: 1 to 63 letters, digits or one of ._+-, the first
/// neither a dot nor a dash.
void require_volume_name(std::string_view name);

/// "4.0 GiB"; exact multiples below 10 show no more digits than others.
std::string size_text(std::uint64_t bytes);
/// "1,234,567"
std::string count_text(std::uint64_t count);

/// "98.1 %" of a share between 0 and 1; "-" where there is none.
std::string percent_text(const std::optional<double>& share);
/// "12.5 us" or "3.0 ms" of nanoseconds; "-" of none.
std::string duration_text(std::uint64_t ns);

/// A zero padded field on media as text.
std::string padded_text(std::span<const std::uint8_t> field);
/// Stores `text` zero padded, cut when it is longer than the field.
void store_padded(std::span<std::uint8_t> field, std::string_view text);

std::string_view trimmed(std::string_view text);
std::vector<std::string> split_words(std::string_view text);

/// The whole text of a file such as those in /sys, without surrounding white space.
std::optional<std::string> read_text_file(const std::string& path);

} // namespace tiered
