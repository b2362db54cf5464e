// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl pin and unpin: ranges of a volume that stay in its fast tier. The driver knows what is
// pinned; the record on this machine has it given back when the volume is opened.
#include "error.hpp"
#include "json_text.hpp"
#include "open_volumes.hpp"
#include "pins.hpp"
#include "records.hpp"
#include "signals.hpp"
#include "text.hpp"
#include "verbs.hpp"

#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace tierctl {

namespace {

using namespace tiered;

struct pin_options {
    std::string name;
    std::vector<std::string> ranges;
    std::vector<std::string> files;
    bool all = false;  ///< unpin
    bool wait = false; ///< pin
    bool json = false; ///< pin
};

constexpr std::uint64_t pin_page_bytes = 4096;
constexpr auto pin_poll_interval = std::chrono::milliseconds(200);
/// Nothing more became resident for this long: waiting will not end it.
constexpr auto pin_patience = std::chrono::seconds(60);

/// A size as CLI11 reads it for the other verbs; nothing when it is none.
std::optional<std::uint64_t> size_in(std::string text) {
    try {
        if (text.empty() || !CLI::AsSizeValue(false)(text).empty())
            return std::nullopt;
    } catch (const CLI::Error&) {
        return std::nullopt;
    }
    std::uint64_t size = 0;
    const char* end = text.data() + text.size();
    const auto [stop, problem] = std::from_chars(text.data(), end, size);
    return problem == std::errc() && stop == end ? std::optional(size) : std::nullopt;
}

page_range range_in(const std::string& text, std::uint64_t size_bytes) {
    const std::size_t plus = text.find('+');
    const auto offset = size_in(text.substr(0, plus));
    std::optional<std::uint64_t> length;
    if (plus != text.npos)
        length = size_in(text.substr(plus + 1));
    if (!offset || (plus != text.npos && !length))
        fail("'{}' is no range; write OFFSET+LENGTH, or OFFSET alone for all from there on, in "
             "bytes or with K, M, G, T",
             text);
    return pages_at(*offset, length, size_bytes);
}

std::vector<page_range> wanted_ranges(const pin_options& options, const dm_device& device) {
    const std::uint64_t size_bytes = device.sectors * 512;
    std::vector<page_range> wanted;
    if (options.all)
        wanted.push_back(pages_at(0, std::nullopt, size_bytes));
    for (const std::string& range : options.ranges)
        wanted.push_back(range_in(range, size_bytes));
    for (const std::string& file : options.files) {
        const auto of_file = pages_of_file(file, makedev(device.major, device.minor), size_bytes);
        wanted.insert(wanted.end(), of_file.begin(), of_file.end());
    }
    return wanted;
}

struct pin_totals {
    std::uint64_t pinned_pages = 0;
    std::uint64_t resident_pages = 0;
};

pin_totals totals_of(const std::vector<pinned_range>& pins) {
    pin_totals totals;
    for (const pinned_range& pin : pins) {
        totals.pinned_pages += pin.range.pages;
        totals.resident_pages += pin.resident_pages;
    }
    return totals;
}

nlohmann::ordered_json pins_json(const std::vector<pinned_range>& pins) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const pinned_range& pin : pins)
        list.push_back({{"offset_bytes", pin.range.first_page * pin_page_bytes},
                        {"length_bytes", pin.range.pages * pin_page_bytes},
                        {"resident_bytes", pin.resident_pages * pin_page_bytes}});
    const pin_totals totals = totals_of(pins);
    return {{"pinned_bytes", totals.pinned_pages * pin_page_bytes},
            {"resident_bytes", totals.resident_pages * pin_page_bytes},
            {"pins", list}};
}

void print_pins(const std::vector<pinned_range>& pins) {
    if (pins.empty()) {
        fmt::print("nothing is pinned\n");
        return;
    }
    fmt::print("{:>16} {:>16} {:>10}\n", "OFFSET", "LENGTH", "RESIDENT");
    for (const pinned_range& pin : pins)
        fmt::print("{:>16} {:>16} {:>10}\n", pin.range.first_page * pin_page_bytes,
                   pin.range.pages * pin_page_bytes,
                   percent_text(static_cast<double>(pin.resident_pages) /
                                static_cast<double>(pin.range.pages)));
}

