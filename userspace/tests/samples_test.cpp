// SPDX-License-Identifier: GPL-2.0-or-later
// The sample of requests: rings of the driver's core, and replies about them.
#include "samples.hpp"

#include "core/samples.h"
#include "error.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>

namespace {

using namespace tiered;

/// A ring of so many entries.
class ring {
public:
    ring(u32 entries, u32 rate_log2)
        : core(static_cast<tiered_sample_ring*>(std::calloc(1, tiered_sample_ring_bytes(entries))),
               &std::free) {
        tiered_sample_ring_init(core.get(), entries, rate_log2);
    }
    void put(const tiered_sample& sample) { tiered_sample_put(core.get(), &sample); }
    /// The numbers of those samples that can still be had; each has its number for a sector.
    std::vector<u64> numbers() const {
        std::vector<u64> found;
        tiered_sample sample;
        for (u64 i = 0; i <= tiered_sample_count(core.get()); i++)
            if (tiered_sample_get(core.get(), i, &sample)) {
                EXPECT_EQ(i, sample.sector);
                found.push_back(i);
            }
        return found;
    }
    tiered_sample at(u64 number) const {
        tiered_sample sample{};
        EXPECT_TRUE(tiered_sample_get(core.get(), number, &sample)) << number;
        return sample;
    }
    u64 since_us() const { return tiered_sample_since_us(core.get()); }

private:
    std::unique_ptr<tiered_sample_ring, decltype(&std::free)> core;
};

tiered_sample numbered(u64 number) {
    return {.time_us = 1000 * number,
            .sector = number,
            .sectors = 8,
            .write = false,
            .more = false,
            .accesses = 3 * number,
            .hits = 2 * number};
}

TEST(SampleRing, KeepsTheNewest) {
    ring r(4, 4);
    EXPECT_TRUE(r.numbers().empty());
    for (u64 i = 0; i < 3; i++)
        r.put(numbered(i));
    EXPECT_EQ((std::vector<u64>{0, 1, 2}), r.numbers());
    EXPECT_EQ(0u, r.since_us());
    for (u64 i = 3; i < 11; i++)
        r.put(numbered(i));
    // The next one may be on its way into the place of the fourth.
    EXPECT_EQ((std::vector<u64>{8, 9, 10}), r.numbers());
    EXPECT_NEAR(8000, r.since_us(), 17);
}

TEST(SampleRing, TellsWhatWasPut) {
    ring r(16, 4);
    const tiered_sample most{.time_us = 60'000'000'000'000, // two years
                             .sector = (1ull << 43) - 1,
                             .sectors = TIERED_SAMPLE_GROUP_SECTORS,
                             .write = true,
                             .more = true,
                             .accesses = 65535,
                             .hits = 65534};
    r.put(most);
    const tiered_sample told = r.at(0);
    EXPECT_NEAR(static_cast<double>(most.time_us), static_cast<double>(told.time_us), 17);
    EXPECT_EQ(most.sector, told.sector);
    EXPECT_EQ(most.sectors, told.sectors);
    EXPECT_TRUE(told.write && told.more);
    EXPECT_EQ(most.accesses, told.accesses);
    EXPECT_EQ(most.hits, told.hits);
    r.put({.time_us = 1,
           .sector = 0,
           .sectors = 1,
           .write = false,
           .more = false,
           .accesses = 65536,
           .hits = 65534});
    EXPECT_EQ(1u, r.at(1).sectors);
    EXPECT_FALSE(r.at(1).write || r.at(1).more);
    EXPECT_EQ(1u, r.at(1).accesses);
    EXPECT_EQ(0u, r.at(1).hits);
}

TEST(SampleRing, WhatDoesNotFitIsToldLater) {
    ring r(100, 12);
    u64 accesses = 0;
    tiered_sample sample = numbered(0);
    sample.accesses = 5'000'000;
    for (int i = 0; i < 50; i++)
        r.put(sample);
    for (u64 i = 0; i < 50; i++)
        accesses += r.at(i).accesses;
    EXPECT_NEAR(5'000'000, static_cast<double>(accesses), 16);
}

TEST(SampleRate, LeavesWindowAndMemoryInBounds) {
    for (u32 frames = 1; frames < 1u << 31; frames *= 2)
        for (const u32 cpus : {1u, 2u, 64u, 1024u}) {
            const u32 entries = tiered_sample_entries(frames, cpus);
            const u32 rate = tiered_sample_rate_log2(frames, entries);
            EXPECT_GE(rate, 4u);
            // One that is four times larger can be filled twice by one CPU.
            EXPECT_LE(4 * (u64{frames} >> rate), entries / 2) << frames << " " << cpus;
            if (frames >= 16384 && cpus <= frames / 4096) {
                EXPECT_LE(u64{entries} * cpus * sizeof(tiered_sample_entry), 4ull * frames);
            }
        }
}

TEST(SampleRate, TakesItsShareOfEveryRange) {
    for (const u32 rate : {4u, 6u, 10u}) {
        const u64 threshold = tiered_sample_threshold(rate);
        EXPECT_FALSE(tiered_sample_takes(0, threshold));
        for (const u64 first : {0ull, 1000ull, 123'456'789ull}) {
            u64 taken = 0;
            for (u64 groups = 1; groups <= 20ull << rate; groups++) {
                taken += tiered_sample_takes(first + groups - 1, threshold);
                EXPECT_NEAR(static_cast<double>(groups) / static_cast<double>(1 << rate),
                            static_cast<double>(taken), 3);
            }
        }
    }
}

TEST(SamplesReply, TellsSamplesAndWhereToGoOn) {
    const samples_reply reply = parse_samples_reply("64:7 100:8:8:r:70:60 90:512:512:w+:0:0 33");
    EXPECT_EQ(64u, reply.one_in);
    EXPECT_EQ(7u, reply.since_us);
    const std::vector<request_sample> expected{{100, 8, 8, false, false, 70, 60},
                                               {90, 512, 512, true, true, 0, 0}};
    EXPECT_EQ(expected, reply.samples);
    EXPECT_EQ(33u, reply.next);
    EXPECT_FALSE(parse_samples_reply("16:0 -").next.has_value());
}

TEST(SamplesReply, RefusesOtherTexts) {
    for (const char* text : {"",
                             "-",
                             "64 -",
                             "0:0 -",
                             "64:0",
                             "64:0:0 -",
                             "x:0 -",
                             "64:0 1:8:8:r:1 -",
                             "64:0 1:8:8:r:1:1:1 -",
                             "64:0 1:8:8:x:1:1 -",
                             "64:0 1:8:8:r+w:1:1 -",
                             "64:0 1:8:8::1:1 -",
                             "64:0 1:8:0:r:1:1 -",
                             "64:0 1:8:513:r:1:1 -",
                             "64:0 1:511:2:r:1:1 -",
                             "64:0 1:8796093022208:1:r:1:1 -",
                             "64:0 1:8:8:r:4294967296:1 -",
                             "64:0 1:8:8:r:1:-1 -",
                             "64:0 999999999999999:8:8:r:1:1 -",
                             "64:0 1:18446744073709551615:8:r:1:1 -"})
        EXPECT_THROW(parse_samples_reply(text), error) << text;
}

TEST(Samples, ComeInOrderAndWhole) {
    // Of two processors, each from the newest sample on; what came before SINCE is incomplete.
    const sampled_requests all = put_together(
        {parse_samples_reply("16:0 50:24:8:r:1:0 50:8:16:r+:4:2 20:8:8:w:1:1 100"),
         parse_samples_reply("16:10 60:16:8:w:1:0 40:8:8:w+:2:0 30:0:8:r:1:1 5:0:8:r:1:1 -")});
    const std::vector<request_sample> expected{{20, 8, 8, true, false, 1, 1},
                                               {30, 0, 8, false, false, 1, 1},
                                               {40, 8, 16, true, false, 3, 0},
                                               {50, 8, 24, false, false, 5, 2}};
    EXPECT_EQ(expected, all.samples);
    EXPECT_EQ(16u, all.one_in);
    EXPECT_EQ(10u, all.since_us);
    EXPECT_THROW(put_together({parse_samples_reply("16:0 1"), parse_samples_reply("32:0 -")}),
                 error);
}

} // namespace
