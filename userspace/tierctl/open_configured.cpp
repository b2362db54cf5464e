// SPDX-License-Identifier: GPL-2.0-or-later
// Opening what /etc/tiered.d says, and closing everything.
#include "open_configured.hpp"

#include "block_events.hpp"
#include "configuration.hpp"
#include "discovery.hpp"
#include "dm.hpp"
#include "error.hpp"
#include "open_close.hpp"
#include "verbs.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>

namespace tierctl {

namespace {

using namespace tiered;
using steady = std::chrono::steady_clock;

/// What cannot be used, of this volume or of others, is no reason to stop waiting: when the time is
/// up, opening says what is wrong.
bool both_tiers_present(const configured_volume& wanted) {
    const std::vector<found_volume> found = scan_fast_tiers().volumes;
    const auto volume = std::ranges::find_if(
        found, [&](const found_volume& one) { return one.sb.name() == wanted.name; });
    if (volume == found.end())
        return false;
    if (!wanted.capacity.empty())
        return std::filesystem::exists(wanted.capacity);
    return capacity_is_present(sought_disk(*volume));
}

/// Returns when both tiers are there or the volume's time is up, whose end opening it explains.
void await_tiers(const configured_volume& wanted, steady::time_point since) {
    block_events events; // before the first look: nothing may appear unheard between the two
    while (!both_tiers_present(wanted))
        if (!events.wait_until(since + wanted.wait))
            return;
}

open_options options_of(const configured_volume& wanted) {
    open_options options;
    options.name = wanted.name;
    options.capacity = wanted.capacity;
    options.read_only = wanted.read_only;
    options.writethrough = wanted.writethrough;
    options.memory_only = wanted.memory_only;
    options.without_fast = wanted.without_fast && !find_volume(wanted.name);
    return options;
}

void open_one(const configured_volume& wanted, steady::time_point since) {
    if (const auto device = find_dm_device(wanted.name); device && device->is_volume())
        return;
    await_tiers(wanted, since);
    open_by_name(options_of(wanted));
}

/// Does it, and says what went wrong; true when all went well.
bool tried(const std::function<void()>& work) {
    try {
        work();
        return true;
    } catch (const std::exception& e) { // whatever it is, the others are to be tried
        fmt::print(stderr, "tierctl: {}\n", e.what());
        return false;
    }
}

} // namespace

int open_as_configured(const std::string& name) {
    require_root("open");
    open_one(require_configured(name), steady::now());
    return 0;
}

int open_all_configured() {
    require_root("open --all");
    const steady::time_point since = steady::now();
    const configuration configured = read_configuration();
    for (const std::string& complaint : configured.complaints)
        fmt::print(stderr, "tierctl: {}\n", complaint);
    bool all_well = configured.complaints.empty();
    for (const configured_volume& wanted : configured.volumes)
        if (wanted.open != open_when::never)
            all_well &= tried([&] { open_one(wanted, since); });
    return all_well ? 0 : 1;
}

int close_all() {
    require_root("close --all");
    bool all_well = true;
    for (const dm_device& device : open_dm_volumes())
        all_well &= tried([&] { close_volume(device.name); });
    return all_well ? 0 : 1;
}

} // namespace tierctl
