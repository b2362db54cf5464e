// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl open and close.
#include "open_close.hpp"

#include "block_device.hpp"
#include "dm.hpp"
#include "error.hpp"
#include "kernel_log.hpp"
#include "open_alone.hpp"
#include "open_configured.hpp"
#include "open_volumes.hpp"
#include "process.hpp"
#include "records.hpp"
#include "signals.hpp"
#include "table.hpp"
#include "verbs.hpp"

#include <filesystem>
#include <memory>
#include <sys/sysmacros.h>

namespace tierctl {

namespace {

using namespace tiered;

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

std::string capacity_of(const sought_disk& sought, const std::string& named_by_user) {
    if (named_by_user.empty())
        return find_capacity(sought);
    require_capacity_path(sought, named_by_user);
    return named_by_user;
}

void create_volume(const std::string& name, const std::string& uuid, std::uint64_t sectors,
                   const std::string& parameters, bool read_only) {
    kernel_log log;
    try {
        create_dm_device(name, dm_uuid_prefix + uuid, sectors, parameters, read_only);
    } catch (const error& e) {
        fail("the volume '{}' cannot be opened: {}", name, log.refusal(name, e.what()));
    }
}

void create_volume(const superblock& sb, const std::string& parameters, bool read_only) {
    create_volume(sb.name(), sb.uuid(), sb.volume_sectors(), parameters, read_only);
}

void open_alone(const open_options& options) {
    std::optional<record_lock> lock;
    if (const auto known = record_store().find_name(options.name))
        lock.emplace(known->uuid);
    const auto record = record_store().find_name(options.name);
    const alone_access access = require_may_open_alone(record, {.name = options.name,
                                                                .wanted = options.without_fast,
                                                                .accept_loss = options.accept_loss,
                                                                .read_only = options.read_only});
    const bool read_only = access == alone_access::read_only;
    const std::string capacity =
        capacity_of(sought_disk(record->name, record->tier), options.capacity);
    require_free_tier(capacity);
    if (!read_only)
        note_alone(*record);
    try {
        create_volume(
            record->name, record->uuid, record->volume_sectors,
            fmt::format("- 1 {} 1 {}", capacity, read_only ? "read_only" : "nothing_dirty"),
            read_only);
    } catch (...) {
        take_back(record->uuid, record);
        throw;
    }
    fmt::print("opened /dev/mapper/{}{}: {} on {}, without its fast tier\n", options.name,
               read_only ? " for reading" : "", size_text(record->volume_sectors * 512), capacity);
}

/// Recorded first: a crash in between must not leave a record that promises too much.
void create_noted(const found_volume& volume, const std::string& parameters) {
    const auto before = record_store().find_uuid(volume.sb.uuid());
    note_open(volume);
    try {
        create_volume(volume.sb, parameters, false);
    } catch (...) {
        take_back(volume.sb.uuid(), before);
        throw;
    }
}

/// Pages that are not whole at home, of a volume that is suspended; nothing when that is none of
/// its business.
std::optional<std::uint64_t> missing_at_home(const open_volume& volume) {
    if (volume.without_fast() || volume.status.state == TIERED_STATE_RO || !volume.status.counters)
        return std::nullopt;
    return volume.status.counters->pages_not_home();
}

/// Suspended first, so that what is counted is what stays.
void count_and_remove(const std::string& name) {
    const signals_held held; // a volume that stays suspended holds up whoever uses it
    suspend_dm_device(name);
    try {
        const open_volume volume = describe(require_open(name));
        remove_dm_device(name);
        if (const auto missing = missing_at_home(volume))
            note_close(volume.uuid, *missing);
    } catch (...) {
        if (find_dm_device(name))
            resume_dm_device(name);
        throw;
    }
}

} // namespace

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

void settle_writethrough(const std::string& name, bool tell) {
    const open_volume volume = describe(require_open(name));
    if (!volume.status.counters)
        return;
    const volume_counters& now = *volume.status.counters;
    if (!now.pages_not_home())
        note_written_through(volume.uuid);
    if (tell && now.frames_dirty)
        fmt::print(
            "{} pages are still only in the fast tier; tierctl flush {} waits until they are "
            "home\n",
            count_text(now.frames_dirty), name);
    if (tell && now.frames_lost)
        fmt::print("{} pages are lost, so that the disk alone does not have everything; write them "
                   "anew (tierctl check {} names them), then run tierctl flush {}\n",
                   count_text(now.frames_lost), name, name);
}

void open_found(const open_options& options, const found_volume& volume) {
    if (options.without_fast)
        fail("the fast tier of the volume '{}' is here, on {}; leave --without-fast away",
             options.name, volume.fast_path);
    const record_lock lock(volume.sb.uuid());
    require_not_open_elsewhere(dm_uuid_prefix + volume.sb.uuid());
    require_not_written_alone(volume);
    const std::string capacity = capacity_of(sought_disk(volume), options.capacity);
    require_free_tier(volume.fast_path);
    require_free_tier(capacity);
    volume_table table{volume.fast_path, capacity, {}};
    if (options.read_only)
        table.put("read_only");
    if (options.writethrough)
        table.put("writethrough");
    if (options.memory_only)
        table.put("memory_only");
    if (options.read_only)
        create_volume(volume.sb, table.parameters(), true);
    else
        create_noted(volume, table.parameters());
    fmt::print("opened /dev/{}/{}: {} on {} and {}\n", options.memory_only ? "tiered" : "mapper",
               options.name, size_text(volume.sb.volume_bytes()), volume.fast_path, capacity);
    if (options.writethrough && !options.read_only)
        settle_writethrough(options.name, true);
    if (!options.read_only)
        give_pins(options.name, volume.sb.uuid());
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

void open_by_name(const open_options& options) {
    require_root("open");
    require_volume_name(options.name);
    load_module();
    require_not_open(options.name);
    if (const auto volume = find_volume(options.name))
        open_found(options, *volume);
    else
        open_alone(options);
}

void close_volume(const std::string& name) {
    const auto device = find_dm_device(name);
    if (!device)
        fail("the volume '{}' is not open", name);
    if (!device->is_volume())
        fail("/dev/mapper/{} is no volume of dm-tiered; it is left alone", name);
    const locked_volume volume = lock_open_volume(name);
    require_unused(volume.device);
    count_and_remove(name);
    fmt::print("closed the volume '{}'\n", name);
}

namespace {

struct open_request {
    open_options one;
    bool all = false;
    bool configured = false;
};

int open(const open_request& request) {
    if (request.all)
        return open_all_configured();
    if (request.configured)
        return open_as_configured(request.one.name);
    open_by_name(request.one);
    return 0;
}

struct close_request {
    std::string name;
    bool all = false;
};

int close(const close_request& request) {
    if (request.all)
        return close_all();
    require_root("close");
    close_volume(request.name);
    return 0;
}

/// One volume or all of them: a verb needs to be told which.
void name_or_all(CLI::App* verb, std::string& name, bool& all, const char* meaning_of_all) {
    verb->add_option("NAME", name, "Name of the volume")
        ->excludes(verb->add_flag("--all", all, meaning_of_all));
}

void require_name_or_all(const std::string& name, bool all) {
    if (name.empty() && !all)
        throw CLI::RequiredError("NAME or --all");
}

} // namespace

void add_open(CLI::App& app, action& chosen) {
    auto request = std::make_shared<open_request>();
    open_options& one = request->one;
    CLI::App* verb = app.add_subcommand("open", "Find a volume by its name and make it usable");
    name_or_all(verb, one.name, request->all,
                "Every volume that /etc/tiered.d says to open, waiting for its devices");
    CLI::Option* configured = verb->add_flag("--configured", request->configured,
                                             "As its file in /etc/tiered.d says, waiting for its "
                                             "devices");
    const std::vector<CLI::Option*> by_hand{
        verb->add_flag("--read-only", one.read_only, "Allow no writes"),
        verb->add_flag(
            "--writethrough", one.writethrough,
            "A write ends when its home has it: the fast tier may be lost at any moment"),
        verb->add_flag("--memory-only", one.memory_only,
                       "For programs that map /dev/tiered/NAME: the block device serves nobody")
            ->excludes("--read-only")
            ->excludes("--writethrough"),
        verb->add_flag("--without-fast", one.without_fast,
                       "The fast tier is missing: open the disk alone")
            ->excludes("--memory-only"),
        verb->add_flag("--accept-loss", one.accept_loss,
                       "With --without-fast: read the disk although it lacks the newest contents")
            ->needs("--without-fast"),
        verb->add_option("--capacity", one.capacity,
                         "The volume's disk, where it cannot be found without doubt")};
    for (CLI::Option* option : by_hand)
        option->excludes("--all")->excludes(configured);
    verb->callback([request, &chosen] {
        require_name_or_all(request->one.name, request->all);
        chosen = [request] { return open(*request); };
    });
}

void add_close(CLI::App& app, action& chosen) {
    auto request = std::make_shared<close_request>();
    CLI::App* verb = app.add_subcommand("close", "End the use of a volume");
    name_or_all(verb, request->name, request->all, "Every open volume that nobody uses");
    verb->callback([request, &chosen] {
        require_name_or_all(request->name, request->all);
        chosen = [request] { return close(*request); };
    });
}

} // namespace tierctl
