// SPDX-License-Identifier: GPL-2.0-or-later
// What the verbs share that work on metadata offline.
#include "offline.hpp"

#include "block_device.hpp"
#include "discovery.hpp"
#include "error.hpp"
#include "open_volumes.hpp"
#include "verbs.hpp"

#include <sys/stat.h>

namespace tierctl {

using namespace tiered;

namespace {

bool is_device(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode);
}

const std::string& only_capacity(const std::vector<std::string>& capacity) {
    if (capacity.size() != 1)
        fail("{} capacity tiers were named, but this version serves one; name one",
             capacity.size());
    return capacity[0];
}

} // namespace

tier_arguments::tier_arguments(CLI::App& verb, tier_options& options, bool with_capacity)
    : with_capacity_(with_capacity),
      name_(verb.add_option("NAME", options.name, "Name of the volume")),
      fast_(verb.add_option("--fast", options.fast, "Its fast tier: device or image")) {
    fast_->excludes(name_);
    if (!with_capacity)
        return;
    CLI::Option* capacity =
        verb.add_option("--capacity", options.capacity, "Its capacity tier: device or image");
    fast_->needs(capacity);
    capacity->needs(fast_);
}

void tier_arguments::require_named() const {
    if (name_->empty() && fast_->empty())
        throw CLI::RequiredError(with_capacity_ ? "NAME, or --fast and --capacity,"
                                                : "NAME, or --fast,");
}

tier_paths paths_of(const tier_options& options, const char* verb, bool with_capacity) {
    if (!options.fast.empty())
        return {options.fast, with_capacity ? only_capacity(options.capacity) : ""};
    require_root(fmt::format("{} NAME", verb).c_str());
    if (const auto device = find_dm_device(options.name); device && device->is_volume())
        fail("the volume '{}' is open, and {} needs it closed: tierctl close {}", options.name,
             verb, options.name);
    const found_volume volume = require_volume(options.name);
    return {volume.fast_path, with_capacity ? find_capacity(sought_disk(volume)) : ""};
}

void require_closed(const std::string& path, const char* verb) {
    if (!is_device(path))
        return;
    const std::string user = user_of(inspect_block_device(path));
    if (!user.empty())
        fail("{} {}, and {} needs it closed; free it first", path, user, verb);
}

std::optional<dm_device> open_volume_on(const std::string& path) {
    if (!is_device(path))
        return std::nullopt;
    const std::string wanted = inspect_block_device(path).dev_path();
    for (dm_device& device : open_dm_volumes())
        if (describe(device).fast_path == wanted)
            return std::move(device);
    return std::nullopt;
}

std::string pages_text(const lost_pages& pages) {
    const std::uint64_t first = pages.first * TIERED_FRAME_BYTES;
    const std::uint64_t last = first + pages.count * TIERED_FRAME_BYTES - 1;
    if (pages.count == 1)
        return fmt::format("page {} (bytes {} to {})", pages.first, first, last);
    return fmt::format("pages {} to {} (bytes {} to {})", pages.first,
                       pages.first + pages.count - 1, first, last);
}

} // namespace tierctl
