// SPDX-License-Identifier: GPL-2.0-or-later
// Traces in files: what each format says, and what is told about a bad one.
#include "trace_error.hpp"
#include "trace_file.hpp"

#include <cstdio>
#include <gtest/gtest.h>
#include <zstd.h>

namespace {

using namespace tiered::sim;

class file {
public:
    explicit file(const std::string& contents, const char* suffix = "") {
        path = testing::TempDir() + "trace_" +
               testing::UnitTest::GetInstance()->current_test_info()->name() + suffix;
        std::FILE* f = std::fopen(path.c_str(), "w");
        std::fwrite(contents.data(), 1, contents.size(), f);
        std::fclose(f);
    }
    ~file() { std::remove(path.c_str()); }

    std::string path;
};

std::vector<request> all_of(request_source& source) {
    std::vector<request> requests;
    for (request r; source.next(r);)
        requests.push_back(r);
    return requests;
}

std::vector<request> read_trace(const std::string& contents) {
    const file f(contents);
    trace_file trace(f.path);
    return all_of(trace);
}

std::string complaint(const std::string& contents, const char* suffix = "") {
    const file f(contents, suffix);
    try {
        trace_file trace(f.path);
        all_of(trace);
    } catch (const trace_error& e) {
        return e.what();
    }
    return "";
}

void expect_complaint(const std::string& contents, const std::string& line,
                      const std::string& reason) {
    const std::string said = complaint(contents);
    EXPECT_NE(std::string::npos, said.find("line " + line + ": ")) << said;
    EXPECT_NE(std::string::npos, said.find(reason)) << said;
}

const std::string header = "time_us,op,offset,bytes\n";

TEST(TraceFile, ReadsCsvWithAndWithoutHeader) {
    for (const std::string& top : {header, std::string()}) {
        const auto requests = read_trace(top + "0,R,4096,512\n70,W,8192,65536\n");
        ASSERT_EQ(2u, requests.size());
        EXPECT_EQ(4096u, requests[0].offset);
        EXPECT_EQ(512u, requests[0].bytes);
        EXPECT_FALSE(requests[0].write);
        EXPECT_TRUE(requests[1].write);
        EXPECT_EQ(70u, requests[1].time_us);
        EXPECT_EQ(2u, requests[1].first_page());
        EXPECT_EQ(16u, requests[1].pages());
    }
}

TEST(TraceFile, ReadsFioIologs) {
    const auto v2 = read_trace("fio version 2 iolog\n/dev/a add\n/dev/a open\n/dev/a read 0 4096\n"
                               "/dev/a wait 50 0\n/dev/a write 8192 1024\n/dev/a close\n");
    ASSERT_EQ(2u, v2.size());
    EXPECT_TRUE(v2[1].write);
    EXPECT_EQ(50u, v2[1].time_us);
    EXPECT_EQ(1024u, v2[1].bytes);
    const auto v3 = read_trace("fio version 3 iolog\n0 /dev/a add\n3 /dev/a read 4096 512\n");
    ASSERT_EQ(1u, v3.size());
    EXPECT_EQ(4096u, v3[0].offset);
}

TEST(TraceFile, TakesWhatBlkparseSaysWasQueued) {
    const auto requests =
        read_trace("  8,0    3        1     0.000000000   697  A   W 223490 + 8 <- (8,1) 223427\n"
                   "  8,0    3        2     0.000001829   697  Q   W 223490 + 8 [kjournald]\n"
                   "  8,0    3        3     0.500002000   697  Q  RA 16 + 1 [cat]\n"
                   "  8,0    3        4     0.500003000   697  Q FWS [cat]\n"
                   "  8,0    3        5     0.600000000     0  C   W 223490 + 8 [0]\n"
                   "CPU0 (sda):\n Reads Queued:           1,        4KiB\n");
    ASSERT_EQ(2u, requests.size());
    EXPECT_EQ(223490u * 512, requests[0].offset);
    EXPECT_EQ(4096u, requests[0].bytes);
    EXPECT_TRUE(requests[0].write);
    EXPECT_EQ(1u, requests[0].time_us);
    EXPECT_EQ(500002u, requests[1].time_us);
    EXPECT_FALSE(requests[1].write);
}

TEST(TraceFile, SaysWhereAndWhyALineIsBad) {
    expect_complaint(header + "0,R,0,4096\n1,R,0\n", "3", "3 columns instead of the 4");
    expect_complaint(header + "0,X,0,4096\n", "2", "neither R nor W");
    expect_complaint(header + "0,R,-4096,4096\n", "2", "negative");
    expect_complaint(header + "0,R,0,0\n", "2", "no bytes");
    expect_complaint(header + "0,R,0,4096000000\n", "2", "larger than any device takes");
    expect_complaint(header + "0,R,4503599627370496,512\n", "2", "beyond 4 PiB");
    expect_complaint(header + "0,R,18446744073709551615,512\n", "2", "beyond 4 PiB");
    expect_complaint(header + "0,R,99999999999999999999,512\n", "2", "too large");
    expect_complaint(header + "0,R,12x,512\n", "2", "not a number");
    expect_complaint(header + "5,R,0,512\n4,R,0,512\n", "3", "sort the trace");
    expect_complaint(header + "0,R,0,512\n1,R,0,51", "3", "ends in the middle");
    expect_complaint("", "1", "empty");
    expect_complaint("fio version 2 iolog\n/dev/a read 0 512\n/dev/b read 0 512\n", "3",
                     "several files");
    expect_complaint("fio version 2 iolog\n/dev/a jump 0 512\n", "2", "no action");
    expect_complaint(std::string(300'000, 'x') + "\n", "1", "longer than 64 KiB");
}

std::string compressed(const std::string& text) {
    std::string out(ZSTD_compressBound(text.size()), 0);
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
    return out;
}

TEST(TraceFile, ReadsZstdAndStartsOver) {
    std::string text = header;
    for (int i = 0; i < 100'000; i++)
        text += std::to_string(i) + ",R," + std::to_string(i * 7919ull % 65536 * 4096) + ",4096\n";
    // Two frames, as `cat a.zst b.zst` makes them.
    const file f(compressed(text.substr(0, 1'000'003)) + compressed(text.substr(1'000'003)),
                 ".zst");
    trace_file trace(f.path);
    for (int round = 0; round < 2; round++) {
        const auto requests = all_of(trace);
        ASSERT_EQ(100'000u, requests.size());
        EXPECT_EQ(99'999ull * 7919 % 65536 * 4096, requests.back().offset);
        EXPECT_EQ(1.0, trace.progress());
        trace.rewind();
    }
}

TEST(TraceFile, NoticesDamagedAndTruncatedZstd) {
    std::string text = header;
    for (int i = 0; i < 10'000; i++)
        text += std::to_string(i) + ",R," + std::to_string(i * 7919ull % 65536 * 4096) + ",4096\n";
    std::string data = compressed(text);
    EXPECT_NE(std::string::npos,
              complaint(data.substr(0, data.size() / 2), ".zst").find("truncated"));
    data[0] ^= 1;
    EXPECT_NE(std::string::npos, complaint(data, ".zst").find("damaged"));
}

} // namespace
