// SPDX-License-Identifier: GPL-2.0-or-later
// The references: short sequences worked out by hand, and what must hold on long ones.
#include "frequency_sketch.hpp"
#include "page_map.hpp"
#include "replacement.hpp"
#include "simulation.hpp"
#include "synthetic.hpp"

#include <gtest/gtest.h>
#include <unordered_map>

namespace {

using namespace tiered::sim;

/// Hits of a sequence of single pages, as a string: h for a hit, m for a miss.
std::string hits(replacement& policy, const std::vector<std::uint64_t>& pages) {
    std::string result;
    for (const std::uint64_t page : pages) {
        const bool hit = policy.hit(page);
        if (!hit)
            policy.offer(page);
        result += hit ? 'h' : 'm';
    }
    return result;
}

TEST(Lru, EvictsTheLeastRecentlyUsed) {
    const auto lru = make_lru(3);
    EXPECT_EQ("mmmhmhmm", hits(*lru, {1, 2, 3, 1, 4, 1, 2, 3}));
}

TEST(Arc, KeepsWhatWasUsedTwiceThroughAScan) {
    const auto arc = make_arc(4);
    // 1 and 2 get into T2; the scan runs through T1 only.
    EXPECT_EQ("mmhhmmmmmmhh", hits(*arc, {1, 2, 1, 2, 10, 11, 12, 13, 14, 15, 1, 2}));
}

TEST(Arc, AdaptsItsTargetOnGhostHits) {
    const auto arc = make_arc(2);
    // 1 to T2. 2, then 3: 2 goes to B1. 2 again: a ghost, the target grows, and 1 leaves T2 instead
    // of 3.
    EXPECT_EQ("mhmmm", hits(*arc, {1, 1, 2, 3, 2}));
    EXPECT_TRUE(arc->resident(2));
    EXPECT_TRUE(arc->resident(3));
    EXPECT_FALSE(arc->resident(1));
}

TEST(S3Fifo, LetsOneHitWondersGoQuickly) {
    const auto s3 = make_s3_fifo(10);
    // 1 is used twice more in the small queue: it moves to the main queue and survives forty
    // others.
    EXPECT_EQ("mhh", hits(*s3, {1, 1, 1}));
    for (std::uint64_t page = 100; page < 140; page++)
        EXPECT_EQ("m", hits(*s3, {page}));
    EXPECT_EQ("h", hits(*s3, {1}));
}

TEST(S3Fifo, TakesAGhostIntoTheMainQueue) {
    const auto s3 = make_s3_fifo(10);
    for (std::uint64_t page = 0; page <= 10; page++)
        s3->offer(page);
    EXPECT_FALSE(s3->resident(0));
    // 0 comes back as a ghost, and then outlives those that came with it at first.
    hits(*s3, {0});
    for (std::uint64_t page = 100; page < 108; page++)
        s3->offer(page);
    EXPECT_TRUE(s3->resident(0));
    EXPECT_FALSE(s3->resident(5));
}

TEST(Sieve, SweepsFromTheOldestAndSparesTheVisited) {
    const auto sieve = make_sieve(3);
    // 1 was visited: the hand passes it (taking the mark away) and evicts 2, then 3, then, with no
    // mark, 1 is behind it.
    EXPECT_EQ("mmmhmm", hits(*sieve, {1, 2, 3, 1, 4, 5}));
    EXPECT_TRUE(sieve->resident(1));
    EXPECT_FALSE(sieve->resident(2));
    EXPECT_FALSE(sieve->resident(3));
    EXPECT_EQ("m", hits(*sieve, {6}));
    // The hand went on to 4, not back to 1.
    EXPECT_FALSE(sieve->resident(4));
    EXPECT_TRUE(sieve->resident(1));
}

TEST(TinyLfu, RefusesWhatIsNotMoreFrequent) {
    const auto policy = make_tinylfu_bypass(2);
    EXPECT_EQ("mmhh", hits(*policy, {1, 2, 1, 2}));
    EXPECT_EQ("mm", hits(*policy, {3, 3}));
    EXPECT_FALSE(policy->resident(3));
    // The third use makes it more frequent than the victim.
    EXPECT_EQ("m", hits(*policy, {3}));
    EXPECT_TRUE(policy->resident(3));
}

TEST(WTinyLfu, HasAWindowForTheNew) {
    const auto policy = make_w_tinylfu(100);
    hits(*policy, {1});
    EXPECT_TRUE(policy->resident(1));
    for (std::uint64_t page = 1000; page < 1100; page++)
        hits(*policy, {page, page, page});
    hits(*policy, {2});
    EXPECT_TRUE(policy->resident(2));
    // The next one pushes it out of the window, and it is less frequent than any victim.
    hits(*policy, {3});
    EXPECT_FALSE(policy->resident(2));
}

TEST(SkiRental, BuysWhenTheRentExceedsThePrice) {
    const auto policy = make_ski_rental(4, 100);
    policy->saving(60);
    EXPECT_EQ("mmh", hits(*policy, {1, 1, 1}));
    policy->saving(9);
    // Cheap accesses have to come often: eighths of the price are counted.
    EXPECT_EQ("mmmmmmmmmh", hits(*policy, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2}));
}

