// SPDX-License-Identifier: GPL-2.0-or-later
// The suite: how it judges, and what the policy must do after a jump and during a scan.
#include "suite.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <set>

namespace {

using namespace tiered::sim;

cell on_ssd(const char* trace, const char* policy, double percent) {
    return {trace, 5, "ssd", policy, percent, 0, 0, 0};
}

TEST(Suite, ComparesWithTheBestInEachPlaceAndWithTheBestSingle) {
    const std::vector<verdict> verdicts = judge({
        on_ssd("a", "ours", 50),
        on_ssd("a", "lru", 40),
        on_ssd("a", "arc", 80),
        on_ssd("a", "none", 100),
        on_ssd("a", "clairvoyant", 20),
        on_ssd("b", "ours", 98),
        on_ssd("b", "lru", 160),
        on_ssd("b", "arc", 125),
        on_ssd("b", "none", 100),
        on_ssd("b", "clairvoyant", 80),
    });
    const verdict& v = verdicts[0];
    EXPECT_EQ("ssd", v.device);
    ASSERT_EQ(2u, v.places.size());
    EXPECT_EQ("lru", v.places[0].best_policy);
    EXPECT_EQ("none", v.places[1].best_policy);
    EXPECT_NEAR(70.0, v.ours_mean, 1e-9);
    EXPECT_NEAR(std::sqrt(40 * 100.0), v.virtual_best_mean, 1e-9);
    EXPECT_NEAR(40.0, v.clairvoyant_mean, 1e-9);
    // Having no tier at all is no policy, however well it does.
    EXPECT_EQ("lru", v.best_single);
    EXPECT_NEAR(80.0, v.best_single_mean, 1e-9);
    EXPECT_NEAR(1.25, v.worst_ratio().ratio(), 1e-9);
    EXPECT_EQ("a", v.worst_ratio().trace);
    EXPECT_EQ("b", v.worst_total().trace);
}

TEST(Suite, ReferencesHaveEveryWidthAndWayOfWriting) {
    std::set<std::string> names;
    for (const policy_name& policy : suite_references())
        names.insert(policy.text());
    for (const char* name : {"lru", "lru/16", "lru/through", "lru/16/around", "ski-rental/16",
                             "smq", "none", "clairvoyant"})
        EXPECT_EQ(1u, names.count(name)) << name;
}

TEST(Suite, ADenseHotSetThatJumpedIsBackSoon) {
    const std::vector<double> windows = recovery(parse_policy("ours"), device_models[1], 3);
    ASSERT_EQ(15u, windows.size());
    EXPECT_LE(windows[2], 30);
    EXPECT_LE(windows[6], 5);
}

TEST(Suite, AScanLeavesAHotSetAlone) {
    const scan_effect scan = scan_resistance(parse_policy("ours"), device_models[0], 3);
    EXPECT_GT(scan.before, 0.9);
    EXPECT_GT(scan.during, scan.before - 0.01);
}

} // namespace
