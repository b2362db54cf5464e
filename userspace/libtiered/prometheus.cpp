// SPDX-License-Identifier: GPL-2.0-or-later
// Prometheus' text exposition.
#include "prometheus.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <functional>
#include <iterator>

namespace tiered {

namespace {

struct metric {
    std::string_view field; ///< of the status line
    std::string_view name;  ///< without the prefix
    std::string_view type;
    std::string_view help;
    double scale = 1; ///< from the field's unit to the metric's
};

constexpr std::array metrics{
    metric{"frame_bytes", "frame_bytes", "gauge", "Bytes that a frame of the fast tier holds."},
    metric{"frames_total", "frames", "gauge",
           "Frames of the fast tier: free, clean, dirty, lost and retired ones together."},
    metric{"frames_free", "frames_free", "gauge", "Frames that hold no page."},
    metric{"frames_clean", "frames_clean", "gauge",
           "Frames whose page has the same contents at home."},
    metric{"frames_dirty", "frames_dirty", "gauge",
           "Frames whose page has its newest contents nowhere else."},
    metric{"frames_lost", "frames_lost", "gauge",
           "Dirty frames that went bad; their pages answer errors until they are written whole."},
    metric{"frames_retired", "frames_retired", "gauge",
           "Frames that are not used again because their memory is bad."},
    metric{"read_hits", "read_hits_total", "counter",
           "Pages of 4 KiB touched by reads that the fast tier served."},
    metric{"read_misses", "read_misses_total", "counter",
           "Pages of 4 KiB touched by reads that the disk served."},
    metric{"write_hits", "write_hits_total", "counter",
           "Pages of 4 KiB touched by writes that were resident before."},
    metric{"write_fills", "write_fills_total", "counter",
           "Pages of 4 KiB that became resident by a write."},
    metric{"write_bypass", "write_bypass_total", "counter",
           "Pages of 4 KiB touched by writes that went to the disk."},
    metric{"read_fills", "read_fills_total", "counter",
           "Pages of 4 KiB that became resident from reads."},
    metric{"fills_dropped", "fills_dropped_total", "counter",
           "Fills given up: the page changed meanwhile, its home was not flushed, or no frame was "
           "free."},
    metric{"evictions", "evictions_total", "counter", "Clean frames freed to make room."},
    metric{"writeback_bytes", "writeback_bytes_total", "counter",
           "Bytes written to homes from dirty frames."},
    metric{"fill_bytes", "fill_bytes_total", "counter",
           "Bytes copied into frames by reads and writes that made pages resident."},
    metric{"promotions", "promotions_total", "counter", "Extents moved up between capacity tiers."},
    metric{"demotions", "demotions_total", "counter", "Extents moved down between capacity tiers."},
    metric{"flushes", "flushes_total", "counter", "FLUSH requests received."},
    metric{"flushes_passed", "flushes_passed_total", "counter",
           "FLUSH requests that had to be passed to the disk."},
    metric{"parked", "parked_total", "counter",
           "Requests that had to wait for a frame or for an exclusive range."},
    metric{"media_errors", "media_errors_total", "counter", "Pages whose frame could not be read."},
    metric{"dram_bytes", "dram_bytes", "gauge",
           "Bytes of memory that the volume holds for its index, pins and policy."},
    metric{"metadata_bytes", "metadata_bytes", "gauge",
           "Bytes of the fast tier that hold words, shadows and superblocks."},
    metric{
        "flush_left_pages", "flush_left_pages", "gauge",
        "Pages that the flush that was asked for has still to write home; 0: none is under way."},
    metric{"flush_eta_ms", "flush_eta_seconds", "gauge",
           "How long the flush under way will take at the rate so far; 0: no guess.", 1e-3},
    metric{"memory_faults", "memory_faults_total", "counter",
           "Faults of programs that have the volume as memory."},
    metric{"memory_fills", "memory_fills_total", "counter",
           "Pages of 4 KiB that became resident because a program touched them, or those before "
           "them, in memory."},
    metric{"memory_unmaps", "memory_unmaps_total", "counter",
           "Pages of 4 KiB taken out of the page tables of programs."},
};

constexpr std::array<std::string_view, 4> states{TIERED_STATE_RW, TIERED_STATE_RO,
                                                 TIERED_STATE_DEGRADED, TIERED_STATE_FAIL};

/// Bounds of the histograms, which must stay the same as time goes on: powers of two nanoseconds,
/// where buckets of the driver end. From 256 ns to 17 s.
constexpr unsigned first_bound_log2 = 8;
constexpr unsigned last_bound_log2 = 34;

using out_text = std::back_insert_iterator<std::string>;

std::string label_value(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"')
            out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

void add_head(out_text out, std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(out, "# HELP tiered_{0} {1}\n# TYPE tiered_{0} {2}\n", name, help, type);
}

std::string volume_label(const monitored_volume& monitored) {
    return fmt::format("volume=\"{}\"", label_value(monitored.volume.name));
}

void add_identity(out_text out, const std::vector<monitored_volume>& volumes) {
    add_head(out, "volume_info", "gauge", "Always 1; the labels say what the volume is made of.");
    for (const monitored_volume& m : volumes)
        fmt::format_to(out, "tiered_volume_info{{{},uuid=\"{}\",fast=\"{}\",capacity=\"{}\"}} 1\n",
                       volume_label(m), label_value(m.volume.uuid), label_value(m.volume.fast_path),
                       label_value(m.volume.capacity_path));
    add_head(out, "volume_bytes", "gauge", "Size of the volume in bytes.");
    for (const monitored_volume& m : volumes)
        fmt::format_to(out, "tiered_volume_bytes{{{}}} {}\n", volume_label(m), m.volume.size_bytes);
    add_head(out, "volume_needs_check", "gauge",
             "1 when the driver asks for a check of the closed volume.");
    for (const monitored_volume& m : volumes)
        fmt::format_to(out, "tiered_volume_needs_check{{{}}} {}\n", volume_label(m),
                       m.volume.status.needs_check ? 1 : 0);
}

void add_states(out_text out, const std::vector<monitored_volume>& volumes) {
    add_head(out, "volume_state", "gauge",
             "1 for the state that the volume is in: rw, ro, degraded or fail; 0 for the others.");
    for (const monitored_volume& m : volumes)
        for (const std::string_view state : states)
            fmt::format_to(out, "tiered_volume_state{{{},state=\"{}\"}} {}\n", volume_label(m),
                           state, m.volume.status.state == state ? 1 : 0);
}

std::uint64_t field_value(const volume_counters& counters, std::string_view field) {
#define TIERED_COUNTER(name)                                                                       \
    if (field == #name)                                                                            \
        return counters.name;
    TIERED_STATUS_FIELDS(TIERED_COUNTER)
#undef TIERED_COUNTER
    return 0;
}

std::string value_text(std::uint64_t value, double scale) {
    return scale == 1 ? std::to_string(value)
                      : fmt::format("{}", static_cast<double>(value) * scale);
}

void add_metric(out_text out, const metric& m, const std::vector<monitored_volume>& volumes) {
    add_head(out, m.name, m.type, m.help);
    for (const monitored_volume& monitored : volumes)
        if (const auto& counters = monitored.volume.status.counters)
            fmt::format_to(out, "tiered_{}{{{}}} {}\n", m.name, volume_label(monitored),
                           value_text(field_value(*counters, m.field), m.scale));
}

void add_histogram(out_text out, const std::string& labels, const latency_histogram& histogram) {
    constexpr std::string_view name = "tiered_request_duration_seconds";
    for (unsigned log2 = first_bound_log2; log2 <= last_bound_log2; log2++) {
        const std::uint64_t bound_ns = std::uint64_t{1} << log2;
        fmt::format_to(out, "{}_bucket{{{},le=\"{}\"}} {}\n", name, labels,
                       static_cast<double>(bound_ns) / 1e9, histogram.samples_below(bound_ns));
    }
    const std::uint64_t samples = histogram.samples();
    fmt::format_to(out,
                   "{0}_bucket{{{1},le=\"+Inf\"}} {2}\n{0}_sum{{{1}}} {3}\n{0}_count{{{1}}} {2}\n",
                   name, labels, samples, histogram.estimated_sum_ns() / 1e9);
}

void add_histograms(out_text out, const std::vector<monitored_volume>& volumes) {
    add_head(out, "request_duration_seconds", "histogram",
             "Latency of a sample of the requests by the way they went: one hit or fast write in "
             "64, and all that the disk serves. The sum is estimated, 6 percent off at most.");
    for (const monitored_volume& m : volumes)
        for (const auto& [path, histogram] : m.latencies)
            add_histogram(out, fmt::format("{},path=\"{}\"", volume_label(m), path), histogram);
}

} // namespace

std::string prometheus_text(const std::vector<monitored_volume>& volumes) {
    std::string text;
    const out_text out(text);
    add_identity(out, volumes);
    add_states(out, volumes);
    for (const metric& m : metrics)
        add_metric(out, m, volumes);
    add_histograms(out, volumes);
    return text;
}

bool is_exposed(std::string_view field) {
    return std::ranges::find(metrics, field, &metric::field) != metrics.end();
}

} // namespace tiered
