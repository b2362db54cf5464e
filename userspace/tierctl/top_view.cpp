// SPDX-License-Identifier: GPL-2.0-or-later
// The looks of tierctl top.
#include "top_view.hpp"

#include "heat_map.hpp"
#include "text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tierctl {

using namespace tiered;

namespace {

constexpr std::size_t hottest_count = 10;
constexpr std::size_t read_hit = 0, read_miss = 1, write_fast = 2, write_bypass = 3;

struct hot_extent {
    extent_heat heat;
    const extent_decision* decision; ///< null: none is known
};

/// Those of which most was used again, then those of which most is resident.
std::vector<hot_extent> hottest(const observation& seen, std::size_t count) {
    std::vector<extent_heat> sorted = seen.heat;
    std::ranges::stable_sort(sorted, [](const extent_heat& a, const extent_heat& b) {
        return std::pair(a.recent_pages, a.resident_pages) >
               std::pair(b.recent_pages, b.resident_pages);
    });
    sorted.resize(std::min(count, sorted.size()));
    std::vector<hot_extent> hot;
    for (const extent_heat& heat : sorted) {
        const auto found = std::ranges::find(seen.decisions, heat.extent, &extent_decision::extent);
        hot.push_back({heat, found == seen.decisions.end() ? nullptr : &*found});
    }
    return hot;
}

std::string rate_text(double per_second) {
    return count_text(static_cast<std::uint64_t>(per_second + 0.5)) + "/s";
}

std::string bytes_rate_text(double per_second) {
    return size_text(static_cast<std::uint64_t>(per_second)) + "/s";
}

std::string path_text(std::string_view label, const latency_histogram& latency) {
    return fmt::format("{} {} (99 %: {})", label, duration_text(latency.percentile_ns(50)),
                       duration_text(latency.percentile_ns(99)));
}

std::string title(const volume_activity& a) {
    const open_volume& v = a.volume;
    return fmt::format("{}  {}{}  {}  {} over {}  {:.1f} s", v.name, v.status.state,
                       v.status.needs_check ? ", needs a check" : "", size_text(v.size_bytes),
                       v.fast_path, v.capacity_path, a.seconds);
}

std::string reads_text(const volume_activity& a) {
    return fmt::format(
        "reads  {:>12} pages, {:>7} hit   {}, {}", rate_text(a.per_second(a.read_pages())),
        percent_text(hit_ratios_of(a.did).read), path_text("hit", a.latencies[read_hit]),
        path_text("disk", a.latencies[read_miss]));
}

std::string writes_text(const volume_activity& a) {
    return fmt::format(
        "writes {:>12} pages, {:>7} hit   {}, {}", rate_text(a.per_second(a.write_pages())),
        percent_text(hit_ratios_of(a.did).write), path_text("fast", a.latencies[write_fast]),
        path_text("disk", a.latencies[write_bypass]));
}

double share(std::uint64_t part, std::uint64_t whole) {
    return whole ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

/// `width` characters, of which the share `part` of `whole` counts.
std::size_t bar_part(std::size_t width, std::uint64_t part, std::uint64_t whole) {
    return std::min(width,
                    static_cast<std::size_t>(static_cast<double>(width) * share(part, whole)));
}

std::string frames_text(const volume_counters& c) {
    constexpr std::size_t width = 30;
    // The driver counts them one after the other, while frames change hands.
    const std::size_t dirty = bar_part(width, c.frames_dirty, c.frames_total);
    const std::size_t used =
        std::max(dirty, bar_part(width, c.frames_dirty + c.frames_clean, c.frames_total));
    const std::string bar =
        std::string(dirty, '#') + std::string(used - dirty, '=') + std::string(width - used, '.');
    std::string text = fmt::format("frames [{}] {} dirty, {} clean, {} free", bar,
                                   percent_text(share(c.frames_dirty, c.frames_total)),
                                   percent_text(share(c.frames_clean, c.frames_total)),
                                   percent_text(share(c.frames_free, c.frames_total)));
    if (c.frames_lost)
        text += fmt::format(", {} lost", count_text(c.frames_lost));
    return text;
}

std::string moves_text(const volume_activity& a) {
    const volume_counters& now = *a.volume.status.counters;
    std::string text = fmt::format("moves  {} written back, {} filled, {} pages evicted",
                                   bytes_rate_text(a.per_second(a.did.writeback_bytes)),
                                   bytes_rate_text(a.per_second(a.did.fill_bytes)),
                                   rate_text(a.per_second(a.did.evictions)));
    if (now.flush_left_pages)
        text += fmt::format(", flush: {} pages left", count_text(now.flush_left_pages));
    return text;
}

void add_map(std::vector<std::string>& lines, const observation& seen, const screen_size& size) {
    constexpr std::size_t most_rows = 8;
    const std::uint64_t volume_bytes = seen.activity.volume.size_bytes;
    const std::size_t rows = std::clamp<std::size_t>(size.rows / 4, 1, most_rows);
    const std::vector<heat_cell> cells =
        heat_cells(seen.heat, volume_bytes, rows * std::max<std::size_t>(size.columns, 1));
    const std::string map = heat_row(cells);
    lines.push_back(fmt::format("in the fast tier, {} a character, from nothing to all: .:-=+*#@",
                                size_text(volume_bytes / cells.size())));
    for (std::size_t at = 0; at < map.size(); at += size.columns)
        lines.push_back(map.substr(at, size.columns));
}

void add_hottest(std::vector<std::string>& lines, const observation& seen, std::size_t count) {
    lines.push_back(fmt::format("{:>12} {:>8} {:>6} {:>6}  {}", "hottest at", "resident", "dirty",
                                "again", "last decision"));
    for (const hot_extent& hot : hottest(seen, count)) {
        std::string line =
            fmt::format("{:>12} {:>8} {:>6} {:>6}", size_text(hot.heat.offset_bytes()),
                        hot.heat.resident_pages, hot.heat.dirty_pages, hot.heat.recent_pages);
        if (hot.decision)
            line += fmt::format("  {} s ago {}: {}", hot.decision->age_s, hot.decision->reason,
                                reason_text(hot.decision->reason));
        lines.push_back(std::move(line));
    }
}

nlohmann::ordered_json latency_json(const latency_histogram& latency) {
    const auto microseconds = [&latency](unsigned percent) -> nlohmann::ordered_json {
        const std::uint64_t ns = latency.percentile_ns(percent);
        if (!ns)
            return nullptr;
        return static_cast<double>(ns) / 1e3;
    };
    return {{"p50", microseconds(50)}, {"p99", microseconds(99)}};
}

nlohmann::ordered_json ratio_json(const std::optional<double>& ratio) {
    return ratio ? nlohmann::ordered_json(*ratio) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json hot_json(const hot_extent& hot) {
    nlohmann::ordered_json out{{"offset_bytes", hot.heat.offset_bytes()},
                               {"resident_pages", hot.heat.resident_pages},
                               {"dirty_pages", hot.heat.dirty_pages},
                               {"recent_pages", hot.heat.recent_pages},
                               {"reason", nullptr},
                               {"age_s", nullptr}};
    if (hot.decision) {
        out["reason"] = hot.decision->reason;
        out["age_s"] = hot.decision->age_s;
    }
    return out;
}

} // namespace

std::vector<std::string> top_screen(const observation& seen, const screen_size& size) {
    const volume_activity& a = seen.activity;
    std::vector<std::string> lines{title(a), reads_text(a), writes_text(a),
                                   frames_text(*a.volume.status.counters), moves_text(a)};
    add_map(lines, seen, size);
    add_hottest(lines, seen, hottest_count);
    lines.resize(std::min(lines.size(), size.rows));
    for (std::string& line : lines)
        line.resize(std::min(line.size(), size.columns));
    return lines;
}

std::string top_line(const observation& seen) {
    const volume_activity& a = seen.activity;
    const volume_counters& now = *a.volume.status.counters;
    const hit_ratios hits = hit_ratios_of(a.did);
    return fmt::format(
        "{}: {} reads {} ({} hit), writes {} ({} hit), {} dirty, {} written back, {} filled",
        a.volume.name, a.volume.status.state, rate_text(a.per_second(a.read_pages())),
        percent_text(hits.read), rate_text(a.per_second(a.write_pages())), percent_text(hits.write),
        percent_text(share(now.frames_dirty, now.frames_total)),
        bytes_rate_text(a.per_second(a.did.writeback_bytes)),
        bytes_rate_text(a.per_second(a.did.fill_bytes)));
}

nlohmann::ordered_json top_json(const observation& seen) {
    const volume_activity& a = seen.activity;
    const volume_counters& now = *a.volume.status.counters;
    const hit_ratios hits = hit_ratios_of(a.did);
    nlohmann::ordered_json latencies;
    for (std::size_t i = 0; i < latency_paths.size(); i++)
        latencies[std::string(latency_paths[i])] = latency_json(a.latencies[i]);
    nlohmann::ordered_json hot = nlohmann::ordered_json::array();
    for (const hot_extent& extent : hottest(seen, hottest_count))
        hot.push_back(hot_json(extent));
    return {{"name", a.volume.name},
            {"state", a.volume.status.state},
            {"seconds", a.seconds},
            {"read_pages_per_s", a.per_second(a.read_pages())},
            {"write_pages_per_s", a.per_second(a.write_pages())},
            {"hit_ratio",
             {{"read", ratio_json(hits.read)},
              {"write", ratio_json(hits.write)},
              {"all", ratio_json(hits.all)}}},
            {"latency_us", std::move(latencies)},
            {"writeback_bytes_per_s", a.per_second(a.did.writeback_bytes)},
            {"fill_bytes_per_s", a.per_second(a.did.fill_bytes)},
            {"evictions_per_s", a.per_second(a.did.evictions)},
            {"frames_total", now.frames_total},
            {"frames_dirty", now.frames_dirty},
            {"frames_clean", now.frames_clean},
            {"frames_free", now.frames_free},
            {"flush_left_pages", now.flush_left_pages},
            {"hottest", std::move(hot)}};
}

} // namespace tierctl
