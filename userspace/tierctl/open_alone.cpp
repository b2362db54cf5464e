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

void require_not_written_alone(const std::string& uuid, const std::string& fast_path) {
    const auto record = record_store().find_uuid(uuid);
    if (!record || record->homes != homes_state::alone)
        return;
    fail("the disk of the volume '{}' was opened for writing without {} {}, so what the fast tier "
         "holds is old; the disk has everything: tierctl format {} --fast {} DISK --adopt --force "
         "makes "
         "the fast tier anew and keeps it",
         record->name, fast_path, when_text(record->recorded_s), record->name, fast_path);
}

} // namespace tierctl
