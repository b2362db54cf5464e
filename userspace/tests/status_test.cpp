// SPDX-License-Identifier: GPL-2.0-or-later
// The status line: read by position, shown with every documented name.
#include "error.hpp"
#include "status.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <vector>

namespace {

using namespace tiered;

std::vector<std::string> field_names() {
    return {
#define TIERED_COUNTER(name) #name,
        TIERED_STATUS_FIELDS(TIERED_COUNTER)
#undef TIERED_COUNTER
    };
}

/// A line whose fields count up from 1000.
std::string line(std::size_t fields, const std::string& start = "rw -") {
    std::string text = start;
    for (std::size_t i = 0; i < fields; i++)
        text += " " + std::to_string(1000 + i);
    return text;
}

TEST(Status, CountsLostPagesAmongThoseThatTheDiskLacks) {
    volume_counters counters;
    EXPECT_EQ(0u, counters.pages_not_home());
    counters.frames_dirty = 5;
    counters.frames_lost = 2;
    EXPECT_EQ(7u, counters.pages_not_home());
}

TEST(Status, ReadsEveryFieldAtItsPosition) {
    const std::vector<std::string> names = field_names();
    const volume_status status = parse_status(line(names.size()));
    EXPECT_EQ("rw", status.state);
    EXPECT_FALSE(status.needs_check);
    ASSERT_TRUE(status.counters);
    std::uint64_t wanted = 1000;
#define TIERED_COUNTER(name) EXPECT_EQ(wanted++, status.counters->name);
    TIERED_STATUS_FIELDS(TIERED_COUNTER)
#undef TIERED_COUNTER
}

TEST(Status, PassesOverWhatANewerDriverAppended) {
    EXPECT_TRUE(parse_status(line(field_names().size()) + " 5 x y").counters);
}

TEST(Status, RefusesALineThatEndsEarly) {
    for (std::size_t fields = 0; fields < field_names().size(); fields++)
        EXPECT_THROW(parse_status(line(fields)), error) << fields;
    EXPECT_THROW(parse_status(""), error);
    EXPECT_THROW(parse_status("rw"), error);
}

TEST(Status, RefusesWordsWhereNumbersShouldBe) {
    for (const char* word : {"x", "-1", "12k", "99999999999999999999999"}) {
        std::string text = std::string("rw - ") + word;
        for (std::size_t i = 1; i < field_names().size(); i++)
            text += " 1";
        EXPECT_THROW(parse_status(text), error) << word;
    }
}

TEST(Status, ReadsAFailedVolume) {
    const volume_status status = parse_status("fail");
    EXPECT_EQ("fail", status.state);
    EXPECT_FALSE(status.counters);
}

TEST(Status, ReadsTheRequestForACheck) {
    EXPECT_TRUE(parse_status(line(field_names().size(), "ro needs_check")).needs_check);
}

TEST(Status, ReadsCountersOf64Bits) {
    std::string text = "rw - 18446744073709551615";
    for (std::size_t i = 1; i < field_names().size(); i++)
        text += " 1";
    EXPECT_EQ(~std::uint64_t{0}, parse_status(text).counters->frame_bytes);
}

open_volume sample() {
    open_volume volume;
    volume.name = "demo";
    volume.uuid = "u";
    volume.fast_path = "/dev/pmem0";
    volume.capacity_path = "/dev/vda";
    volume.size_bytes = 1 << 30;
    volume.status = parse_status(line(field_names().size()));
    return volume;
}

TEST(Status, JsonHasEveryDocumentedName) {
    const auto json = status_json(sample());
    for (const char* name :
         {"name",           "uuid",        "state",        "size_bytes",      "frame_bytes",
          "frames_total",   "frames_free", "frames_clean", "frames_dirty",    "frames_lost",
          "frames_retired", "read_hits",   "read_misses",  "write_hits",      "write_fills",
          "write_bypass",   "read_fills",  "evictions",    "writeback_bytes", "fill_bytes",
          "promotions",     "demotions",   "latency_us",   "hit_ratio",       "needs_check"})
        EXPECT_TRUE(json.contains(name)) << name;
    for (const char* name : {"read_hit", "read_miss", "write_fast", "write_bypass"})
        for (const char* part : {"p50", "p99"})
            EXPECT_TRUE(json["latency_us"][name][part].is_number()) << name;
    for (const char* name : {"read", "write", "all"})
        EXPECT_TRUE(json["hit_ratio"][name].is_number()) << name;
    EXPECT_FALSE(json.contains("read_hit_p50_ns"));
}

TEST(Status, JsonOfAFailedVolumeHasTheSameNamesWithoutValues) {
    open_volume failed = sample();
    const auto whole = status_json(failed);
    failed.status = parse_status("fail");
    const auto json = status_json(failed);
    for (const auto& [name, value] : whole.items())
        EXPECT_TRUE(json.contains(name)) << name;
    EXPECT_TRUE(json["frames_total"].is_null());
    EXPECT_EQ("fail", json["state"]);
    EXPECT_FALSE(status_report(failed).empty());
}

TEST(Status, HitRatiosCountPages) {
    volume_counters counters;
    EXPECT_FALSE(hit_ratios_of(counters).all);
    counters.read_hits = 3;
    counters.read_misses = 1;
    counters.write_hits = 1;
    counters.write_fills = 1;
    counters.write_bypass = 2;
    const hit_ratios hits = hit_ratios_of(counters);
    EXPECT_DOUBLE_EQ(0.75, *hits.read);
    EXPECT_DOUBLE_EQ(0.25, *hits.write);
    EXPECT_DOUBLE_EQ(0.5, *hits.all);
}

TEST(Status, LatencyWithoutASampleIsNull) {
    open_volume volume = sample();
    volume.status.counters->read_hit_p50_ns = 0;
    volume.status.counters->read_hit_p99_ns = 2500;
    const auto json = status_json(volume);
    EXPECT_TRUE(json["latency_us"]["read_hit"]["p50"].is_null());
    EXPECT_DOUBLE_EQ(2.5, json["latency_us"]["read_hit"]["p99"].get<double>());
}

TEST(Status, ReportForPeopleSaysWhatMatters) {
    open_volume volume = sample();
    volume.status.needs_check = true;
    const std::string report = status_report(volume);
    for (const char* text : {"demo: rw", "needs a check", "/dev/mapper/demo", "/dev/pmem0",
                             "/dev/vda", "1.0 GiB", "dirty", "pages hit"})
        EXPECT_NE(std::string::npos, report.find(text)) << text << " in:\n" << report;
}

} // namespace
