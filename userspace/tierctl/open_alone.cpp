// SPDX-License-Identifier: GPL-2.0-or-later
// Opening a volume whose fast tier is missing.
#include "open_alone.hpp"

#include "error.hpp"
#include "records.hpp"

namespace tierctl {

using namespace tiered;

namespace {

/// What the disk lacks, as the second half of a sentence.
std::string lack_text(const volume_record& record) {
    if (record.homes == homes_state::lacking)
        return fmt::format(
            "{} pages ({}) were only there when it was closed {}", count_text(record.missing_pages),
            size_text(record.missing_pages * TIERED_FRAME_BYTES), when_text(record.recorded_s));
    return fmt::format("it was in use {} and was not closed since, so that nobody knows which "
                       "pages were only there",
                       when_text(record.recorded_s));
}

} // namespace

alone_access require_may_open_alone(const std::optional<volume_record>& record,
                                    const alone_options& options) {
    if (!record)
        fail("no volume called '{}' was found on any pmem device in fsdax mode, and this machine "
             "has "
             "no record of one; tierctl list shows those that were found",
             options.name);
    if (record->homes == homes_state::released)
        fail("the volume '{}' was being detached {}: its disk has everything and is to be used by "
             "itself; end that with: tierctl detach {}",
             record->name, when_text(record->recorded_s), record->name);
    if (record->disk_is_whole()) {
        if (!options.wanted)
            fail("the fast tier of the volume '{}' ({}) is missing; bring it back, or give "
                 "--without-fast to open the disk alone: as far as tierctl knows it holds "
                 "everything",
                 record->name, record->fast_path);
        return options.read_only ? alone_access::read_only : alone_access::writable;
    }
    if (!options.wanted || !options.accept_loss)
        fail(
            "the fast tier of the volume '{}' ({}) is missing, and {}; bring it back, or read what "
            "the disk has, with older contents in such pages, by --without-fast --accept-loss",
            record->name, record->fast_path, lack_text(*record));
    return alone_access::read_only;
}

namespace {

/// A detach that let the disk of the volume go, and not before the volume was made.
std::optional<volume_record> release_of_disk(const found_volume& volume) {
    const auto created_s = static_cast<std::int64_t>(le64_to_cpu(volume.sb.raw.created_s));
    for (const volume_record& record : record_store().all())
        if (record.homes == homes_state::released &&
            (record.uuid == volume.sb.uuid() ||
             (record.recorded_s > created_s && is_same_disk(record.tier, volume.sb.tier()))))
            return record;
    return std::nullopt;
}

} // namespace

void require_not_written_alone(const found_volume& volume) {
    const auto record = record_store().find_uuid(volume.sb.uuid());
    if (record && record->homes == homes_state::alone)
        fail("the disk of the volume '{0}' was opened for writing without {1} {2}, so what the "
             "fast tier holds is old; the disk has everything: tierctl format {0} --fast {1} DISK "
             "--adopt --force makes the fast tier anew and keeps it",
             record->name, volume.fast_path, when_text(record->recorded_s));
    if (const auto release = release_of_disk(volume))
        fail("the disk of the volume '{0}' was detached from a fast tier {2} and may have been "
             "used by itself since, so what {1} holds may be old; end that with: tierctl detach "
             "{0}, or have tierctl format {0} --fast {1} DISK --adopt --force make the fast tier "
             "anew",
             volume.sb.name(), volume.fast_path, when_text(release->recorded_s));
}

} // namespace tierctl
