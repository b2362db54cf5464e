// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl resize: lets an open volume grow into a disk that has grown.
#include "block_device.hpp"
#include "error.hpp"
#include "kernel_log.hpp"
#include "open_volumes.hpp"
#include "records.hpp"
#include "table.hpp"
#include "verbs.hpp"

#include <memory>

namespace tierctl {

namespace {

using namespace tiered;

struct resize_options {
    std::string name;
    std::optional<std::uint64_t> size_bytes;
};

constexpr std::uint64_t sector_bytes = TIERED_SECTOR_BYTES;

std::uint64_t wanted_sectors(const resize_options& options, const open_volume& volume) {
    const block_device disk = inspect_block_device(volume.capacity_path);
    if (!options.size_bytes)
        return disk.size_sectors;
    if (*options.size_bytes % sector_bytes)
        fail("{} bytes are no whole sectors; give a multiple of {}", *options.size_bytes,
             sector_bytes);
    if (*options.size_bytes > disk.size_bytes())
        fail("{} has {}, less than the {} that were asked for; let the disk grow first", disk.path,
             size_text(disk.size_bytes()), size_text(*options.size_bytes));
    return *options.size_bytes / sector_bytes;
}

void require_growth(const open_volume& volume, std::uint64_t sectors) {
    if (sectors * sector_bytes < volume.size_bytes)
        fail(
            "the volume '{}' has {} and cannot shrink to {}: pages beyond the new end may be only "
            "in "
            "its fast tier; shrink what is on it, tierctl detach it, shrink the disk and attach it "
            "again",
            volume.name, size_text(volume.size_bytes), size_text(sectors * sector_bytes));
    if (volume.status.state == TIERED_STATE_RO)
        fail(
            "the volume '{}' is open read-only, and growing has to be noted in its fast tier; open "
            "it for writing",
            volume.name);
}

void grow(const dm_device& device, std::uint64_t sectors) {
    kernel_log log;
    try {
        reload_dm_device(device, sectors, device.table);
    } catch (const error& e) {
        fail("the volume '{}' stays as large as it is: {}", device.name,
             log.refusal(device.name, e.what()));
    }
}

int resize(const resize_options& options) {
    require_root("resize");
    const locked_volume locked = lock_open_volume(options.name);
    const dm_device& device = locked.device;
    const open_volume volume = describe(device);
    const std::uint64_t sectors = wanted_sectors(options, volume);
    if (sectors == device.sectors) {
        fmt::print("the volume '{}' has {} already, as much as was asked for\n", options.name,
                   size_text(volume.size_bytes));
        return 0;
    }
    require_growth(volume, sectors);
    require_reloadable(device);
    grow(device, sectors);
    note_size(volume.uuid, sectors);
    fmt::print("the volume '{}' has {} now, before {}; let what is on it grow too (xfs_growfs, "
               "resize2fs)\n",
               options.name, size_text(sectors * sector_bytes), size_text(volume.size_bytes));
    return 0;
}

} // namespace

void add_resize(CLI::App& app, action& chosen) {
    auto options = std::make_shared<resize_options>();
    CLI::App* verb =
        app.add_subcommand("resize", "Let an open volume grow into its disk, which has grown");
    verb->footer("It is done while the volume is in use. Example:\n"
                 "  lvextend -L +10G vg/srv && tierctl resize srv && xfs_growfs /srv");
    verb->add_option("NAME", options->name, "Name of an open volume")->required();
    verb->add_option("--size", options->size_bytes,
                     "The new size, in bytes or with K, M, G, T; the whole disk where not given")
        ->transform(CLI::AsSizeValue(false));
    verb->callback([options, &chosen] { chosen = [options] { return resize(*options); }; });
}

} // namespace tierctl
