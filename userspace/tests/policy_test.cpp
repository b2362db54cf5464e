// SPDX-License-Identifier: GPL-2.0-or-later
// The policy: forecasts from counts worked out by hand, and the bound on hostile traces.
#include "policy.h"
#include "policy_tier.hpp"
#include "simulation.hpp"
#include "synthetic.hpp"

#include <gtest/gtest.h>
#include <random>

namespace {

using namespace tiered::sim;
namespace sim = tiered::sim;

TEST(Forecast, AgesGrowByHalfOctaves) {
    EXPECT_EQ(0u, tiered_age(0));
    EXPECT_EQ(0u, tiered_age(15));
    EXPECT_EQ(1u, tiered_age(16));
    EXPECT_EQ(1u, tiered_age(23));
    EXPECT_EQ(2u, tiered_age(24));
    EXPECT_EQ(3u, tiered_age(32));
    EXPECT_EQ(3u, tiered_age(47));
    EXPECT_EQ(4u, tiered_age(48));
    EXPECT_EQ(TIERED_AGES - 1u, tiered_age(UINT32_MAX));
}

/// Rows that all have one parent.
class forecast {
public:
    forecast(std::uint32_t frames, std::uint32_t rows)
        : parents(rows, 0), memory(tiered_forecast_bytes(rows, 1) / 8 + 1) {
        tiered_forecast_init(&core, memory.data(), frames, rows, 1, parents.data());
    }

    /// `pages` of the row went through the age, and `used` were used at it.
    void observe(std::uint32_t row, std::uint32_t age, double pages, int used,
                 std::uint64_t saved_ns) {
        const double samples = pages * static_cast<double>(core.width[age]) / 65536;
        tiered_forecast_exposed(&core, row, age, static_cast<u32>(samples * TIERED_FORECAST_ONE));
        for (int i = 0; i < used; i++)
            tiered_forecast_reused(&core, row, age, saved_ns);
    }

