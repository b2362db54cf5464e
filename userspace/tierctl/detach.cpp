// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl detach: lets the fast tier go, after which the disk alone holds the volume.
//
// The steps, each durable before the next begins:
//   flush        every page that is dirty goes home             (volume open)
//   close        the volume is removed
//   check        nothing is dirty, and clean pages are what their homes are   (both tiers claimed)
//   note         the record says that the disk has everything and the fast tier is being let go,
//                as do records of former volumes on the disk: none of them is opened any more, and
//                none keeps the disk hidden
//   superblock   the superblock that does not serve is made none: the other serves
//   superblocks  the other too: from here on nothing finds the volume
//   forget       the record is removed
// Interrupted anywhere, detach goes on when it is run again: up to `superblock` it finds the
// volume, open or closed, and starts over; after that it finds the record.
#include "block_device.hpp"
#include "block_events.hpp"
#include "check.hpp"
#include "discovery.hpp"
#include "dm.hpp"
#include "error.hpp"
#include "flush.hpp"
#include "open_close.hpp"
#include "open_volumes.hpp"
#include "record.hpp"
#include "records.hpp"
#include "signals.hpp"
#include "verbs.hpp"

#include <map>
#include <memory>

namespace tierctl {

namespace {

using namespace tiered;

enum class step { flush, close, check, note, superblock, superblocks, forget };

const std::map<std::string, step> steps_by_name{
    {"flush", step::flush}, {"close", step::close},           {"check", step::check},
    {"note", step::note},   {"superblock", step::superblock}, {"superblocks", step::superblocks}};

struct detach_options {
    std::string name;
    std::string capacity;
    step until = step::forget;
    bool quick = false;
    bool accept_loss = false;
    bool keep = false;
};

/// Thrown when all that was asked for is done.
struct ended {
    int status;
};

void end_after(const detach_options& options, step done) {
    if (options.until != done)
        return;
    fmt::print("stopped as asked; tierctl detach {} goes on\n", options.name);
    throw ended{0};
}

void flush_and_close(const detach_options& options) {
    dm_device device = require_open(options.name);
    if (device.suspended)
        resume_dm_device(options.name);
    const open_volume volume = describe(device);
    if (volume.without_fast())
        fail("the volume '{}' is open without its fast tier, of which nothing can be let go; bring "
             "it back, then close and detach",
             options.name);
    require_unused(device);
    if (!volume.status.counters)
        fail("the volume '{}' has failed; look at dmesg, close it and run tierctl check {}",
             options.name, options.name);
    if (volume.status.counters->frames_dirty)
        if (const int status = flush_volume(options.name))
            throw ended{status};
    end_after(options, step::flush);
    close_volume(options.name);
    end_after(options, step::close);
}

std::string capacity_of(const detach_options& options, const found_volume& volume) {
    const sought_disk sought(volume);
    if (options.capacity.empty())
        return find_capacity(sought);
    require_capacity_path(sought, options.capacity);
    return options.capacity;
}

/// A closed volume with dirty pages, such as one that a crash left, is opened so that they can go
/// home.
void settle(const detach_options& options, const found_volume& volume) {
    std::uint64_t dirty = 0;
    {
        file_storage fast(volume.fast_path, file_storage::access::read_only);
        dirty = count_dirty_pages(fast, volume.sb);
    }
    if (!dirty)
        return;
    fmt::print("{} pages are only in {}; the volume is opened to write them home\n",
               count_text(dirty), volume.fast_path);
    load_module();
    open_found({.name = options.name, .capacity = options.capacity}, volume);
    flush_and_close(options);
}

/// The check's first finding of `level`, as it goes on after a colon.
std::string first_finding(const check_report& report, severity level) {
    for (const finding& found : report.findings)
        if (found.level == level)
            return found.text;
    return "see tierctl check";
}

void require_whole(const check_report& report, const detach_options& options) {
    const check_counts& counts = report.counts;
    if (counts.dirty)
        fail("{} pages of the volume '{}' are still only in its fast tier; run tierctl detach {} "
             "again",
             count_text(counts.dirty), options.name, options.name);
    if (counts.lost && !options.accept_loss)
        fail(
            "{} pages of the volume '{}' are lost: its disk has older contents there; restore them "
            "from a backup while it is open, or give --accept-loss",
            count_text(counts.lost), options.name);
    if (report.worst == severity::damage && !report.only_lost())
        fail("the disk of the volume '{}' cannot be shown to be whole: {}; tierctl check {} tells "
             "more",
             options.name, first_finding(report, severity::damage), options.name);
}

void prove_whole(const detach_options& options, storage& fast, storage& disk,
                 const std::string& disk_path) {
    const check_report report = check_volume(fast, &disk, {.verify_clean = !options.quick});
    require_whole(report, options);
    const std::string compared =
        options.quick ? ""
                      : fmt::format(", {} pages were compared", count_text(report.counts.clean));
    fmt::print("{} has every page of the volume '{}'{}\n", disk_path, options.name, compared);
}

void release(const detach_options& options, storage& fast, const found_volume& volume) {
    const record_lock lock(volume.sb.uuid());
    const signals_held held;
    note_released(volume);
    end_after(options, step::note);
    const unsigned serving = find_superblock(fast).chosen_slot;
    invalidate_superblock(fast, 1 - serving);
    end_after(options, step::superblock);
    invalidate_superblock(fast, serving);
    end_after(options, step::superblocks);
    record_store().forget(volume.sb.uuid());
}

/// udev hides the disk no longer.
void announce_released(const std::string& disk_path) {
    announce_change(inspect_block_device(disk_path));
}

void let_go(const detach_options& options, const found_volume& volume) {
    settle(options, volume);
    const std::string disk_path = capacity_of(options, volume);
    // Claimed from the proof to the end: nobody opens or mounts what is being judged.
    file_storage fast(volume.fast_path, file_storage::access::exclusive);
    file_storage disk(disk_path, file_storage::access::exclusive);
    prove_whole(options, fast, disk, disk_path);
    end_after(options, step::check);
    if (options.keep) {
        fmt::print("{} still holds the volume '{}', which tierctl open {} opens as long as {} was "
                   "not written without it\n",
                   volume.fast_path, options.name, options.name, disk_path);
        return;
    }
    release(options, fast, volume);
    announce_released(disk_path);
    fmt::print("detached {}: use {} by itself, {} is free\n", options.name, disk_path,
               volume.fast_path);
}

/// The disk of the record, where it is here and beyond doubt.
std::string released_disk(const volume_record& record) {
    try {
        return find_capacity(sought_disk(record.name, record.tier));
    } catch (const error&) {
        return {};
    }
}

/// The volume cannot be found any more; an earlier run may have come as far as that.
void forget_released(const detach_options& options) {
    const auto record = record_store().find_name(options.name);
    if (!record || record->homes != homes_state::released)
        fail("no volume called '{}' was found, open or on any pmem device in fsdax mode; tierctl "
             "list "
             "shows those that were",
             options.name);
    const record_lock lock(record->uuid);
    note_disk_released(*record);
    record_store().forget(record->uuid);
    if (const std::string disk = released_disk(*record); !disk.empty())
        announce_released(disk);
    fmt::print("detached {}: its disk is to be used by itself, {} is free\n", options.name,
               record->fast_path);
}

int detach(const detach_options& options) {
    require_root("detach");
    require_volume_name(options.name);
    try {
        if (find_dm_device(options.name))
            flush_and_close(options);
        if (const auto volume = find_volume(options.name))
            let_go(options, *volume);
        else
            forget_released(options);
        return 0;
    } catch (const ended& early) {
        return early.status;
    }
}

} // namespace

void add_detach(CLI::App& app, action& chosen) {
    auto options = std::make_shared<detach_options>();
    CLI::App* verb = app.add_subcommand(
        "detach", "Flush, close, prove that the disk has everything, and free the fast tier");
    verb->footer("Interrupted at any point, it goes on when it is run again. Example:\n"
                 "  umount /srv\n"
                 "  tierctl detach srv\n"
                 "  mount /dev/vg/srv /srv");
    verb->add_option("NAME", options->name, "Name of the volume, open or closed")->required();
    verb->add_option("--capacity", options->capacity,
                     "The volume's disk, where it cannot be found without doubt");
    verb->add_flag("--quick", options->quick,
                   "Do not compare every clean page with its home; nothing being dirty is enough");
    verb->add_flag("--accept-loss", options->accept_loss,
                   "Also when pages were lost to bad memory, of which the disk has older contents");
    verb->add_flag("--keep", options->keep, "Leave the volume on the fast tier");
    verb->add_option("--until", options->until,
                     "End after this step, in order: flush, close, check, note, superblock, "
                     "superblocks")
        ->transform(CLI::CheckedTransformer(steps_by_name).description("STEP"));
    verb->callback([options, &chosen] { chosen = [options] { return detach(*options); }; });
}

} // namespace tierctl
