// SPDX-License-Identifier: GPL-2.0-or-later
// What the verbs share that work on the metadata of a volume which is not open: its name or its
// tiers, on devices or image files.
#pragma once

#include "dm.hpp"
#include "repair.hpp"

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace tierctl {

struct tier_options {
    std::string name;
    std::string fast;
    std::vector<std::string> capacity;
};

struct tier_paths {
    std::string fast;
    std::string capacity; ///< empty: not asked for
};

/// Adds NAME, --fast and, where `with_capacity`, --capacity; requires that the volume is named in
/// one of the two ways. To be called in the verb's callback: require_named().
struct tier_arguments {
    tier_arguments(CLI::App& verb, tier_options& options, bool with_capacity);
    void require_named() const;

private:
    bool with_capacity_;
    CLI::Option* name_;
    CLI::Option* fast_;
};

/// Where the tiers are that the user named; a NAME needs root, and a volume that is not open.
/// `verb` as it stands in sentences: "repair".
tier_paths paths_of(const tier_options& options, const char* verb, bool with_capacity);

/// Throws when the device is in use; an image file never is, as far as anybody knows.
void require_closed(const std::string& path, const char* verb);

/// The open volume that has `path` as its fast tier.
std::optional<tiered::dm_device> open_volume_on(const std::string& path);

/// "pages 5 to 8 (bytes 20480 to 36863)"
std::string pages_text(const tiered::lost_pages& pages);

} // namespace tierctl
