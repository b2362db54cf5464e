// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl attach: gives a disk that has data a fast tier, without copying, and opens the volume.
// Formatting leaves no volume or a whole one, so whatever interrupts it, attach can be run again.
#include "block_device.hpp"
#include "check.hpp"
#include "error.hpp"
#include "format.hpp"
#include "open_close.hpp"
#include "open_volumes.hpp"
#include "signature.hpp"
#include "verbs.hpp"

#include <filesystem>
#include <memory>

namespace tierctl {

namespace {

using namespace tiered;

struct attach_options {
    std::string name;
    std::string fast;
    std::string device;
    bool writethrough = false;
    bool force = false;
    bool convert_namespace = false;
};

void require_idle(const block_device& device) {
    std::string user = user_of(device);
    if (const std::string program = user.empty() ? opener_of(device) : ""; !program.empty())
        user = "is held open by " + program;
    if (!user.empty())
        fail("{} {}; a fast tier is attached to a disk that nobody uses: unmount or close it first",
             device.path, user);
}

/// What follows from what was found, where that is more than mounting the volume in place of the
/// disk.
std::string consequence(const signature& found, const attach_options& options) {
    if (found.type == "LVM2_member")
        return fmt::format("LVM would find this physical volume twice: have it ignore {} and use "
                           "/dev/mapper/{} (lvmdevices, or a filter in lvm.conf)",
                           options.device, options.name);
    if (found.type.ends_with("partition table"))
        return fmt::format("its partitions become visible with: kpartx -a /dev/mapper/{}",
                           options.name);
    return {};
}

void tell_what_is_there(const block_device& disk, const attach_options& options) {
    const auto found = find_signature(disk.path);
    fmt::print("{} has {} in sectors of {} bytes and holds {}\n", disk.path,
               size_text(disk.size_bytes()), disk.logical_block_bytes,
               found ? found->described()
                     : "nothing that is recognised; what it has is kept all the same");
    if (const std::string text = found ? consequence(*found, options) : ""; !text.empty())
        fmt::print("{}\n", text);
}

std::string kernel_path(const std::string& path) {
    std::error_code ec;
    return std::filesystem::canonical(path, ec);
}

bool is_attached(const attach_options& options, const block_device& disk) {
    const auto device = find_dm_device(options.name);
    if (!device || !device->is_volume())
        return false;
    const open_volume volume = describe(*device);
    return volume.capacity_path == disk.dev_path() && volume.fast_path == kernel_path(options.fast);
}

/// What a frame holds may be older than what the disk has by now.
void require_empty(const found_volume& volume) {
    file_storage fast(volume.fast_path, file_storage::access::read_only);
    if (holds_pages(fast, volume.sb))
        fail("the volume '{0}' is there, closed: tierctl open {0}, or give --force to make it anew "
             "over what the disk has now",
             volume.sb.name());
}

/// The volume, where an earlier attach made it and was interrupted before it was open.
std::optional<found_volume> made_before(const attach_options& options, const block_device& disk) {
    auto volume = find_volume(options.name);
    if (!volume || volume->fast_path != kernel_path(options.fast))
        return std::nullopt;
    const auto signature = find_signature(disk.path);
    const capacity_candidate candidate{disk.path, disk.size_sectors, disk.serial,
                                       signature ? signature->uuid : ""};
    if (!volume->sb.tier().adopted || !is_capacity_tier(volume->sb.tier(), candidate))
        return std::nullopt;
    require_empty(*volume);
    fmt::print("the volume '{}' of {} and {} was made before; it is opened now\n", options.name,
               options.fast, disk.path);
    return volume;
}

/// Says so now when the disk, by what is recorded of it, will not be found later.
void warn_if_hard_to_find(const found_volume& volume, const std::string& disk) {
    try {
        find_capacity(sought_disk(volume));
    } catch (const error&) {
        fmt::print(stderr,
                   "tierctl: warning: {} has no serial number of its own; open the volume with: "
                   "tierctl open {} --capacity {}\n",
                   disk, volume.sb.name(), disk);
    }
}

int attach(const attach_options& options) {
    require_root("attach");
    require_volume_name(options.name);
    load_module();
    const block_device disk = inspect_block_device(options.device);
    if (is_attached(options, disk)) {
        fmt::print("{} is attached to {} already, as /dev/mapper/{}\n", options.fast, disk.path,
                   options.name);
        return 0;
    }
    require_idle(disk);
    tell_what_is_there(disk, options);
    auto volume = options.force ? std::nullopt : made_before(options, disk);
    if (!volume)
        volume = make_volume({.name = options.name,
                              .fast = options.fast,
                              .capacity = {options.device},
                              .adopt = true,
                              .force = options.force,
                              .convert_namespace = options.convert_namespace});
    open_found(
        {.name = options.name, .capacity = options.device, .writethrough = options.writethrough},
        *volume);
    warn_if_hard_to_find(*volume, options.device);
    fmt::print(
        "use /dev/mapper/{} in place of {} from now on, also in /etc/fstab; tierctl detach {} "
        "ends that\n",
        options.name, options.device, options.name);
    return 0;
}

} // namespace

void add_attach(CLI::App& app, action& chosen) {
    auto options = std::make_shared<attach_options>();
    CLI::App* verb =
        app.add_subcommand("attach", "Give a disk that has data a fast tier, without copying");
    verb->footer("The arguments stand in the order of format. Example:\n"
                 "  umount /srv\n"
                 "  tierctl attach srv --fast /dev/pmem0 /dev/vg/srv\n"
                 "  mount /dev/mapper/srv /srv");
    verb->add_option("NAME", options->name, "Name of the volume")->required();
    verb->add_option("--fast", options->fast, "Persistent memory in fsdax mode, such as /dev/pmem0")
        ->required();
    verb->add_option("DEVICE", options->device, "The disk, partition, LVM or other dm volume")
        ->required();
    verb->add_flag("--writethrough", options->writethrough,
                   "A write ends when its home has it: the fast tier may be lost at any moment");
    verb->add_flag("--force", options->force, "Destroy what is on the fast tier");
    verb->add_flag("--namespace", options->convert_namespace,
                   "Turn the fast tier's namespace into fsdax mode first");
    verb->callback([options, &chosen] { chosen = [options] { return attach(*options); }; });
}

} // namespace tierctl
