// SPDX-License-Identifier: GPL-2.0-or-later
// What monitoring sees of a volume: histograms, Prometheus' text, the map, what top shows.
#include "../tierctl/top_view.hpp"
#include "error.hpp"
#include "heat_map.hpp"
#include "prometheus.hpp"
#include "replace_file.hpp"
#include "text.hpp"

#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <zlib.h>

namespace {

using namespace tiered;
using namespace tierctl;

constexpr std::uint64_t mib = 1 << 20;

std::string status_line() {
    std::string line = "rw -";
    for (int i = 0; i < 40; i++)
        line += fmt::format(" {}", 1000 + i);
    return line;
}

open_volume sample(const std::string& name = "demo") {
    return {.name = name,
            .uuid = "9a1f8f1a-1f5e-4b1e-8d57-0a3ad1b1c9d2",
            .fast_path = "/dev/pmem0",
            .capacity_path = "/dev/vda",
            .size_bytes = 300 * mib,
            .open_count = 1,
            .status = parse_status(status_line())};
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
}

TEST(Histogram, CountsExactlyAtPowersOfTwo) {
    const latency_histogram h = parse_histogram_reply("896:1 1024:2 1152:3 4096:4 -");
    EXPECT_EQ(10U, h.samples());
    EXPECT_EQ(3U, h.samples_below(1024));
    EXPECT_EQ(6U, h.samples_below(2048));
    EXPECT_EQ(1152U, h.percentile_ns(50));
    EXPECT_EQ(4096U, h.percentile_ns(99));
    EXPECT_EQ(0U, latency_histogram{}.percentile_ns(50));
    EXPECT_NEAR(896 + 2 * 1024 + 3 * 1152 + 4 * 4096, h.estimated_sum_ns(), 22736 * 0.07);
}

TEST(Histogram, DifferenceIsWhatCameSince) {
    const latency_histogram before = parse_histogram_reply("896:1 1024:2 -");
    const latency_histogram after = parse_histogram_reply("896:1 1024:5 2048:7 -");
    EXPECT_EQ((std::vector<latency_bucket>{{1024, 3}, {2048, 7}}), after.since(before).buckets);
}

TEST(Histogram, OtherRepliesAreRefused) {
    for (const char* text : {"", "896:1", "896 -", "896:x -", "1024:1 896:1 -", "896:1 5"})
        EXPECT_THROW(parse_histogram_reply(text), error) << text;
}

TEST(Prometheus, HasEveryFieldExceptPercentiles) {
#define TIERED_EXPECTED(name)                                                                      \
    EXPECT_EQ(!std::string_view(#name).ends_with("_ns"), is_exposed(#name)) << #name;
    TIERED_STATUS_FIELDS(TIERED_EXPECTED)
#undef TIERED_EXPECTED
}

TEST(Prometheus, GroupsTheSamplesOfAMetric) {
    monitored_volume first{sample("one"), {}}, second{sample("two"), {}};
    first.latencies["read_hit"] = parse_histogram_reply("896:1 1024:2 -");
    const std::string text = prometheus_text({first, second});
    EXPECT_TRUE(has(text, "# TYPE tiered_read_hits_total counter\n"
                          "tiered_read_hits_total{volume=\"one\"} 1007\n"
                          "tiered_read_hits_total{volume=\"two\"} 1007\n"))
        << text;
    EXPECT_TRUE(has(text, "_bucket{volume=\"one\",path=\"read_hit\",le=\"5.12e-07\"} 0\n"));
    EXPECT_TRUE(has(text, "_bucket{volume=\"one\",path=\"read_hit\",le=\"1.024e-06\"} 3\n"));
    EXPECT_TRUE(has(text, "_count{volume=\"one\",path=\"read_hit\"} 3\n"));
    EXPECT_TRUE(has(text, "tiered_flush_eta_seconds{volume=\"one\"} 1.034\n")) << text;
}

TEST(Prometheus, FailedVolumeHasItsStateAlone) {
    monitored_volume failed{sample(), {}};
    failed.volume.status = parse_status("fail");
    failed.volume.capacity_path = "/dev/a\"b\\c\nd";
    const std::string text = prometheus_text({failed});
    EXPECT_TRUE(has(text, "tiered_volume_state{volume=\"demo\",state=\"fail\"} 1\n"));
    EXPECT_TRUE(has(text, "tiered_volume_state{volume=\"demo\",state=\"rw\"} 0\n"));
    EXPECT_TRUE(has(text, "capacity=\"/dev/a\\\"b\\\\c\\nd\""));
    EXPECT_FALSE(has(text, "tiered_read_hits_total{"));
}

TEST(HeatMap, CellsShareTheVolume) {
    const std::vector<extent_heat> extents{{0, 256, 128, 0}, {1, 256, 0, 256}, {5, 1, 0, 0}};
    const std::vector<heat_cell> cells = heat_cells(extents, 8 * mib, 4);
    ASSERT_EQ(4U, cells.size());
    EXPECT_DOUBLE_EQ(1, cells[0].resident);
    EXPECT_DOUBLE_EQ(0.25, cells[0].dirty);
    EXPECT_DOUBLE_EQ(0.5, cells[0].recent);
    EXPECT_EQ("@ . ", heat_row(cells));
    EXPECT_EQ(8U, heat_cells(extents, 8 * mib, 1000).size());
    // An extent of a volume that grew meanwhile.
    EXPECT_EQ("@", heat_row(heat_cells(extents, mib, 3)));
}

TEST(HeatMap, PictureHasASquareForEachExtent) {
    const std::string svg = heat_svg("demo", std::vector<extent_heat>{{2, 256, 256, 0}}, 10 * mib);
    std::size_t squares = 0;
    for (std::size_t at = svg.find("<title>"); at != svg.npos; at = svg.find("<title>", at + 1))
        squares++;
    EXPECT_EQ(10U, squares);
    EXPECT_TRUE(has(svg, "at 2.0 MiB: 100 % resident, 100 % dirty"));
    EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

/// What a reader of PNG makes of a file: every chunk's checksum holds.
struct decoded_png {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::string format; ///< depth, colour type, methods
    std::string rows;
    std::vector<std::string> types;
    std::vector<std::string> texts;

    std::string pixel(std::size_t x, std::size_t y) const {
        return rows.substr(y * (1 + std::size_t{3} * width) + 1 + 3 * x, 3);
    }
};

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (const char byte : bytes.substr(at, 4))
        value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
}

std::uint32_t checksum(const std::string& bytes) {
    return static_cast<std::uint32_t>(
        ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

std::string inflated(const std::string& data, std::size_t size) {
    std::string out(size, 0);
    uLongf got = size;
    EXPECT_EQ(Z_OK, ::uncompress(reinterpret_cast<Bytef*>(out.data()), &got,
                                 reinterpret_cast<const Bytef*>(data.data()), data.size()));
    EXPECT_EQ(size, got);
    return out;
}

decoded_png decode(const std::string& png) {
    decoded_png picture;
    EXPECT_EQ("\x89PNG\r\n\x1a\n", png.substr(0, 8));
    for (std::size_t at = 8; at < png.size();) {
        const std::size_t length = number_at(png, at);
        const std::string type = png.substr(at + 4, 4), data = png.substr(at + 8, length);
        EXPECT_EQ(checksum(type + data), number_at(png, at + 8 + length)) << type;
        picture.types.push_back(type);
        if (type == "IHDR") {
            picture.width = number_at(data, 0);
            picture.height = number_at(data, 4);
            picture.format = data.substr(8);
        } else if (type == "IDAT") {
            picture.rows = inflated(data, picture.height * (1 + std::size_t{3} * picture.width));
        } else if (type == "tEXt") {
            picture.texts.push_back(data);
        }
        at += 12 + length;
    }
    return picture;
}

TEST(HeatMap, PixelsAreWhatReadersOfPngSee) {
    const std::vector<extent_heat> extents{{0, 256, 0, 0}, {2, 256, 256, 0}};
    const decoded_png picture = decode(heat_png("demo", extents, 10 * mib));
    const std::vector<std::string> types{"IHDR", "tEXt", "tEXt", "IDAT", "IEND"};
    EXPECT_EQ(types, picture.types);
    // Ten squares of ten pixels: four columns and three rows, in a margin of twenty.
    EXPECT_EQ(80U, picture.width);
    EXPECT_EQ(70U, picture.height);
    EXPECT_EQ(std::string({8, 2, 0, 0, 0}), picture.format);
    EXPECT_EQ("Title", picture.texts.at(0).substr(0, picture.texts.at(0).find('\0')));
    EXPECT_TRUE(has(picture.texts.at(0), "demo: 10.0 MiB, a square is 1.0 MiB"));
    const std::string white(3, '\xff'), blue{31, 97, '\x8d'}, red{'\xcb', 67, 53};
    EXPECT_EQ(blue, picture.pixel(20, 20));
    EXPECT_EQ(blue, picture.pixel(28, 28));
    EXPECT_EQ(white, picture.pixel(29, 28)); // between squares
    EXPECT_EQ(white, picture.pixel(19, 20));
    EXPECT_EQ(std::string(3, '\xf4'), picture.pixel(30, 20)); // an extent that is not resident
    EXPECT_EQ(red, picture.pixel(40, 20));
    EXPECT_EQ(std::string(3, '\xf4'), picture.pixel(30, 40)); // the last
    EXPECT_EQ(white, picture.pixel(40, 40));                  // and none
    for (std::size_t y = 0; y < picture.height; y++)
        EXPECT_EQ('\0', picture.rows.at(y * (1 + std::size_t{3} * picture.width)));
}

observation seen() {
    const open_volume volume = sample();
    volume_sample before{{}, volume, {}}, after = before;
    after.at += std::chrono::seconds(2);
    after.volume.status.counters->read_hits += 300;
    after.volume.status.counters->read_misses += 100;
    after.volume.status.counters->writeback_bytes += 4 * mib;
    after.latencies[0] = parse_histogram_reply("2048:10 -");
    return {activity_between(before, after),
            {{1, 20, 0, 1}, {2, 256, 3, 200}},
            {{2, "filled_read", 7}}};
}

TEST(Top, RatesAreOfTheInterval) {
    const auto json = top_json(seen());
    EXPECT_DOUBLE_EQ(200, json["read_pages_per_s"]);
    EXPECT_DOUBLE_EQ(0.75, json["hit_ratio"]["read"]);
    EXPECT_TRUE(json["hit_ratio"]["write"].is_null());
    EXPECT_DOUBLE_EQ(2 * mib, json["writeback_bytes_per_s"]);
    EXPECT_DOUBLE_EQ(2.048, json["latency_us"]["read_hit"]["p50"]);
    EXPECT_EQ(2 * mib, json["hottest"][0]["offset_bytes"]);
    EXPECT_EQ("filled_read", json["hottest"][0]["reason"]);
    EXPECT_TRUE(json["hottest"][1]["reason"].is_null());
    EXPECT_TRUE(has(top_line(seen()), "reads 200/s (75.0 % hit)")) << top_line(seen());
}

TEST(Top, VolumeThatCountsFromZeroAgainDidNothingImpossible) {
    const volume_sample before{{}, sample(), {}};
    volume_sample after{{}, sample(), {}};
    after.volume.status.counters->read_hits = 5;
    EXPECT_EQ(0U, activity_between(before, after).did.read_hits);
    EXPECT_DOUBLE_EQ(0, activity_between(before, after).per_second(7));
}

TEST(Top, ScreenFitsWhateverItsSize) {
    for (const std::size_t columns : {1, 20, 80, 300})
        for (const std::size_t rows : {1, 5, 24, 100}) {
            const auto lines = top_screen(seen(), {columns, rows});
            EXPECT_LE(lines.size(), rows);
            for (const std::string& line : lines)
                EXPECT_LE(line.size(), columns);
        }
    std::string all;
    for (const std::string& line : top_screen(seen(), {120, 40}))
        all += line + "\n";
    for (const char* text : {"demo  rw  300.0 MiB", "200/s pages,  75.0 % hit   hit 2.0 us",
                             "2.0 MiB/s written back", "7 s ago filled_read: a small read missed"})
        EXPECT_TRUE(has(all, text)) << text << " in:\n" << all;
}

TEST(ReplaceFile, KeepsModeAndLeavesNothingElse) {
    const auto folder =
        std::filesystem::temp_directory_path() / fmt::format("tiered-replace-{}", ::getpid());
    std::filesystem::create_directory(folder);
    const std::string path = folder / "x.prom";
    struct stat st {};
    replace_file(path, "first\n", 0640);
    ASSERT_EQ(0, ::stat(path.c_str(), &st));
    EXPECT_EQ(0640U, st.st_mode & 07777);
    ASSERT_EQ(0, ::chmod(path.c_str(), 0604));
    replace_file(path, "second\n", 0640);
    ASSERT_EQ(0, ::stat(path.c_str(), &st));
    EXPECT_EQ(0604U, st.st_mode & 07777);
    EXPECT_EQ("second", read_text_file(path));
    EXPECT_THROW(replace_file(folder / "none" / "x", "text", 0640), error);
    EXPECT_EQ(1, std::distance(std::filesystem::directory_iterator(folder), {}));
    std::filesystem::remove_all(folder);
}

TEST(ReplaceFile, LeavesWhatIsNoFile) {
    std::string folder = testing::TempDir() + "replace-XXXXXX";
    ASSERT_NE(nullptr, ::mkdtemp(folder.data()));
    const std::string pipe = folder + "/pipe";
    const std::string link = folder + "/link";
    ASSERT_EQ(0, ::mkfifo(pipe.c_str(), 0600));
    std::filesystem::create_symlink("file", link);
    replace_file(folder + "/file", "old\n", 0600);
    for (const std::string& path : {pipe, link, folder})
        EXPECT_THROW(replace_file(path, "new\n", 0600), error) << path;
    EXPECT_TRUE(std::filesystem::is_fifo(pipe));
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    EXPECT_EQ("old", read_text_file(folder + "/file"));
    EXPECT_EQ(3, std::distance(std::filesystem::directory_iterator(folder), {}));
    std::filesystem::remove_all(folder);
}

} // namespace
