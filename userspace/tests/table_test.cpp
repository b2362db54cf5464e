// SPDX-License-Identifier: GPL-2.0-or-later
// Table lines, and the options of an open volume.
#include "error.hpp"
#include "table.hpp"
#include "volume_options.hpp"

#include <gtest/gtest.h>

namespace {

using namespace tiered;

std::string complaint_about(const std::string& option, const std::string& value) {
    volume_table table{"259:0", "254:0", {}};
    try {
        set_option(table, require_volume_option(option), value);
        require_consistent_options(table);
    } catch (const error& e) {
        return e.what();
    }
    return {};
}

TEST(Table, IsWrittenAsItWasRead) {
    for (const char* line : {"259:0 1 254:0", "- 1 /dev/vda 1 nothing_dirty", "a 1 b 1 memory_only",
                             "259:0 1 254:0 6 read_only writethrough admission all dirty_high 50"})
        EXPECT_EQ(line, parse_table(line).parameters());
}

TEST(Table, WhatIsNoneIsRefused) {
    for (const char* line : {"", "259:0", "259:0 1", "259:0 2 254:0 254:16", "a 1 b 1", "a 1 b x y",
                             "a 1 b 1 admission", "a 1 b 3 admission all"})
        EXPECT_THROW(parse_table(line), error) << line;
}

TEST(Table, OptionsAreChangedInPlace) {
    volume_table table = parse_table("a 1 b 3 writethrough admission all");
    EXPECT_TRUE(table.has("writethrough"));
    EXPECT_EQ("", table.value_of("writethrough"));
    EXPECT_EQ("all", table.value_of("admission"));
    EXPECT_FALSE(table.value_of("dirty_low"));
    table.put("admission", "none");
    table.drop("writethrough");
    EXPECT_EQ("a 1 b 2 admission none", table.parameters());
}

TEST(VolumeOptions, SayWhatTheTableMakesOfThem) {
    const volume_table table = parse_table("a 1 b 3 writethrough dirty_high 80");
    EXPECT_EQ("yes", option_value(table, require_volume_option("writethrough")));
    EXPECT_EQ("80", option_value(table, require_volume_option("dirty_high")));
    EXPECT_EQ("40", option_value(table, require_volume_option("dirty_low")));
    EXPECT_EQ("small", option_value(table, require_volume_option("admission")));
}

TEST(VolumeOptions, AreSetAndTakenBack) {
    volume_table table = parse_table("a 1 b 1 read_only");
    set_option(table, require_volume_option("writethrough"), "yes");
    set_option(table, require_volume_option("latency_target_us"), "0");
    EXPECT_EQ("a 1 b 4 read_only writethrough latency_target_us 0", table.parameters());
    set_option(table, require_volume_option("writethrough"), "no");
    set_option(table, require_volume_option("latency_target_us"), "default");
    EXPECT_EQ("a 1 b 1 read_only", table.parameters());
}

TEST(VolumeOptions, OutsideTheirRangeAreRefusedWithIt) {
    for (const volume_option& option : volume_options()) {
        EXPECT_EQ("", complaint_about(std::string(option.name), std::string(option.default_value)))
            << option.name;
        for (const char* value : {"", "-1", "1e9", "10000001", "0x10", "96 ", "Yes", "maybe"})
            EXPECT_NE(
                std::string::npos,
                complaint_about(std::string(option.name), value).find(std::string(option.range)))
                << option.name << "=" << value;
    }
    EXPECT_EQ("", complaint_about("latency_target_us", "10000000"));
    EXPECT_NE("", complaint_about("dirty_high", "0"));
    EXPECT_NE("", complaint_about("dirty_high", "96"));
    EXPECT_NE(std::string::npos, complaint_about("dirty_low", "60").find("must be below"));
    EXPECT_THROW(require_volume_option("colour"), error);
}

} // namespace