    /// Pages of all later ages were seen, and never used.
    void nothing_from(std::uint32_t row, std::uint32_t age) {
        for (; age < TIERED_AGES; age++)
            observe(row, age, 100'000, 0, 0);
    }

    tiered_forecast core{};

private:
    std::vector<u16> parents;
    std::vector<std::uint64_t> memory;
};

TEST(Forecast, WorthIsTimeSavedForFrameTime) {
    forecast f(1000, 2);
    // All of row 0 are used again within the first age, a thousand times: it saves 100 us in 16 of
    // 1000 ticks.
    f.observe(0, 0, 100'000, 100'000, 100'000);
    f.nothing_from(0, 1);
    f.nothing_from(1, 0);
    tiered_forecast_rebuild(&f.core, 0, 0);
    // With 1/(1+x) for exp(-x), x = 1: half of the pages are used, and on average they stay for 3/4
    // of the age.
    const double expected = 100'000 * 0.5 / (0.75 * 16 / 1000);
    EXPECT_NEAR(expected, tiered_forecast_worth(&f.core, 0, 0), expected / 50);
    EXPECT_LT(tiered_forecast_worth(&f.core, 1, 0), expected / 100);
    EXPECT_NEAR(50'000, f.core.profit[0], 5000);
}

TEST(Forecast, LooksPastAnAgeWithoutUses) {
    forecast f(1000, 1);
    // Nothing before age 9 (256 to 384 ticks), then nearly every page: as in a loop.
    for (std::uint32_t age = 0; age < 9; age++)
        f.observe(0, age, 100'000, 0, 0);
    f.observe(0, 9, 100'000, 1'000'000, 100'000);
    for (std::uint32_t age = 10; age < TIERED_AGES; age++)
        f.observe(0, age, 1'000, 0, 0);
    tiered_forecast_rebuild(&f.core, 0, 0);
    // The nearer the use, the more a frame is worth; past it, little.
    EXPECT_GT(tiered_forecast_worth(&f.core, 0, 0), 0u);
    EXPECT_GT(tiered_forecast_worth(&f.core, 0, 5), tiered_forecast_worth(&f.core, 0, 0));
    EXPECT_GT(tiered_forecast_worth(&f.core, 0, 9), tiered_forecast_worth(&f.core, 0, 5));
    EXPECT_LT(tiered_forecast_worth(&f.core, 0, 12), tiered_forecast_worth(&f.core, 0, 9) / 4);
}

TEST(Forecast, APriceTakesProfitAway) {
    forecast f(1000, 1);
    f.observe(0, 0, 100'000, 100'000, 100'000);
    f.nothing_from(0, 1);
    tiered_forecast_rebuild(&f.core, 0, 0);
    const u32 at_nothing = f.core.profit[0];
    tiered_forecast_rebuild(&f.core, tiered_forecast_worth(&f.core, 0, 0) / 2, 0);
    EXPECT_NEAR(at_nothing / 2, f.core.profit[0], at_nothing / 10);
    tiered_forecast_rebuild(&f.core, UINT32_MAX, 0);
    EXPECT_EQ(0u, f.core.profit[0]);
}

TEST(Forecast, ForgetsByItsDecay) {
    forecast f(1000, 1);
    f.observe(0, 0, 100'000, 1000, 100'000);
    const u32 before = f.core.row[0].reuses[0];
    tiered_forecast_rebuild(&f.core, 0, 32768);
    EXPECT_NEAR(before / 2, f.core.row[0].reuses[0], 2);
}

TEST(Policy, NeedsNoMoreThanTwelveBytesAFrameOrGhost) {
    EXPECT_LE(sizeof(tiered_policy_frame), 12u);
    EXPECT_LE(sizeof(tiered_policy_ghost), 12u);
}

/// A policy whose frames all hold a page that was read once; frame n holds page n.
class full {
public:
    static constexpr u32 frames = 64;

    full() : memory(tiered_policy_bytes(frames) / 8 + 1) {
        const tiered_policy_costs costs{100'000, 8192, 2000, 683};
        tiered_policy_init(&core, memory.data(), frames, &costs);
        for (u32 frame = 0; frame < frames; frame++) {
            const tiered_policy_offer offer{frame, tiered_policy_row_once(0),
                                            TIERED_POLICY_HEAT_ONCE, 0};
            tiered_policy_place(&core, frame, &offer);
        }
    }

    void hit(u32 page, u32 flags) {
        tiered_policy_cpu* const cpus[] = {&cpu};
        const tiered_policy_index index{[](void*, u64 at) { return static_cast<u32>(at); },
                                        nullptr};
        tiered_policy_page_hit(&core, &cpu, page, flags, flags & TIERED_POLICY_IO_STREAM);
        tiered_policy_work(&core, cpus, 1, &index);
    }

    tiered_policy core{};

private:
    std::vector<std::uint64_t> memory;
    tiered_policy_cpu cpu{};
};

TEST(Policy, CountsWhatALargeTierHas) {
    // 8 TiB: twice as many ghosts are more than 32 bits can count.
    const std::uint64_t most_counted = (1ull << 31) - 8;
    const auto before = tiered_policy_bytes(static_cast<u32>(most_counted));
    for (std::uint64_t more : {5ull, 6ull, 7ull, 8ull, 1ull << 30})
        EXPECT_LE(before, tiered_policy_bytes(static_cast<u32>(most_counted + more))) << more;
    // 2 TiB: eight times as many requests are the horizon of what is learned.
    full policy;
    policy.core.frames = 1u << 29;
    policy.core.now += 1'000'000;
    tiered_policy_rebuild(&policy.core);
    EXPECT_EQ(policy.core.rebuilt_at, policy.core.now);
}

TEST(Policy, NamesOnlyVictimsThatMayGo) {
    full policy;
    const auto none = [](void*, u32) { return false; };
    const auto fifth = [](void*, u32 frame) { return frame == 5; };
    u32 named = 0;
    for (int i = 0; i < 200; i++) {
        EXPECT_EQ(TIERED_POLICY_NEW, tiered_policy_victim(&policy.core, none, nullptr));
        const u32 victim = tiered_policy_victim(&policy.core, fifth, nullptr);
        named += victim == 5;
        EXPECT_TRUE(victim == 5 || victim == TIERED_POLICY_NEW) << victim;
    }
    EXPECT_GT(named, 0u);
}

TEST(Policy, NamesNoFrameThatIsEmpty) {
    full policy;
    for (u32 frame = 0; frame < full::frames; frame++)
        tiered_policy_gone(&policy.core, frame);
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(TIERED_POLICY_NEW, tiered_policy_victim(&policy.core, nullptr, nullptr));
}

TEST(Policy, AStreamThatPassesOverPagesMakesThemNoPartOfIt) {
    full policy;
    policy.hit(3, TIERED_POLICY_IO_STREAM);
    EXPECT_EQ(policy.core.frame[3].row % 2, 0) << "the page is held for one of a stream";
    EXPECT_GT(policy.core.frame[3].heat, TIERED_POLICY_HEAT_ONCE);
}

TEST(Policy, OtherCostsChangeNothingThatCanBeSpent) {
    full policy;
    tiered_policy_inherit(&policy.core, 10);
    EXPECT_EQ(0, tiered_policy_balance(&policy.core));
    const tiered_policy_costs slow{8'000'000, 27'000, 2000, 683};
    tiered_policy_set_costs(&policy.core, &slow);
    EXPECT_EQ(0, tiered_policy_balance(&policy.core));
}

/// A source that makes as many requests as asked, each by a function of a random generator.
class hostile : public request_source {
public:
    using maker = std::function<request(std::mt19937_64&, std::uint64_t)>;
    hostile(std::uint64_t count, maker m) : requests(count), make(std::move(m)) {}
    bool next(request& r) override {
        if (made == requests)
            return false;
        r = make(random, made++);
        return true;
    }
    void rewind() override {
        made = 0;
        random.seed(7);
    }
    double progress() const override { return 1; }

private:
    const std::uint64_t requests;
    const maker make;
    std::mt19937_64 random{7};
    std::uint64_t made = 0;
};

/// The bound, at every request and at the end.
void expect_bounded(request_source& source, std::uint32_t pages, const char* what) {
    for (const device_model& device : device_models) {
        policy_tier tier(pages, device);
        double all_slow = 0;
        std::optional<request> before;
        source.rewind();
        for (sim::access a{}; source.next(a.r); before = a.r) {
            a.continuation = continues(a.r, before);
            all_slow += all_slow_us(device, a.r, a.continuation);
            tier.serve(a);
            ASSERT_GE(tier.balance_ns(), 0) << what << " on " << device.name;
            ASSERT_LE(tier.time_on(0).total_us(), 1.01 * all_slow) << what << " on " << device.name;
        }
        tier.finish();
        EXPECT_LE(tier.time_on(0).total_us(), 1.01 * all_slow) << what << " on " << device.name;
        EXPECT_LE(tier.counts().writeback_bytes, tier.counts().written_bytes) << what;
    }
}

request piece(std::uint64_t offset, std::uint32_t bytes, bool write) {
    return {0, offset, bytes, write};
}

TEST(PolicyBound, HoldsWhereNothingRepeats) {
    hostile once(40'000,
                 [](auto&, std::uint64_t i) { return piece(i * 7919 * 4096, 4096, i % 3 == 0); });
    expect_bounded(once, 500, "one pass, scattered");
    hostile stream(40'000,
                   [](auto&, std::uint64_t i) { return piece(i * 65536, 65536, i % 2000 < 700); });
    expect_bounded(stream, 500, "one pass, in order");
}

TEST(PolicyBound, HoldsForSmallPiecesOfStreams) {
    // A piece of 512 bytes of a stream takes longer in the fast tier than at home.
    hostile pieces(60'000, [](auto&, std::uint64_t i) {
        return piece(i % 8192 * 512, 512, i / 8192 % 2 == 0);
    });
    expect_bounded(pieces, 2000, "small pieces");
    hostile absorbed(60'000, [](auto&, std::uint64_t i) {
        const std::uint64_t round = i / 4096;
        return round % 2 ? piece(i % 4096 * 512, 512, false) : piece(i % 512 * 4096, 4096, true);
    });
    expect_bounded(absorbed, 2000, "absorbed, then read in small pieces");
}

TEST(PolicyBound, HoldsWhenDirtyRunsAreCutToPieces) {
    hostile cuts(60'000, [](auto& random, std::uint64_t i) {
        if (i % 4 < 2)
            return piece(random() % 64 * 65536, 65536, true);
        return piece(random() % 1024 * 4096 + random() % 8 * 512, 512, i % 4 == 2);
    });
    expect_bounded(cuts, 600, "runs cut");
}

TEST(PolicyBound, HoldsForBytesWhenPagesAreWrittenInParts) {
    // Pages that are read often get a few bytes each, and then the hot set moves on: a page goes
    // home for each piece.
    hostile parts(60'000, [](auto& random, std::uint64_t i) {
        const std::uint64_t page = (i / 6000 * 600 + random() % 600) * 7;
        const bool write = i % 6000 > 4000 && i % 2;
        return write ? piece(page * 4096 + 512, 512, true) : piece(page * 4096, 4096, false);
    });
    expect_bounded(parts, 600, "parts of pages");
}

TEST(PolicyBound, HoldsForTeasers) {
    // Each page comes until it is likely to be resident, and then never again.
    hostile teaser(60'000, [](auto& random, std::uint64_t i) {
        return piece((i / 6 * 2654435761u % 1'000'000) * 4096, 4096, random() % 2);
    });
    expect_bounded(teaser, 800, "teaser");
    // What was learned turns out wrong every few thousand requests.
    hostile turncoat(80'000, [](auto& random, std::uint64_t i) {
        const std::uint64_t range = i / 5000 % 2 ? 400 : 400'000;
        return piece(random() % range * 4096, static_cast<std::uint32_t>(1 + random() % 8) * 4096,
                     random() % 3 == 0);
    });
    expect_bounded(turncoat, 1000, "turncoat");
}

TEST(PolicyBound, HoldsForTiersOfAFewPages) {
    hostile any(20'000, [](auto& random, std::uint64_t) {
        return piece(random() % 300 * 1024, static_cast<std::uint32_t>(512 + random() % 256 * 512),
                     random() % 2);
    });
    for (const std::uint32_t pages : {1u, 2u, 7u, 33u})
        expect_bounded(any, pages, "few pages");
}

double total_percent(const char* trace, const char* policy, double part, std::uint64_t seed) {
    const auto source = make_synthetic(trace, seed);
    const survey about = survey_trace(*source, std::span(device_models).first(1));
    std::vector<std::unique_ptr<tier>> tiers;
    tiers.push_back(
        make_tier(parse_policy(policy),
                  static_cast<std::uint32_t>(part * static_cast<double>(about.footprint_pages)),
                  std::span(device_models).first(1)));
    simulate(*source, tiers, {}, about.requests);
    return 100 * tiers[0]->time_on(0).total_us() / about.all_slow_us[0];
}

TEST(Policy, DoesWellWhereDataRepeats) {
    EXPECT_LT(total_percent("zipf-1.1", "ours", 0.1, 9), total_percent("zipf-1.1", "lru", 0.1, 9));
    EXPECT_LT(total_percent("lsm", "ours", 0.1, 9), 50);
}

} // namespace
