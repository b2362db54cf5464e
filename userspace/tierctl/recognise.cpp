// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl recognise: which volume a device belongs to; and note-open, by which udev keeps the
// records true.
#include "block_device.hpp"
#include "dm.hpp"
#include "error.hpp"
#include "json_text.hpp"
#include "member.hpp"
#include "open_volumes.hpp"
#include "pins.hpp"
#include "records.hpp"
#include "verbs.hpp"

#include <memory>

namespace tierctl {

namespace {

using namespace tiered;

struct recognise_options {
    std::string device;
    bool udev = false;
    bool json = false;
};

const char* role_text(const member& found) {
    return found.as == member::role::fast ? "fast" : "capacity";
}

/// Somebody uses the device by itself, and must not lose it because we say that it is not ready.
bool is_mounted(const block_device& device) {
    const auto mountinfo = read_text_file("/proc/self/mountinfo");
    return mountinfo && mount_point_in(*mountinfo, device.number);
}

void print_for_udev(const member& found) {
    fmt::print("TIERED_MEMBER={}\nTIERED_VOLUME={}\nTIERED_UUID={}\n", role_text(found),
               found.volume, found.uuid);
}

void print_json(const member& found) {
    const nlohmann::ordered_json out = {{"role", role_text(found)},
                                        {"volume", found.volume},
                                        {"uuid", found.uuid},
                                        {"open", found.open}};
    fmt::print("{}\n", json_text(out));
}

void print_text(const std::string& device, const member& found) {
    const char* part = found.as == member::role::fast ? "the fast tier" : "the disk";
    if (found.volume.empty())
        fmt::print("{} is {} of a volume whose superblocks cannot be used; more from tierctl check "
                   "--fast {} --capacity DISK\n",
                   device, part, device);
    else
        fmt::print("{} is {} of the volume '{}', which is {}\n", device, part, found.volume,
                   found.open ? "open" : "closed");
}

int recognise(const recognise_options& options) {
    require_root("recognise");
    const block_device device = inspect_block_device(options.device);
    const auto found = member_of(device);
    if (options.udev) {
        if (found && !is_mounted(device))
            print_for_udev(*found);
        return 0;
    }
    if (!found)
        fail("{} belongs to no volume that this machine knows; tierctl list shows those that it "
             "knows",
             options.device);
    if (options.json)
        print_json(*found);
    else
        print_text(options.device, *found);
    return 0;
}

/// Who opened it, by dmsetup or in the initramfs, may not have known what is pinned.
void found_open(const dm_device& device) {
    note_found_open(device);
    const open_volume volume = describe(device);
    if (!volume.without_fast() && volume.status.state == TIERED_STATE_RW &&
        ask_pins(device.name).empty())
        give_pins(device.name, volume.uuid);
}

int note_open(const std::string& name) {
    require_root("note-open");
    if (name.empty()) {
        for (const dm_device& device : open_dm_volumes())
            found_open(device);
        return 0;
    }
    const auto device = find_dm_device(name);
    if (device && device->is_volume() && !device->suspended)
        found_open(*device);
    return 0;
}

} // namespace

void add_recognise(CLI::App& app, action& chosen) {
    auto options = std::make_shared<recognise_options>();
    CLI::App* verb = app.add_subcommand("recognise", "Say which volume a device belongs to");
    verb->add_option("DEVICE", options->device, "The device, such as /dev/vda")->required();
    CLI::Option* json = verb->add_flag("--json", options->json, "For programs");
    verb->add_flag("--udev", options->udev, "For udev's rules: nothing about a device in use")
        ->excludes(json);
    verb->callback([options, &chosen] { chosen = [options] { return recognise(*options); }; });
}

void add_note_open(CLI::App& app, action& chosen) {
    auto name = std::make_shared<std::string>();
    CLI::App* verb = app.add_subcommand("note-open", "Record that volumes were found open");
    verb->group("");
    verb->add_option("NAME", *name, "Name of a dm device; every volume when it is left out");
    verb->callback([name, &chosen] { chosen = [name] { return note_open(*name); }; });
}

} // namespace tierctl
