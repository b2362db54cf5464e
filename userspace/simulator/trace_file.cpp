// SPDX-License-Identifier: GPL-2.0-or-later
// Traces in files: CSV, fio's iolog and the text of blkparse.
#include "trace_file.hpp"

#include "trace_error.hpp"

#include <array>
#include <charconv>
#include <optional>

namespace tiered::sim {

namespace {

constexpr std::string_view csv_header = "time_us,op,offset,bytes";
constexpr std::uint64_t sector_bytes = 512;

using words = std::vector<std::string_view>;

/// Why a line cannot be believed; the reader adds where it stands.
class bad_line : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
    throw bad_line(fmt::format(format, std::forward<Args>(args)...));
}

/// The pieces between separators; of blanks, several count as one.
void split(std::string_view line, char separator, words& out) {
    out.clear();
    while (!line.empty()) {
        const std::size_t end = std::min(line.find(separator), line.size());
        if (end > 0 || separator != ' ')
            out.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
}

std::uint64_t number(std::string_view text, const char* what) {
    std::uint64_t value = 0;
    if (text.starts_with('-'))
        refuse("the {} '{}' is negative", what, text);
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status == std::errc::result_out_of_range)
        refuse("the {} '{}' is too large", what, text);
    if (status != std::errc() || end != text.data() + text.size())
        refuse("the {} '{}' is not a number", what, text);
    return value;
}

/// Bytes of a length; the caller has a 32-bit place for it.
std::uint32_t length(std::uint64_t bytes) {
    if (bytes == 0)
        refuse("the request has no bytes");
    if (bytes > largest_request)
        refuse("a request of {} bytes is larger than any device takes (64 MiB)", bytes);
    return static_cast<std::uint32_t>(bytes);
}

/// Seconds with up to nine decimals as microseconds.
std::uint64_t seconds(std::string_view text) {
    const std::size_t dot = text.find('.');
    const std::uint64_t whole = number(text.substr(0, dot), "time");
    if (whole > UINT32_MAX)
        refuse("the time '{}' is too large", text);
    if (dot == std::string_view::npos)
        return whole * 1'000'000;
    std::string decimals(text.substr(dot + 1, 6));
    decimals.resize(6, '0');
    return whole * 1'000'000 + number(decimals, "time");
}

class csv : public trace_format {
public:
    bool parse(std::string_view line, request& r) override {
        if (line == csv_header)
            return false;
        split(line, ',', fields);
        if (fields.size() != 4)
            refuse("there are {} columns instead of the 4 of {}", fields.size(), csv_header);
        r.time_us = number(fields[0], "time");
        if (fields[1] != "R" && fields[1] != "W")
            refuse("the operation '{}' is neither R nor W", fields[1]);
        r.write = fields[1] == "W";
        r.offset = number(fields[2], "offset");
        r.bytes = length(number(fields[3], "size"));
        return true;
    }

private:
    words fields;
};

class fio_iolog : public trace_format {
public:
    explicit fio_iolog(bool timed) : first(timed ? 1 : 0) {}

    bool parse(std::string_view line, request& r) override {
        split(line, ' ', fields);
        if (fields.size() < first + 2)
            refuse("there is no file and action in it");
        const std::string_view action = fields[first + 1];
        if (action == "wait" && first == 0) {
            clock_us += number(field(2), "time");
            return false;
        }
        if (action != "read" && action != "write")
            return other(action);
        require_one_file(fields[first]);
        if (fields.size() != first + 4)
            refuse("there are {} words instead of {}", fields.size(), first + 4);
        r.time_us = first ? number(fields[0], "time") * 1000 : clock_us;
        r.write = action == "write";
        r.offset = number(field(2), "offset");
        r.bytes = length(number(field(3), "size"));
        return true;
    }

private:
    std::string_view field(std::size_t i) const {
        return first + i < fields.size() ? fields[first + i] : std::string_view();
    }

    static bool other(std::string_view action) {
        for (const char* known : {"add", "open", "close", "sync", "datasync", "trim", "wait"})
            if (action == known)
                return false;
        refuse("fio knows no action '{}'", action);
    }

    void require_one_file(std::string_view name) {
        if (file.empty())
            file = name;
        if (file != name)
            refuse("it is about the file {} while the trace began with {}: offsets of "
                   "several files cannot be told apart",
                   name, file);
    }

    const std::size_t first;
    words fields;
    std::string file;
    std::uint64_t clock_us = 0;
};

/// `8,0 3 1 0.000000000 697 Q W 223490 + 8 [name]`; what was queued counts, the rest is its later
/// life.
class blkparse : public trace_format {
public:
    bool parse(std::string_view line, request& r) override {
        split(line, ' ', fields);
        ended = ended || line.starts_with("CPU") || line.starts_with("Total");
        if (ended || fields.empty())
            return false;
        if (fields.size() < 7 || fields[0].find(',') == std::string_view::npos)
            refuse("it is not a line of blkparse's default format");
        if (fields[5] != "Q" || fields[6].find_first_of("RW") == std::string_view::npos)
            return false;
        // A flush without data has no sectors.
        if (fields.size() < 10 || fields[8] != "+")
            return false;
        require_one_device(fields[0]);
        const std::uint64_t sector = number(fields[7], "sector");
        const std::uint64_t sectors = number(fields[9], "number of sectors");
        if (sector > largest_offset / sector_bytes)
            refuse("the sector {} is beyond 4 PiB", sector);
        r.time_us = seconds(fields[3]);
        r.write = fields[6].find('W') != std::string_view::npos;
        r.offset = sector * sector_bytes;
        r.bytes = length(std::min(sectors, largest_request) * sector_bytes);
        return true;
    }

private:
    void require_one_device(std::string_view name) {
        if (device.empty())
            device = name;
        if (device != name)
            refuse("it is about the device {} while the trace began with {}: trace one "
                   "device at a time",
                   name, device);
    }

    words fields;
    std::string device;
    bool ended = false;
};

std::unique_ptr<trace_format> format_of(std::string_view line) {
    if (line == "fio version 2 iolog" || line == "fio version 3 iolog")
        return std::make_unique<fio_iolog>(line.find('3') != std::string_view::npos);
    words fields;
    split(line, ' ', fields);
    if (fields.size() >= 7 && fields[0].find(',') != std::string_view::npos)
        return std::make_unique<blkparse>();
    return std::make_unique<csv>();
}

} // namespace

trace_file::trace_file(const std::string& path) : lines(path) {
    start();
}

void trace_file::rewind() {
    lines.rewind();
    start();
}

void trace_file::start() {
    last_time_us = 0;
    if (!lines.next(pending))
        throw trace_error(lines.path(), 1, "the trace is empty");
    format = format_of(pending);
    has_pending = dynamic_cast<fio_iolog*>(format.get()) == nullptr;
}

void trace_file::require_sane(const request& r) const {
    if (r.offset >= largest_offset || r.end() > largest_offset)
        refuse("the request at {} ends beyond 4 PiB", r.offset);
    if (r.time_us < last_time_us)
        refuse("the time {} is before that of an earlier line, {}: sort the trace", r.time_us,
               last_time_us);
}

bool trace_file::next(request& r) {
    try {
        while (has_pending || lines.next(pending)) {
            has_pending = false;
            if (!format->parse(pending, r))
                continue;
            require_sane(r);
            last_time_us = r.time_us;
            return true;
        }
    } catch (const bad_line& e) {
        throw trace_error(lines.path(), lines.line_number(), e.what());
    }
    return false;
}

} // namespace tiered::sim