TEST(FrequencySketch, HalvesWhatIsOld) {
    frequency_sketch sketch(16);
    for (int i = 0; i < 8; i++)
        sketch.add(7);
    EXPECT_EQ(8, sketch.estimate(7));
    for (int i = 8; i < 160; i++)
        sketch.add(1000 + i);
    EXPECT_EQ(4, sketch.estimate(7));
}

TEST(PageMap, AgreesWithTheStandardLibrary) {
    page_map map(4);
    std::unordered_map<std::uint64_t, std::uint32_t> model;
    std::uint64_t state = 1;
    for (int i = 0; i < 200'000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const std::uint64_t page = (state >> 40) % 3000 << (state >> 33 & 1 ? 20 : 0);
        if (state >> 32 & 1) {
            map.set(page, static_cast<std::uint32_t>(i));
            model[page] = static_cast<std::uint32_t>(i);
        } else {
            EXPECT_EQ(model.erase(page) == 1, map.erase(page));
        }
    }
    EXPECT_EQ(model.size(), map.size());
    for (const auto& [page, value] : model)
        ASSERT_EQ(value, map.find(page));
}

/// Single-page reads, so that hits are all that counts.
class page_reads : public request_source {
public:
    page_reads(std::string_view name, std::uint64_t most)
        : source(make_synthetic(name, 5)), limit(most) {}
    bool next(request& r) override {
        const bool any = made++ < limit && source->next(r);
        r.write = false;
        r.bytes = page_bytes;
        return any;
    }
    void rewind() override {
        made = 0;
        source->rewind();
    }
    double progress() const override { return source->progress(); }

private:
    std::unique_ptr<request_source> source;
    const std::uint64_t limit;
    std::uint64_t made = 0;
};

TEST(Clairvoyant, NobodyHitsMore) {
    for (const char* name : {"zipf-0.8", "shift", "random-loop", "trap", "lsm"}) {
        page_reads reads(name, 30'000);
        const survey about = survey_trace(reads, device_models);
        const future knowledge(reads, about.page_accesses);
        std::vector<std::unique_ptr<tier>> tiers;
        const std::vector<std::string> names{"clairvoyant",    "lru",       "arc",
                                             "s3-fifo",        "sieve",     "w-tinylfu",
                                             "tinylfu-bypass", "ski-rental"};
        for (const std::string& policy : names)
            tiers.push_back(
                make_tier(parse_policy(policy), 1000, std::span(device_models).first(1)));
        simulate(reads, tiers, knowledge.next_uses(), about.requests);
        for (std::size_t i = 1; i < names.size(); i++)
            EXPECT_GE(tiers[0]->counts().page_hits, tiers[i]->counts().page_hits)
                << names[i] << " on " << name;
    }
}

TEST(Clairvoyant, IsBeladysWithBypass) {
    const auto policy = make_clairvoyant(1);
    // 1 at 0 and 3, 2 at 1 and 2: with one frame, 2 takes it from 1, and 1 then passes by.
    const std::uint64_t next[] = {3, 2, UINT64_MAX, UINT64_MAX};
    const std::uint64_t pages[] = {1, 2, 2, 1};
    std::string result;
    for (int i = 0; i < 4; i++) {
        policy->next_use(next[i]);
        const bool hit = policy->hit(pages[i]);
        if (!hit)
            policy->offer(pages[i]);
        result += hit ? 'h' : 'm';
    }
    EXPECT_EQ("mmhm", result);
}

} // namespace