/// Waits until all that is pinned is resident; SIGINT ends the waiting alone.
int wait_for_pins(const std::string& name) {
    const signal_watch watch({SIGINT});
    std::uint64_t most = 0;
    auto most_at = std::chrono::steady_clock::now();
    for (;;) {
        const pin_totals now = totals_of(ask_pins(name));
        if (now.resident_pages >= now.pinned_pages)
            return 0;
        if (::isatty(STDERR_FILENO))
            fmt::print(stderr, "\r{} of {} pages   ", count_text(now.resident_pages),
                       count_text(now.pinned_pages));
        if (now.resident_pages > most) {
            most = now.resident_pages;
            most_at = std::chrono::steady_clock::now();
        }
        if (std::chrono::steady_clock::now() - most_at > pin_patience)
            fail("{} of {} pinned pages are in the fast tier and there have not been more for {} "
                 "seconds; look at dmesg for errors of the disk, and at tierctl status {} for "
                 "dirty pages that take the room",
                 count_text(now.resident_pages), count_text(now.pinned_pages), pin_patience.count(),
                 name);
        if (watch.wait(pin_poll_interval)) {
            fmt::print(stderr,
                       "tierctl: stopped waiting with {} pages left; they are brought in all the "
                       "same, unless you say tierctl unpin {}\n",
                       count_text(now.pinned_pages - now.resident_pages), name);
            return interrupted_status;
        }
    }
}

int pin(const pin_options& options) {
    require_root("pin");
    const dm_device device = require_open(options.name);
    require_fast_tier(device);
    if (const auto wanted = wanted_ranges(options, device); !wanted.empty()) {
        const locked_volume volume = lock_open_volume(options.name);
        pin_ranges(volume.device.name, wanted);
        note_pins(volume.device);
    }
    const int status = options.wait ? wait_for_pins(device.name) : 0;
    const std::vector<pinned_range> pins = ask_pins(device.name);
    if (options.json)
        fmt::print("{}\n", json_text(pins_json(pins)));
    else
        print_pins(pins);
    return status;
}

int unpin(const pin_options& options) {
    require_root("unpin");
    const locked_volume volume = lock_open_volume(options.name);
    const dm_device& device = volume.device;
    require_fast_tier(device);
    unpin_ranges(device.name, wanted_ranges(options, device));
    note_pins(device);
    const pin_totals left = totals_of(ask_pins(device.name));
    fmt::print("{} pages of the volume '{}' are pinned\n", count_text(left.pinned_pages),
               device.name);
    return 0;
}

/// --range and --file of both verbs, one value each time.
std::vector<CLI::Option*> add_ranges(CLI::App* verb, pin_options& options) {
    verb->add_option("NAME", options.name, "Name of an open volume")->required();
    CLI::Option* range = verb->add_option(
        "--range", options.ranges,
        "OFFSET+LENGTH, or OFFSET alone for all from there on, in bytes or with K, M, G, T");
    CLI::Option* file = verb->add_option(
        "--file", options.files, "Where this file lies now, in a file system right on the volume");
    range->allow_extra_args(false);
    file->allow_extra_args(false);
    return {range, file};
}

} // namespace

void add_pin(CLI::App& app, action& chosen) {
    auto options = std::make_shared<pin_options>();
    CLI::App* verb = app.add_subcommand(
        "pin", "Keep ranges of a volume in its fast tier; without any, list those that are");
    verb->footer("At most half of the fast tier can be pinned. Example:\n"
                 "  tierctl pin srv --range 0+64M --file /srv/db/index --wait");
    add_ranges(verb, *options);
    verb->add_flag("--wait", options->wait, "Until all that is pinned is in the fast tier");
    verb->add_flag("--json", options->json, "For programs");
    verb->callback([options, &chosen] { chosen = [options] { return pin(*options); }; });
}

void add_unpin(CLI::App& app, action& chosen) {
    auto options = std::make_shared<pin_options>();
    CLI::App* verb = app.add_subcommand("unpin", "Let pinned ranges of a volume go again");
    verb->footer("Example:\n  tierctl unpin srv --all");
    const std::vector<CLI::Option*> which = add_ranges(verb, *options);
    CLI::Option* all = verb->add_flag("--all", options->all, "Everything that is pinned");
    for (CLI::Option* option : which)
        all->excludes(option);
    verb->callback([options, &chosen] {
        if (!options->all && options->ranges.empty() && options->files.empty())
            throw CLI::RequiredError("--range, --file or --all");
        chosen = [options] { return unpin(*options); };
    });
}

} // namespace tierctl
