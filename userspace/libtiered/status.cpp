// SPDX-License-Identifier: GPL-2.0-or-later
// The driver's status line: parsing, JSON and the form for people.
#include "status.hpp"

#include "error.hpp"
#include "text.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

namespace tiered {

namespace {

using json = nlohmann::ordered_json;

std::uint64_t parse_number(const char* field, const std::string& word) {
    std::uint64_t value = 0;
    const char* end = word.data() + word.size();
    const auto [rest, ec] = std::from_chars(word.data(), end, value);
    if (ec != std::errc() || rest != end)
        fail("the driver's status line has '{}' where the number {} should be", word, field);
    return value;
}

volume_counters parse_counters(const std::vector<std::string>& words) {
    volume_counters counters;
    std::size_t next = 2;
    const auto take = [&](const char* field) {
        if (next >= words.size())
            fail("the driver's status line ends before {}; the loaded dm-tiered module and this "
                 "tierctl do not belong together",
                 field);
        return parse_number(field, words[next++]);
    };
#define TIERED_COUNTER(name) counters.name = take(#name);
    TIERED_STATUS_FIELDS(TIERED_COUNTER)
#undef TIERED_COUNTER
    return counters;
}

std::optional<double> ratio(std::uint64_t hits, std::uint64_t accesses) {
    if (!accesses)
        return std::nullopt;
    return static_cast<double>(hits) / static_cast<double>(accesses);
}

json or_null(const std::optional<double>& value) {
    return value ? json(*value) : json(nullptr);
}

/// A latency that no request has been sampled for is no latency of 0.
json microseconds(std::uint64_t ns) {
    return ns ? json(static_cast<double>(ns) / 1000) : json(nullptr);
}

json latency_json(std::uint64_t p50_ns, std::uint64_t p99_ns) {
    return {{"p50", microseconds(p50_ns)}, {"p99", microseconds(p99_ns)}};
}

bool is_latency(std::string_view field) {
    return field.ends_with("_ns");
}

void add_counters(json& out, const volume_counters* counters) {
#define TIERED_COUNTER(name)                                                                       \
    if (!is_latency(#name))                                                                        \
        out[#name] = counters ? json(counters->name) : json(nullptr);
    TIERED_STATUS_FIELDS(TIERED_COUNTER)
#undef TIERED_COUNTER
    const volume_counters c = counters ? *counters : volume_counters{};
    out["latency_us"] = {
        {"read_hit", latency_json(c.read_hit_p50_ns, c.read_hit_p99_ns)},
        {"read_miss", latency_json(c.read_miss_p50_ns, c.read_miss_p99_ns)},
        {"write_fast", latency_json(c.write_fast_p50_ns, c.write_fast_p99_ns)},
        {"write_bypass", latency_json(c.write_bypass_p50_ns, c.write_bypass_p99_ns)},
    };
    const hit_ratios hits = hit_ratios_of(c);
    out["hit_ratio"] = {
        {"read", or_null(hits.read)}, {"write", or_null(hits.write)}, {"all", or_null(hits.all)}};
}

std::string state_text(const volume_status& status) {
    std::string text = status.state;
    if (status.needs_check)
        text += ", needs a check (close it and run tierctl check)";
    return text;
}

void add_line(std::string& out, std::string_view label, std::string_view text) {
    out += fmt::format("  {:<12} {}\n", label, text);
}

void add_frames(std::string& out, const volume_counters& c) {
    add_line(out, "frames",
             fmt::format("{} ({}): {} dirty, {} clean, {} free", count_text(c.frames_total),
                         size_text(c.frames_total * c.frame_bytes), count_text(c.frames_dirty),
                         count_text(c.frames_clean), count_text(c.frames_free)));
    if (c.frames_lost || c.frames_retired || c.media_errors)
        add_line(out, "bad",
                 fmt::format("{} pages lost, {} frames retired, {} media errors",
                             count_text(c.frames_lost), count_text(c.frames_retired),
                             count_text(c.media_errors)));
}

void add_traffic(std::string& out, const volume_counters& c) {
    const hit_ratios hits = hit_ratios_of(c);
    add_line(out, "reads",
             fmt::format("{} of {} pages hit ({})", count_text(c.read_hits),
                         count_text(c.read_hits + c.read_misses), percent_text(hits.read)));
    add_line(out, "writes",
             fmt::format(
                 "{} of {} pages hit ({}), {} filled, {} bypassed", count_text(c.write_hits),
                 count_text(c.write_hits + c.write_fills + c.write_bypass),
                 percent_text(hits.write), count_text(c.write_fills), count_text(c.write_bypass)));
    add_line(out, "movement",
             fmt::format("{} written back, {} filled, {} pages evicted",
                         size_text(c.writeback_bytes), size_text(c.fill_bytes),
                         count_text(c.evictions)));
}

void add_latency(std::string& out, std::string_view label, std::uint64_t p50, std::uint64_t p99) {
    if (p50 || p99)
        add_line(out, label,
                 fmt::format("{} median, {} for 99 %", duration_text(p50), duration_text(p99)));
}

} // namespace

volume_status parse_status(std::string_view line) {
    const std::vector<std::string> words = split_words(line);
    if (words.empty())
        fail("the driver gave an empty status line");
    volume_status status;
    status.state = words[0];
    if (words.size() == 1 && status.state == TIERED_STATE_FAIL)
        return status;
    if (words.size() < 2)
        fail("the driver's status line ends after '{}'", status.state);
    status.needs_check = words[1] == "needs_check";
    status.counters = parse_counters(words);
    return status;
}

hit_ratios hit_ratios_of(const volume_counters& c) {
    const std::uint64_t reads = c.read_hits + c.read_misses;
    const std::uint64_t writes = c.write_hits + c.write_fills + c.write_bypass;
    return {ratio(c.read_hits, reads), ratio(c.write_hits, writes),
            ratio(c.read_hits + c.write_hits, reads + writes)};
}

json status_json(const open_volume& volume) {
    json out = {
        {"name", volume.name},
        {"uuid", volume.uuid},
        {"state", volume.status.state},
        {"needs_check", volume.status.needs_check},
        {"size_bytes", volume.size_bytes},
        {"fast", volume.without_fast() ? json(nullptr) : json(volume.fast_path)},
        {"capacity", json::array({volume.capacity_path})},
        {"open_count", volume.open_count},
        {"memory_only", volume.memory_only},
    };
    add_counters(out, volume.status.counters ? &*volume.status.counters : nullptr);
    return out;
}

std::string status_report(const open_volume& volume) {
    std::string out = fmt::format("{}: {}\n", volume.name, state_text(volume.status));
    add_line(out, "volume",
             fmt::format("/dev/{}/{}, {}", volume.memory_only ? "tiered" : "mapper", volume.name,
                         size_text(volume.size_bytes)));
    if (volume.memory_only)
        add_line(out, "blocks", "none: it is open as memory alone");
    add_line(out, "uuid", volume.uuid);
    add_line(out, "fast",
             volume.without_fast() ? "missing: the disk is open alone" : volume.fast_path);
    add_line(out, "capacity", volume.capacity_path);
    if (!volume.status.counters)
        return out;
    const volume_counters& c = *volume.status.counters;
    add_frames(out, c);
    add_traffic(out, c);
    add_latency(out, "read hit", c.read_hit_p50_ns, c.read_hit_p99_ns);
    add_latency(out, "read miss", c.read_miss_p50_ns, c.read_miss_p99_ns);
    add_latency(out, "write fast", c.write_fast_p50_ns, c.write_fast_p99_ns);
    add_latency(out, "write bypass", c.write_bypass_p50_ns, c.write_bypass_p99_ns);
    add_line(out, "memory",
             fmt::format("{} of DRAM, {} of the fast tier for metadata", size_text(c.dram_bytes),
                         size_text(c.metadata_bytes)));
    return out;
}

} // namespace tiered
