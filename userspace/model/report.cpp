// SPDX-License-Identifier: GPL-2.0-or-later
// Figures of an exploration and the account of a violation.
#include "report.h"

#include "media.h"

#include <fmt/format.h>

#include <utility>

namespace model {

namespace {

constexpr std::string_view row =
    "{:22} {:>4} {:>7} {:>6} {:>3} {:>7} {:>6} {:>10} {:>10} {:>12} {:>12} {:>7} {:>6}";

const char* operation_name(Op op) {
    switch (op) {
    case Op::idle:
        return "idle";
    case Op::write_fast:
        return "write_fast";
    case Op::fill_clean:
        return "fill_clean";
    case Op::bypass_write:
        return "bypass_write";
    case Op::flush:
        return "flush";
    case Op::writeback:
        return "writeback";
    case Op::evict:
        return "evict";
    case Op::discard:
        return "discard";
    case Op::recycle:
        return "recycle";
    case Op::meet_bad:
        return "meet_bad";
    case Op::open_after_crash:
        return "open_after_crash";
    case Op::reopen:
        return "reopen";
    case Op::grow:
        return "grow";
    case Op::fill_for_fault:
        return "fill_for_fault";
    case Op::map_to_load:
        return "map_to_load";
    case Op::map_to_store:
        return "map_to_store";
    case Op::store:
        return "store";
    case Op::persist:
        return "persist";
    case Op::sync:
        return "sync";
    case Op::write_part:
        return "write_part";
    case Op::write_in_place:
        return "write_in_place";
    }
    return "?";
}

// The steps worth a line; the others only read the driver's own memory.
std::string step_text(const TraceEntry& entry) {
    switch (entry.step) {
    case Step::lock:
        return "lock";
    case Step::unlock:
        return "unlock";
    case Step::store_data:
        return fmt::format("store half the data of frame {}: write {}", entry.first,
                           value_id(entry.second));
    case Step::read_frame:
        return fmt::format("read frame {}", entry.first);
    case Step::read_home:
        return "read the home";
    case Step::set_holder:
        return fmt::format("index: frame {} holds the page", entry.second);
    case Step::remove_holder:
        return "index: the page is not resident";
    case Step::to_limbo:
        return fmt::format("frame {} to limbo", entry.first);
    case Step::to_free:
        return fmt::format("frame {} is free", entry.first);
    case Step::pm_store:
        return fmt::format("store word {}: {}", entry.first, claim_text(entry.second));
    case Step::pm_store_shadow:
        return fmt::format("store shadow word {}: {}", entry.first, claim_text(entry.second));
    case Step::pm_store_around:
        return fmt::format("store word {} or its shadow around the cache: {}", entry.first,
                           claim_text(entry.second));
    case Step::pm_flush:
        return fmt::format("flush word {}", entry.first);
    case Step::pm_flush_shadow:
        return fmt::format("flush shadow word {}", entry.first);
    case Step::pm_fence:
        return "fence";
    case Step::disk_submit:
        return fmt::format("home write submitted: writes {} and {}", value_id(entry.first),
                           value_id(entry.second));
    case Step::disk_complete:
        return "home write completed";
    case Step::disk_flush_begin:
        return "disk flush begins";
    case Step::disk_flush_end:
        return "disk flush ended";
    case Step::acknowledge:
        return fmt::format("ACKNOWLEDGED: write {}", value_id(entry.second));
    case Step::end_flush:
        return "ACKNOWLEDGED: FLUSH";
    case Step::take_limbo:
        return "take the frames in limbo";
    case Step::store_superblock:
        return fmt::format("store half of superblock {}", entry.first);
    case Step::write_superblock:
        return fmt::format("superblock {} stands", entry.first);
    case Step::set_volume_pages:
        return "the volume has its last page";
    case Step::flush_words:
        return "flush all words";
    case Step::load_words:
        return "scan the words";
    case Step::forget:
        return "the volume is closed: the index is gone";
    case Step::condemn:
        return fmt::format("frame {} is condemned", entry.first);
    case Step::noticed_bad:
        return "the bad frame is dealt with";
    case Step::opened:
        return "the volume is open";
    case Step::share_gate:
        return "share the gate";
    case Step::leave_gate:
        return "leave the gate";
    case Step::shut_gate:
        return "shut the gate";
    case Step::open_gate:
        return "open the gate";
    case Step::unmap:
        return "take the page out of page tables";
    case Step::mark:
        return fmt::format("frame {} is marked as {}", entry.first,
                           entry.second ? "stored to" : "mapped");
    case Step::unmark:
        return fmt::format("frame {} is marked no more", entry.first);
    case Step::enter_mapping:
        return fmt::format("page table: frame {}{}", entry.first, entry.second ? ", writable" : "");
    case Step::drop_mapping:
        return "page table: an entry to load goes";
    case Step::flush_lines:
        return fmt::format("flush the lines of frame {}", entry.first);
    case Step::set_exclusive:
        return entry.second ? "faults wait" : "faults may go on";
    case Step::store_in_place:
        return fmt::format("frame {} is stored to in place: write {}", entry.first,
                           value_id(entry.second));
    case Step::memory_store:
        return fmt::format("STORED to half {}: write {}", entry.first, value_id(entry.second));
    case Step::memory_flush:
        return fmt::format("the line of half {} is flushed", entry.second);
    case Step::end_store:
        return fmt::format("DURABLE: write {}", value_id(entry.second));
    case Step::end_sync:
        return "ENDED: msync";
    default:
        return "";
    }
}

std::string count_text(unsigned count, unsigned operations) {
    return operations == any_number ? "any" : std::to_string(count);
}

} // namespace

std::string figures_heading() {
    return fmt::format(row, "scenario", "cpus", "stripes", "frames", "ops", "crashes", "grain",
                       "states", "steps", "crash points", "images", "longest", "s");
}

std::string figures_text(const Scenario& scenario, const Figures& figures, double seconds) {
    return fmt::format(row, scenario.name, scenario.bounds.cpus, scenario.bounds.stripes,
                       scenario.bounds.frames, count_text(scenario.operations, scenario.operations),
                       count_text(scenario.crashes, scenario.operations),
                       scenario.grain == Grain::fine ? "fine" : "coarse", figures.states,
                       figures.steps, figures.crash_points, figures.images,
                       scenario.operations == any_number ? "-" : std::to_string(figures.longest),
                       fmt::format("{:.1f}", seconds));
}

std::string trace_text(const std::vector<TraceEntry>& trace) {
    std::string text;

    for (const TraceEntry& entry : trace) {
        if (entry.step == Step::crash) {
            text += "  -- crash, restart --\n";
            continue;
        }
        if (entry.step == Step::go_bad) {
            text += fmt::format("  -- the data of frame {} go bad --\n", entry.first);
            continue;
        }
        if (entry.step == Step::unbound) {
            text += "  -- the fast tier is unbound --\n";
            continue;
        }
        const std::string step = step_text(entry);
        if (step.empty())
            continue;
        const std::string page = entry.page == none ? "" : fmt::format("(page {})", entry.page);
        text +=
            fmt::format("  cpu {}  {:22} {}\n", entry.cpu, operation_name(entry.op) + page, step);
    }
    return text;
}

} // namespace model
