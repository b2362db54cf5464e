// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl flush: has every page that is dirty written home and waits for it.
#include "flush.hpp"

#include "dm.hpp"
#include "error.hpp"
#include "open_close.hpp"
#include "open_volumes.hpp"
#include "records.hpp"
#include "signals.hpp"
#include "table.hpp"
#include "text.hpp"
#include "verbs.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <unistd.h>

namespace tierctl {

namespace {

using namespace tiered;
using clock = std::chrono::steady_clock;

constexpr auto poll_interval = std::chrono::milliseconds(100);
/// A flush that brings no new low for this long will not end by waiting.
constexpr auto patience = std::chrono::seconds(30);

/// One line that is written over as long as somebody watches.
class progress_line {
public:
    ~progress_line() {
        if (shown_)
            fmt::print(stderr, "\n");
    }
    void show(const volume_counters& now, std::uint64_t total) {
        if (!::isatty(STDERR_FILENO))
            return;
        const std::uint64_t left = std::min(now.flush_left_pages, total);
        const auto done =
            static_cast<int>(bar_width * (total - left) / std::max<std::uint64_t>(total, 1));
        const std::string eta =
            now.flush_eta_ms ? fmt::format(", about {} s", (now.flush_eta_ms + 999) / 1000) : "";
        fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {} pages left{}    ", "", done, "", bar_width - done,
                   count_text(left), eta);
        shown_ = true;
    }

private:
    static constexpr int bar_width = 40;
    bool shown_ = false;
};

volume_counters counters_of(const std::string& name) {
    const volume_status status = describe(require_open(name)).status;
    if (!status.counters)
        fail("the volume '{}' has failed; look at dmesg, close it and run tierctl check {}", name,
             name);
    return *status.counters;
}

int stop(const std::string& name) {
    send_dm_message(name, TIERED_MESSAGE_FLUSH_STOP);
    fmt::print("{} pages of the volume '{}' are dirty and stay so for now\n",
               count_text(counters_of(name).frames_dirty), name);
    return 0;
}

void report_end(const std::string& name) {
    const std::uint64_t dirty = counters_of(name).frames_dirty;
    if (dirty == 0)
        fmt::print("every page of the volume '{}' is home\n", name);
    else
        fmt::print("every page of the volume '{}' that was dirty is home; {} were written since\n",
                   name, count_text(dirty));
}

/// Waits until the flush that was asked for has ended.
int wait_for_end(const std::string& name) {
    const signal_watch watch({SIGINT});
    progress_line progress;
    volume_counters now = counters_of(name);
    const std::uint64_t total = now.flush_left_pages;
    std::uint64_t lowest = total;
    clock::time_point lowest_at = clock::now();
    for (; now.flush_left_pages > 0; now = counters_of(name)) {
        progress.show(now, total);
        if (now.flush_left_pages < lowest) {
            lowest = now.flush_left_pages;
            lowest_at = clock::now();
        }
        if (clock::now() - lowest_at > patience)
            fail("{} pages of the volume '{}' are still to be written home and there have not been "
                 "fewer for {} seconds; look at dmesg for errors of its disk",
                 count_text(now.flush_left_pages), name, patience.count());
        if (watch.wait(poll_interval)) {
            fmt::print(stderr,
                       "tierctl: stopped waiting with {} pages left; they are written home all the "
                       "same, unless you say tierctl flush {} --stop\n",
                       count_text(now.flush_left_pages), name);
            return interrupted_status;
        }
    }
    return 0;
}

/// The disk of a volume that writes through has everything from the moment that nothing is dirty
/// and nothing lost.
void note_if_written_through(const std::string& name) {
    const locked_volume volume = lock_open_volume(name);
    if (parse_table(volume.device.table).has("writethrough"))
        settle_writethrough(name, false);
}

struct flush_options {
    std::string name;
    bool stop = false;
};

} // namespace

int flush_volume(const std::string& name) {
    if (describe(require_open(name)).status.state == TIERED_STATE_RO)
        fail("the volume '{}' is read-only, so that nothing can be written home; open it without "
             "--read-only",
             name);
    send_dm_message(name, TIERED_MESSAGE_FLUSH);
    const int status = wait_for_end(name);
    if (status == 0) {
        report_end(name);
        note_if_written_through(name);
    }
    return status;
}

void add_flush(CLI::App& app, action& chosen) {
    auto options = std::make_shared<flush_options>();
    CLI::App* verb = app.add_subcommand("flush", "Write every dirty page to its home");
    verb->add_option("NAME", options->name, "Name of the volume")->required();
    verb->add_flag("--stop", options->stop, "End a flush that is under way");
    verb->callback([options, &chosen] {
        chosen = [options] {
            require_root("flush");
            return options->stop ? stop(options->name) : flush_volume(options->name);
        };
    });
}

} // namespace tierctl
