// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl flush: has every dirty page written home and waits for it.
#include "dm.hpp"
#include "error.hpp"
#include "open_volumes.hpp"
#include "text.hpp"
#include "verbs.hpp"

#include <chrono>
#include <csignal>
#include <memory>
#include <time.h>
#include <unistd.h>

namespace tierctl {

namespace {

using namespace tiered;
using clock = std::chrono::steady_clock;

constexpr auto poll_interval = std::chrono::milliseconds(100);
/// A flush that brings no new low for this long will not end by waiting.
constexpr auto patience = std::chrono::seconds(30);
constexpr int interrupted = 128 + SIGINT;

/// Lets SIGINT end a wait instead of the process, for its lifetime.
class interrupt_watch {
public:
    interrupt_watch() {
        ::sigemptyset(&signals_);
        ::sigaddset(&signals_, SIGINT);
        ::sigprocmask(SIG_BLOCK, &signals_, &before_);
    }
    ~interrupt_watch() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
    interrupt_watch(const interrupt_watch&) = delete;
    interrupt_watch& operator=(const interrupt_watch&) = delete;

    /// Waits for `time`; true when SIGINT came.
    bool wait(std::chrono::milliseconds time) const {
        const timespec limit{.tv_sec = time.count() / 1000,
                             .tv_nsec = time.count() % 1000 * 1'000'000};
        return ::sigtimedwait(&signals_, nullptr, &limit) == SIGINT;
    }

private:
    sigset_t signals_{};
    sigset_t before_{};
};

/// One line that is written over as long as somebody watches.
class progress_line {
public:
    ~progress_line() {
        if (shown_)
            fmt::print(stderr, "\n");
    }
    void show(std::uint64_t dirty) {
        if (!::isatty(STDERR_FILENO))
            return;
        fmt::print(stderr, "\r{} pages still dirty   ", count_text(dirty));
        shown_ = true;
    }

private:
    bool shown_ = false;
};

std::uint64_t dirty_pages(const std::string& name) {
    const volume_status status = describe(require_open(name)).status;
    if (!status.counters)
        fail("the volume '{}' has failed; look at dmesg, close it and run tierctl check {}", name,
             name);
    return status.counters->frames_dirty;
}

int flush(const std::string& name) {
    require_root("flush");
    if (describe(require_open(name)).status.state == TIERED_STATE_RO)
        fail("the volume '{}' is read-only, so that nothing can be written home; open it without "
             "--read-only",
             name);
    const interrupt_watch watch;
    progress_line progress;
    send_dm_message(name, TIERED_MESSAGE_FLUSH);
    std::uint64_t lowest = dirty_pages(name);
    clock::time_point lowest_at = clock::now();
    for (std::uint64_t dirty = lowest; dirty > 0; dirty = dirty_pages(name)) {
        progress.show(dirty);
        if (dirty < lowest) {
            lowest = dirty;
            lowest_at = clock::now();
        }
        if (clock::now() - lowest_at > patience)
            fail("{} pages of the volume '{}' are still dirty and there have not been fewer for {} "
                 "seconds; stop writing to it, or look at dmesg for errors of its disk",
                 count_text(dirty), name, patience.count());
        if (watch.wait(poll_interval)) {
            fmt::print(stderr,
                       "tierctl: stopped waiting with {} pages dirty; they are written home "
                       "all the same\n",
                       count_text(dirty));
            return interrupted;
        }
    }
    fmt::print("every page of the volume '{}' is home\n", name);
    return 0;
}

} // namespace

void add_flush(CLI::App& app, action& chosen) {
    auto name = std::make_shared<std::string>();
    CLI::App* verb = app.add_subcommand("flush", "Write every dirty page to its home");
    verb->add_option("NAME", *name, "Name of the volume")->required();
    verb->callback([name, &chosen] { chosen = [name] { return flush(*name); }; });
}

} // namespace tierctl
