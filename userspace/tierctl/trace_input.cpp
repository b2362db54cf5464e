// SPDX-License-Identifier: GPL-2.0-or-later
// Input of the verbs that simulate a trace.
#include "trace_input.hpp"

#include "error.hpp"

#include <charconv>
#include <cmath>
#include <unistd.h>

namespace tierctl {

using namespace tiered;
using namespace tiered::sim;

namespace {

double number_before(std::string_view text, std::size_t suffix, std::string_view whole) {
    double value = 0;
    const char* const end = text.data() + text.size() - suffix;
    const auto [at, status] = std::from_chars(text.data(), end, value);
    if (status != std::errc() || at != end || value < 0)
        fail("'{}' is no size of a fast tier; give bytes, a size such as 512M, or a percentage of "
             "the trace's footprint such as 10%",
             whole);
    return value;
}

} // namespace

std::uint32_t fast_pages(const std::string& text, std::uint64_t footprint_pages) {
    constexpr std::string_view units = "KMGT";
    double pages;
    if (text.ends_with('%')) {
        pages = number_before(text, 1, text) / 100 * static_cast<double>(footprint_pages);
    } else {
        const std::size_t unit = text.empty() ? units.npos : units.find(text.back());
        const double value = number_before(text, unit != units.npos, text);
        const int power = unit == units.npos ? 0 : 10 * static_cast<int>(unit + 1);
        pages = std::ldexp(value, power) / page_bytes;
    }
    if (pages >= INT32_MAX)
        fail("a fast tier of {} has more pages than can be simulated; give less than 8T", text);
    return static_cast<std::uint32_t>(pages);
}

device_model require_device(std::string_view name) {
    const auto device = find_device(name);
    if (!device)
        fail("there is no device model '{}'; choose one of ssd, tssd, hdd", name);
    return *device;
}

progress_bar::progress_bar(std::string_view what_) : what(what_), shown(::isatty(STDERR_FILENO)) {}

progress_bar::~progress_bar() {
    if (shown)
        fmt::print(stderr, "\r{:79}\r", "");
}

progress_report progress_bar::report() {
    if (!shown)
        return {};
    return [this](double share) { draw(share); };
}

void progress_bar::draw(double share) {
    constexpr int width = 40;
    const int percent = static_cast<int>(100 * share);
    if (percent == last)
        return;
    last = percent;
    const std::string done(static_cast<std::size_t>(percent * width / 100), '#');
    fmt::print(stderr, "\r{:12} [{:{}}] {:3} %", what, done, width, percent);
}

} // namespace tierctl
