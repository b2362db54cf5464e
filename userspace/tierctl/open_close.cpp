// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl open and close.
#include "block_device.hpp"
#include "discovery.hpp"
#include "dm.hpp"
#include "error.hpp"
#include "kernel_log.hpp"
#include "process.hpp"
#include "verbs.hpp"

#include <filesystem>
#include <memory>
#include <sys/sysmacros.h>

namespace tierctl {

namespace {

using namespace tiered;

struct open_options {
    std::string name;
    std::string capacity;
    bool read_only = false;
};

void load_module() {
    if (!std::filesystem::exists("/sys/module/dm_tiered")) {
        const command_result result = run_command({"modprobe", "dm-tiered"});
        if (result.status)
            fail("the kernel module dm-tiered cannot be loaded ({}); install it for this kernel",
                 trimmed(result.err));
    }
    if (!dm_target_registered())
        fail("the kernel module dm-tiered is loaded, but offers no target; look at dmesg");
}

void require_not_open(const std::string& name) {
    const auto device = find_dm_device(name);
    if (!device)
        return;
    if (device->is_volume())
        fail("the volume '{}' is open already, as /dev/mapper/{}", name, name);
    fail("/dev/mapper/{} exists already and is no volume; remove or rename it first", name);
}

void require_not_open_elsewhere(const std::string& uuid) {
    for (const dm_device& device : open_dm_volumes())
        if (device.uuid == uuid)
            fail("this volume is open already, as /dev/mapper/{}", device.name);
}

/// The driver claims both tiers, and could only say that it cannot have one.
void require_free_tier(const std::string& path) {
    if (const std::string user = user_of(inspect_block_device(path)); !user.empty())
        fail("{} {}; free it first", path, user);
}

std::string capacity_of(const found_volume& volume, const std::string& named_by_user) {
    if (named_by_user.empty())
        return find_capacity(volume);
    require_capacity_path(volume, named_by_user);
    return named_by_user;
}

void create_volume(const found_volume& volume, const std::string& parameters, bool read_only) {
    const std::string name = volume.sb.name();
    kernel_log log;
    try {
        create_dm_device(name, dm_uuid_prefix + volume.sb.uuid(), volume.sb.volume_sectors(),
                         parameters, read_only);
    } catch (const error& e) {
        std::string reason = driver_reason(log.messages());
        if (reason.starts_with(name + ": "))
            reason.erase(0, name.size() + 2);
        fail("the volume '{}' cannot be opened: {}", name, reason.empty() ? e.what() : reason);
    }
}

int open(const open_options& options) {
    require_root("open");
    require_volume_name(options.name);
    load_module();
    require_not_open(options.name);
    const found_volume volume = require_volume(options.name);
    require_not_open_elsewhere(dm_uuid_prefix + volume.sb.uuid());
    const std::string capacity = capacity_of(volume, options.capacity);
    require_free_tier(volume.fast_path);
    require_free_tier(capacity);
    create_volume(volume,
                  fmt::format("{} 1 {}{}", volume.fast_path, capacity,
                              options.read_only ? " 1 read_only" : ""),
                  options.read_only);
    fmt::print("opened /dev/mapper/{}: {} on {} and {}\n", options.name,
               size_text(volume.sb.volume_bytes()), volume.fast_path, capacity);
    return 0;
}

void require_unused(const dm_device& device) {
    if (!device.open_count)
        return;
    const auto block = find_block_device(makedev(device.major, device.minor));
    const std::string user = block ? user_of(*block) : "";
    if (!user.empty())
        fail("the volume '{}' {}; free it first", device.name, user);
    fail("the volume '{}' is held open {} by programs; end them first", device.name,
         device.open_count == 1 ? "once" : fmt::format("{} times", device.open_count));
}

int close(const std::string& name) {
    require_root("close");
    const auto device = find_dm_device(name);
    if (!device)
        fail("the volume '{}' is not open", name);
    if (!device->is_volume())
        fail("/dev/mapper/{} is no volume of dm-tiered; it is left alone", name);
    require_unused(*device);
    remove_dm_device(name);
    fmt::print("closed the volume '{}'\n", name);
    return 0;
}

} // namespace

void add_open(CLI::App& app, action& chosen) {
    auto options = std::make_shared<open_options>();
    CLI::App* verb = app.add_subcommand("open", "Find a volume by its name and make it usable");
    verb->add_option("NAME", options->name, "Name of the volume")->required();
    verb->add_flag("--read-only", options->read_only, "Allow no writes");
    verb->add_option("--capacity", options->capacity,
                     "The volume's disk, where it cannot be found without doubt");
    verb->callback([options, &chosen] { chosen = [options] { return open(*options); }; });
}

void add_close(CLI::App& app, action& chosen) {
    auto name = std::make_shared<std::string>();
    CLI::App* verb = app.add_subcommand("close", "End the use of a volume");
    verb->add_option("NAME", *name, "Name of the volume")->required();
    verb->callback([name, &chosen] { chosen = [name] { return close(*name); }; });
}

} // namespace tierctl
