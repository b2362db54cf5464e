// SPDX-License-Identifier: GPL-2.0-or-later
// What requests cost in simulation, worked out by hand.
#include "error.hpp"
#include "simulation.hpp"
#include "synthetic.hpp"

#include <gtest/gtest.h>

namespace {

using namespace tiered::sim;

constexpr device_model ssd = device_models[0];

class listed : public request_source {
public:
    explicit listed(std::vector<request> r) : requests(std::move(r)) {}
    bool next(request& r) override {
        if (at == requests.size())
            return false;
        r = requests[at++];
        return true;
    }
    void rewind() override { at = 0; }
    double progress() const override { return 1; }

private:
    const std::vector<request> requests;
    std::size_t at = 0;
};

request read_pages(std::uint64_t page, std::uint32_t pages) {
    return {0, page * page_bytes, pages * static_cast<std::uint32_t>(page_bytes), false};
}
request write_pages(std::uint64_t page, std::uint32_t pages) {
    return {0, page * page_bytes, pages * static_cast<std::uint32_t>(page_bytes), true};
}

struct result {
    counters count;
    times spent;
};

result run(const char* policy, std::uint32_t pages, std::vector<request> requests) {
    listed source(std::move(requests));
    std::vector<std::unique_ptr<tier>> tiers;
    tiers.push_back(make_tier(parse_policy(policy), pages, std::span(&ssd, 1)));
    simulate(source, tiers, {}, 1);
    return {tiers[0]->counts(), tiers[0]->time_on(0)};
}

constexpr double page_us = 4096.0 / 500;
constexpr double fast_page_us = 4096.0 / 6000;

TEST(Cost, WithoutATierItIsAllSlow) {
    // The second continues the first: no seek.
    const result r = run("none", 0, {read_pages(0, 1), read_pages(1, 2), read_pages(9, 1)});
    EXPECT_NEAR(200 + 4 * page_us, r.spent.total_us(), 1e-6);
    EXPECT_EQ(4u, r.count.page_accesses);
}

TEST(Cost, AMissFillsAndAHitIsFast) {
    const result r = run("lru", 4, {read_pages(5, 1), read_pages(5, 1)});
    EXPECT_NEAR(100 + page_us + 2 + fast_page_us, r.spent.service_us, 1e-6);
    EXPECT_NEAR(2 + fast_page_us, r.spent.migration_us, 1e-6);
    EXPECT_EQ(1u, r.count.page_hits);
    EXPECT_EQ(page_bytes, r.count.fill_bytes);
}

TEST(Cost, APartOfAPageIsFilledWhole) {
    const result r = run("lru", 4, {{0, 5 * page_bytes + 512, 512, false}});
    EXPECT_NEAR(100 + 512.0 / 500, r.spent.service_us, 1e-6);
    EXPECT_NEAR(3584.0 / 500 + 2 + fast_page_us, r.spent.migration_us, 1e-6);
}

TEST(Cost, BetweenMissesItReadsOnOrSeeks) {
    // Page 1 is resident: reading through it is cheaper than a seek.
    result r = run("lru", 64, {read_pages(1, 1), read_pages(0, 3)});
    EXPECT_NEAR(100 + page_us + 100 + 3 * page_us + 2 + fast_page_us, r.spent.service_us, 1e-6);
    // Here fourteen are, and that takes longer than a seek.
    r = run("lru", 64, {read_pages(1, 14), read_pages(0, 16)});
    EXPECT_NEAR(100 + 14 * page_us + 200 + 2 * page_us + 2 + 14 * fast_page_us, r.spent.service_us,
                1e-6);
}

TEST(Cost, DirtyNeighboursGoHomeTogether) {
    const result r = run("lru", 8, {write_pages(1, 1), write_pages(3, 1), write_pages(2, 1)});
    EXPECT_NEAR(3 * (2 + fast_page_us), r.spent.service_us, 1e-6);
    EXPECT_NEAR(100 + 3 * page_us, r.spent.migration_us, 1e-6);
    EXPECT_EQ(3 * page_bytes, r.count.writeback_bytes);
}

TEST(Cost, AnEvictedDirtyPageIsWrittenBack) {
    const result r = run("lru", 1, {write_pages(1, 1), read_pages(7, 1)});
    EXPECT_EQ(page_bytes, r.count.writeback_bytes);
    EXPECT_NEAR(100 + page_us + 2 + fast_page_us, r.spent.migration_us, 1e-6);
}

TEST(Cost, WritingThroughLeavesNothingDirty) {
    for (const char* policy : {"lru/through", "lru/around"}) {
        const result r = run(policy, 8, {write_pages(1, 1), write_pages(1, 1)});
        EXPECT_EQ(0u, r.count.writeback_bytes);
        EXPECT_GE(r.spent.service_us, 200 + 2 * page_us);
    }
    EXPECT_EQ(1u, run("lru/through", 8, {write_pages(1, 1), read_pages(1, 1)}).count.page_hits);
    EXPECT_EQ(0u, run("lru/around", 8, {write_pages(1, 1), read_pages(1, 1)}).count.page_hits);
}

TEST(Cost, APartOfAPageThatIsNotResidentIsNotAbsorbed) {
    const result r = run("lru", 8, {{0, 4096, 512, true}});
    EXPECT_NEAR(100 + 512.0 / 500, r.spent.total_us(), 1e-6);
}

TEST(Cost, AWideFillReadsItsGroup) {
    const result r = run("lru/16", 64, {read_pages(5, 1), read_pages(0, 16)});
    EXPECT_EQ(16u, r.count.page_hits);
    EXPECT_EQ(16 * page_bytes, r.count.fill_bytes);
    EXPECT_NEAR(15 * page_us + 2 + 16 * fast_page_us, r.spent.migration_us, 1e-6);
}

TEST(Smq, PromotesWholeBlocks) {
    std::vector<request> requests;
    for (int i = 0; i < 50; i++) {
        requests.push_back(read_pages(16 * (i % 4), 1));
        requests.back().time_us = 300'000ull * i;
    }
    const result r = run("smq", 16 * 8, requests);
    EXPECT_EQ(4 * 65536u, r.count.fill_bytes);
    EXPECT_GT(r.count.page_hits, 40u);
}

TEST(Policies, AreNamedWithTheirVariants) {
    EXPECT_EQ("lru", parse_policy("lru").text());
    EXPECT_EQ("arc/16/around", parse_policy("arc/around/16").text());
    EXPECT_EQ(write_mode::through, parse_policy("sieve/through").mode);
    EXPECT_THROW(parse_policy("mru"), tiered::error);
    EXPECT_THROW(parse_policy("lru/3"), tiered::error);
    EXPECT_THROW(parse_policy("clairvoyant/16"), tiered::error);
}

TEST(Synthetic, TheSameSeedMakesTheSameTrace) {
    for (const synthetic_trace& trace : synthetic_traces()) {
        const auto a = trace.make(3), b = trace.make(3), c = trace.make(4);
        request x, y, z;
        bool differs = false;
        for (int i = 0; i < 20'000; i++) {
            ASSERT_TRUE(a->next(x) && b->next(y) && c->next(z));
            ASSERT_EQ(x.offset, y.offset) << trace.name;
            ASSERT_EQ(x.write, y.write);
            differs = differs || x.offset != z.offset;
        }
        b->rewind();
        a->rewind();
        ASSERT_TRUE(a->next(x) && b->next(y));
        ASSERT_EQ(x.offset, y.offset) << trace.name;
        const bool regular = trace.name == "one-pass" || trace.name == "loop";
        EXPECT_EQ(!regular, differs) << trace.name;
    }
}

TEST(Survey, CountsWhatATraceTouches) {
    listed source({read_pages(0, 2), write_pages(1, 2), read_pages(1ull << 39, 1)});
    const survey about = survey_trace(source, std::span(&ssd, 1));
    EXPECT_EQ(3u, about.requests);
    EXPECT_EQ(4u, about.footprint_pages);
    EXPECT_EQ(5u, about.page_accesses);
    EXPECT_EQ(2 * page_bytes, about.written_bytes);
    EXPECT_NEAR(300 + 5 * page_us, about.all_slow_us[0], 1e-6);
    const future knowledge(source, about.page_accesses);
    const std::vector<std::uint64_t> uses(knowledge.next_uses().begin(),
                                          knowledge.next_uses().end());
    EXPECT_EQ((std::vector<std::uint64_t>{UINT64_MAX, 2, UINT64_MAX, UINT64_MAX, UINT64_MAX}),
              uses);
}

} // namespace
