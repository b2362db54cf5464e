// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl top: an open volume at work, on a terminal's screen or as a line an interval.
#include "error.hpp"
#include "heat_map.hpp"
#include "open_volumes.hpp"
#include "signals.hpp"
#include "top_view.hpp"
#include "verbs.hpp"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>

namespace tierctl {

namespace {

using namespace tiered;

struct top_options {
    std::string name;
    double interval_s = 2;
    std::uint64_t count = 0; ///< 0: until it is interrupted
    bool json = false;
};

/// The alternate screen without a cursor, for its lifetime.
class full_screen {
public:
    full_screen() { put("\x1b[?1049h\x1b[?25l"); }
    ~full_screen() { put("\x1b[?25h\x1b[?1049l"); }
    full_screen(const full_screen&) = delete;
    full_screen& operator=(const full_screen&) = delete;

    static screen_size size() {
        winsize now{};
        if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &now) || !now.ws_col || !now.ws_row)
            return {};
        return {now.ws_col, now.ws_row};
    }

    /// Over what was there before, so that nothing flickers.
    static void show(const std::vector<std::string>& lines) {
        std::string frame = "\x1b[H";
        for (const std::string& line : lines)
            frame += fmt::format("{}{}\x1b[K", frame.size() > 3 ? "\r\n" : "", line);
        put(frame + "\x1b[J");
    }

private:
    static void put(std::string_view text) {
        fmt::print("{}", text);
        std::fflush(stdout);
    }
};

observation observe(const volume_sample& before, const volume_sample& after) {
    const std::string& name = after.volume.name;
    return {activity_between(before, after), ask_heat(name), ask_why(name)};
}

/// What the volume answers. While it is closed, it is there but answers nothing for a moment; then
/// it is not open, and nothing else that the driver said meanwhile matters.
template <typename Ask>
auto answer(const std::string& name, Ask ask) {
    constexpr auto moment = std::chrono::milliseconds(50);
    constexpr int moments = 40;
    for (int passed = 0;; passed++) {
        try {
            return ask();
        } catch (const error&) {
            require_open(name);
            if (passed == moments)
                throw;
        }
        std::this_thread::sleep_for(moment);
    }
}

/// Looks again, and moves `before` on.
observation look_again(volume_sample& before) {
    const std::string name = before.volume.name;
    return answer(name, [&] {
        volume_sample after = sample_volume(name);
        observation seen = observe(before, after);
        before = std::move(after);
        return seen;
    });
}

bool ends(int signal) {
    return signal != 0 && signal != SIGWINCH;
}

/// Waits for the interval's end, and draws anew when the terminal gets another size; false when a
/// signal says that it is enough.
template <typename Redraw>
bool wait_interval(const signal_watch& watch, double seconds, Redraw redraw) {
    using clock = std::chrono::steady_clock;
    const auto end = clock::now() + std::chrono::duration<double>(seconds);
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now());
        if (left.count() <= 0)
            return true;
        const int signal = watch.wait(left);
        if (ends(signal))
            return false;
        if (signal == SIGWINCH)
            redraw();
    }
}

/// Shows one observation after the other until `count` or a signal ends it.
template <typename Show>
void follow(const top_options& options, const signal_watch& watch, volume_sample before, Show show,
            observation shown) {
    for (std::uint64_t done = 0; !options.count || done < options.count; done++) {
        if (!wait_interval(watch, options.interval_s, [&] { show(shown); }))
            return;
        shown = look_again(before);
        show(shown);
    }
}

void print_now(const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
}

int top(const top_options& options) {
    require_root("top");
    const bool terminal = ::isatty(STDOUT_FILENO) && !options.json;
    const volume_sample first = answer(options.name, [&] { return sample_volume(options.name); });
    observation nothing_yet = answer(options.name, [&] { return observe(first, first); });
    if (!terminal) {
        const signal_watch watch({SIGINT, SIGTERM, SIGHUP});
        const auto show = [&options](const observation& seen) {
            print_now(options.json ? top_json(seen).dump() : top_line(seen));
        };
        follow(options, watch, first, show, std::move(nothing_yet));
        return 0;
    }
    const signal_watch watch({SIGINT, SIGTERM, SIGHUP, SIGWINCH});
    const full_screen screen;
    const auto show = [](const observation& seen) {
        full_screen::show(top_screen(seen, full_screen::size()));
    };
    show(nothing_yet);
    follow(options, watch, first, show, std::move(nothing_yet));
    return 0;
}

} // namespace

void add_top(CLI::App& app, action& chosen) {
    auto options = std::make_shared<top_options>();
    CLI::App* verb = app.add_subcommand(
        "top",
        "Watch an open volume at work: rates, latencies, what is resident, what moves and why");
    verb->footer(
        "Ctrl-C ends it. Where the output is no terminal, it is a line an interval. Example:\n"
        "  tierctl top srv --interval 5");
    verb->add_option("NAME", options->name, "Name of an open volume")->required();
    verb->add_option("--interval", options->interval_s, "Seconds from one look to the next")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
    verb->add_option("--count", options->count, "End after so many looks")
        ->check(CLI::PositiveNumber);
    verb->add_flag("--json", options->json, "For programs: an object a line");
    verb->callback([options, &chosen] { chosen = [options] { return top(*options); }; });
}

} // namespace tierctl
