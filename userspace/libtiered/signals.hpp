// SPDX-License-Identifier: GPL-2.0-or-later
// Signals that must wait for a step's end, and signals that end a wait.
#pragma once

#include <chrono>
#include <csignal>
#include <ctime>
#include <initializer_list>

namespace tiered {

/// Has every signal wait until the end of its lifetime.
class signals_held {
public:
    signals_held() {
        sigset_t all;
        ::sigfillset(&all);
        ::sigprocmask(SIG_BLOCK, &all, &before_);
    }
    ~signals_held() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
    signals_held(const signals_held&) = delete;
    signals_held& operator=(const signals_held&) = delete;

private:
    sigset_t before_{};
};

/// Lets some signals end a wait instead of the process, for its lifetime.
class signal_watch {
public:
    explicit signal_watch(std::initializer_list<int> numbers) {
        ::sigemptyset(&signals_);
        for (const int number : numbers)
            ::sigaddset(&signals_, number);
        ::sigprocmask(SIG_BLOCK, &signals_, &before_);
    }
    ~signal_watch() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
    signal_watch(const signal_watch&) = delete;
    signal_watch& operator=(const signal_watch&) = delete;

    /// Waits for `time`; the number of the signal that came, or 0.
    int wait(std::chrono::milliseconds time) const {
        const timespec limit{.tv_sec = time.count() / 1000,
                             .tv_nsec = time.count() % 1000 * 1'000'000};
        const int number = ::sigtimedwait(&signals_, nullptr, &limit);
        return number > 0 ? number : 0;
    }

private:
    sigset_t signals_{};
    sigset_t before_{};
};

/// Exit status of a command that SIGINT ended.
inline constexpr int interrupted_status = 128 + SIGINT;

} // namespace tiered
