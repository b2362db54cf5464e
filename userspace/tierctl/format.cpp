// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl format: everything that must be true before a device is overwritten, then the format.
#include "format.hpp"

#include "block_device.hpp"
#include "block_events.hpp"
#include "check.hpp"
#include "discovery.hpp"
#include "dm.hpp"
#include "error.hpp"
#include "nd_namespace.hpp"
#include "records.hpp"
#include "signature.hpp"
#include "verbs.hpp"
#include "volume_format.hpp"

#include <filesystem>
#include <memory>

namespace tierctl {

namespace {

using namespace tiered;

void warn(const std::string& sentence) {
    fmt::print(stderr, "tierctl: warning: {}\n", sentence);
}

void require_unused(const block_device& device) {
    if (const std::string user = user_of(device); !user.empty())
        fail("{} {}; free it first", device.path, user);
}

void require_no_data(const std::string& path, const char* remedy) {
    if (const auto found = find_signature(path))
        fail("{} holds {}; {}", path, found->described(), remedy);
}

std::string convert_namespace(const nd_namespace& ns, const std::string& path, bool force) {
    if (ns.mode == nd_mode::devdax && !force)
        fail("{} is a namespace in devdax mode, whose contents cannot be judged; give --force to "
             "destroy them",
             path);
    if (ns.mode != nd_mode::devdax) {
        require_unused(inspect_block_device(path));
        if (!force)
            require_no_data(path, "give --force to destroy it");
    }
    const std::string made = convert_to_fsdax(ns);
    fmt::print("turned {} into fsdax mode: {}\n", ns.name, made);
    return made;
}

std::filesystem::path real_path_of(const std::string& device) {
    std::error_code ec;
    const auto real = std::filesystem::canonical(device, ec);
    if (ec)
        fail("there is no device {}: {}", device, errno_text(ec.value()));
    return real;
}

/// The path of the fsdax device to use for what the user named.
std::string resolve_namespace(const format_options& options) {
    const auto ns = find_namespace(real_path_of(options.fast).filename().string());
    if (!ns || ns->mode == nd_mode::fsdax)
        return options.fast;
    if (options.convert_namespace)
        return convert_namespace(*ns, options.fast, options.force);
    fail("{} is a namespace in {} mode, but a volume needs fsdax mode; turn it into one, which "
         "destroys its contents, with: {} (or give --namespace)",
         options.fast, ns->mode_text(), ns->convert_command());
}

block_device inspect_fast(const std::string& path) {
    block_device device = inspect_block_device(path);
    if (device.partition)
        fail("{} is a partition; a fast tier is a whole namespace such as /dev/pmem0", path);
    if (!device.dax)
        fail("{} is no persistent memory with DAX; name a namespace in fsdax mode (ndctl list -N "
             "shows "
             "them)",
             path);
    if (device.read_only)
        fail("{} is read-only; a fast tier must be writable", path);
    require_unused(device);
    return device;
}

block_device inspect_capacity(const std::string& path) {
    block_device device = inspect_block_device(path);
    if (device.zoned)
        fail("{} is a zoned disk, which cannot be a capacity tier; name an ordinary one", path);
    if (device.integrity)
        fail("{} is formatted with protection information, which a volume would not keep end to "
             "end; "
             "format the disk without it (sg_format --fmtpinfo=0, nvme format --pi=0) or name "
             "another",
             path);
    if (device.read_only)
        fail("{} is read-only; a capacity tier must be writable", path);
    require_unused(device);
    return device;
}

void require_free_name(const format_options& options) {
    const std::string fast = real_path_of(options.fast);
    for (const found_volume& other : scan_fast_tiers().volumes)
        if (other.sb.name() == options.name && other.fast_path != fast)
            fail("a volume called '{}' is on {} already; choose another name", options.name,
                 other.fast_path);
    if (find_dm_device(options.name))
        fail("a device called /dev/mapper/{} exists already; choose another name", options.name);
}

/// A disk is known to belong to another volume only by its serial number: sizes repeat.
void require_unclaimed(const format_options& options, const block_device& fast,
                       const block_device& capacity) {
    if (options.force)
        return;
    for (const found_volume& other : scan_fast_tiers().volumes)
        if (other.fast_path != fast.dev_path() && !other.sb.tier().serial.empty() &&
            is_capacity_tier(other.sb.tier(), {"", capacity.size_sectors, capacity.serial, ""}))
            fail("{} is the capacity disk of the volume '{}' on {}; give --force to take it away "
                 "from "
                 "that volume",
                 capacity.path, other.sb.name(), other.fast_path);
}

std::string loss_text(storage& fast, const superblock& sb) {
    const std::uint64_t dirty = count_dirty_pages(fast, sb);
    if (!dirty)
        return "no page of it is dirty";
    return fmt::format("{} of its pages are dirty and would be lost", count_text(dirty));
}

void judge_old_volume(storage& fast, const block_device& device, const superblock_search& found,
                      bool force) {
    if (!found.has_magic)
        return;
    std::string text =
        fmt::format("{} holds a volume whose superblock {}", device.path, found.fault);
    if (found.chosen)
        text = fmt::format("{} holds the volume '{}' ({})", device.path, found.chosen->name(),
                           loss_text(fast, *found.chosen));
    if (!force)
        fail("{}; give --force to destroy it", text);
    warn(text + "; it is destroyed now");
}

tier_identity identity_of(const block_device& device, bool adopt) {
    tier_identity tier;
    tier.size_sectors = device.size_sectors;
    tier.adopted = adopt;
    tier.serial = device.serial;
    if (!adopt)
        return tier;
    if (const auto found = find_signature(device.path)) {
        tier.fs_type = found->type;
        tier.fs_uuid = found->uuid;
    }
    return tier;
}

void judge_old_data(const block_device& fast, const block_device& capacity,
                    const format_options& options) {
    if (options.force)
        return;
    require_no_data(fast.path, "give --force to destroy it");
    if (!options.adopt)
        require_no_data(
            capacity.path,
            "give --adopt to keep it as the volume's contents, or --force to destroy it");
}

void wipe_if_signed(const block_device& device) {
    if (find_signature(device.path))
        wipe_signatures(device.path);
}

/// The old volume before what its disk carries: a power cut in between leaves it whole, or none.
void destroy_old_data(storage& fast_storage, const block_device& fast, const block_device& capacity,
                      const format_options& options) {
    if (!options.force)
        return;
    erase_superblocks(fast_storage);
    wipe_if_signed(fast);
    if (!options.adopt)
        wipe_if_signed(capacity);
}

const std::string& only_capacity(const format_options& options) {
    if (options.capacity.size() > 1)
        fail("{} capacity disks were named, but this version serves one; name one",
             options.capacity.size());
    return options.capacity[0];
}

} // namespace

found_volume make_volume(const format_options& options) {
    require_volume_name(options.name);
    const std::string& capacity_path = only_capacity(options);
    // All that can be wrong first: turning a namespace into another mode destroys what it holds.
    require_free_name(options);
    const block_device capacity = inspect_capacity(capacity_path);
    const std::string fast_path = resolve_namespace(options);
    const block_device fast = inspect_fast(fast_path);
    if (fast.number == capacity.number)
        fail("{} and {} are the same device; a volume needs two", fast_path, capacity_path);
    require_unclaimed(options, fast, capacity);

    // Claimed from here to the end: nobody mounts what is being overwritten.
    file_storage fast_storage(fast.path, file_storage::access::exclusive);
    const file_storage capacity_claim(capacity.path, file_storage::access::exclusive);
    const format_spec spec = new_format_spec(options.name, identity_of(capacity, options.adopt));
    const superblock sb = make_superblock(spec, fast.size_bytes());
    const superblock_search former = find_superblock(fast_storage);
    judge_old_volume(fast_storage, fast, former, options.force);
    judge_old_data(fast, capacity, options);
    if (capacity.size_bytes() < fast.size_bytes())
        warn(fmt::format("{} is smaller than {}; part of the fast tier will never be used",
                         capacity.path, fast.path));
    destroy_old_data(fast_storage, fast, capacity, options);
    write_format(fast_storage, sb);
    note_format(sb, fast.path, former.chosen);
    announce_change(fast);
    announce_change(capacity); // of an adopted disk nothing else changed

    return {fast.path, sb};
}

namespace {

int format(const format_options& options) {
    require_root("format");
    const found_volume made = make_volume(options);
    fmt::print("made the volume '{}': {} on {}, {} frames of 4 KiB on {}\n"
               "open it with: tierctl open {}\n",
               options.name, size_text(made.sb.volume_bytes()), options.capacity[0],
               count_text(made.sb.frames()), made.fast_path, options.name);
    return 0;
}

} // namespace

void add_format(CLI::App& app, action& chosen) {
    auto options = std::make_shared<format_options>();
    CLI::App* verb = app.add_subcommand("format", "Make a volume of a fast tier and a disk");
    verb->add_option("NAME", options->name, "Name of the volume")->required();
    verb->add_option("--fast", options->fast, "Persistent memory in fsdax mode, such as /dev/pmem0")
        ->required();
    verb->add_option("CAPACITY", options->capacity, "The disk that is the volume's home")
        ->required();
    verb->add_flag("--adopt", options->adopt, "Keep the data on the disk as the volume's contents");
    verb->add_flag("--force", options->force,
                   "Destroy what is on the fast tier and, without --adopt, on the disk");
    verb->add_flag("--namespace", options->convert_namespace,
                   "Turn the fast tier's namespace into fsdax mode first");
    verb->callback([options, &chosen] { chosen = [options] { return format(*options); }; });
}

} // namespace tierctl
