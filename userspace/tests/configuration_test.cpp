// SPDX-License-Identifier: GPL-2.0-or-later
// What people write into /etc/tiered.d, and what they are told when it is wrong.
#include "configuration.hpp"
#include "error.hpp"
#include "unit_name.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace {

using namespace tiered;

std::string complaint(const std::string& text) {
    try {
        configuration_from_text(text, "x.conf");
    } catch (const error& e) {
        return e.what();
    }
    return "";
}

TEST(Configuration, HasDefaults) {
    const configured_volume volume = configuration_from_text("name = data\n", "x.conf");
    EXPECT_EQ("data", volume.name);
    EXPECT_EQ(open_when::boot, volume.open);
    EXPECT_EQ(std::chrono::seconds(30), volume.wait);
    EXPECT_TRUE(volume.capacity.empty());
    EXPECT_FALSE(volume.read_only || volume.writethrough || volume.without_fast ||
                 volume.memory_only);
}

TEST(Configuration, TakesEverySetting) {
    const configured_volume volume = configuration_from_text("# comment\n\n  name=data  \r\n"
                                                             "open = no\n"
                                                             "options = read_only  without_fast\n"
                                                             "\tcapacity = /dev/disk/by-id/a=b\n"
                                                             "wait = 0",
                                                             "x.conf");
    EXPECT_EQ("data", volume.name);
    EXPECT_EQ(open_when::never, volume.open);
    EXPECT_TRUE(volume.read_only && volume.without_fast && !volume.writethrough);
    EXPECT_EQ("/dev/disk/by-id/a=b", volume.capacity);
    EXPECT_EQ(std::chrono::seconds(0), volume.wait);
}

TEST(Configuration, SaysWhichLineIsWrong) {
    const std::pair<const char*, const char*> mistakes[] = {
        {"", "x.conf names no volume"},
        {"open = boot\n", "x.conf names no volume"},
        {"name = a\nnonsense\n", "x.conf, line 2: 'nonsense' is no setting"},
        {"\n\nname = a b\n", "x.conf, line 3: "},
        {"name =\n", "x.conf, line 1: "},
        {"name = a\nname = a\n", "x.conf, line 2: 'name' stands in this file already"},
        {"name = a\n#\nopen = maybe", "x.conf, line 3: 'open' cannot be 'maybe'"},
        {"options = without_fast\nopen = initramfs\nname = a",
         "x.conf has 'open = initramfs' with"},
        {"name = a\nopen = \n", "x.conf, line 2: 'open' cannot be ''"},
        {"options = memory_only read_only\nname = a",
         "x.conf has the option 'memory_only' beside others"},
        {"options = readonly", "x.conf, line 1: there is no option 'readonly'"},
        {"capacity = vda", "x.conf, line 1: 'capacity' cannot be 'vda'"},
        {"wait = -1", "x.conf, line 1: 'wait' cannot be '-1'"},
        {"wait = 3601", "x.conf, line 1: 'wait' cannot be '3601'"},
        {"wait = 30 s", "x.conf, line 1: 'wait' cannot be '30 s'"},
        {"wait = 99999999999", "x.conf, line 1: 'wait' cannot be '99999999999'"},
        {"Name = a", "x.conf, line 1: there is no setting 'Name'"},
    };
    for (const auto& [text, sentence] : mistakes)
        EXPECT_EQ(0u, complaint(text).find(sentence)) << text << ": " << complaint(text);
}

TEST(Configuration, OneBadFileDoesNotKeepTheOthersOut) {
    std::string folder = testing::TempDir() + "tiered.d-XXXXXX";
    ASSERT_NE(nullptr, ::mkdtemp(folder.data()));
    const auto write = [&](const char* file, const char* text) {
        std::ofstream(folder + "/" + file) << text;
    };
    write("c.conf", "name = third\n");
    write("a.conf", "name = first\n");
    write("b.conf", "nonsense\n");
    write("d.conf", "name = first\n");
    write("e.conf~", "nonsense\n");
    std::filesystem::create_directory(folder + "/f.conf");
    const configuration read = read_configuration(folder);
    ASSERT_EQ(2u, read.volumes.size());
    EXPECT_EQ("first", read.volumes[0].name);
    EXPECT_EQ("third", read.volumes[1].name);
    ASSERT_EQ(3u, read.complaints.size());
    EXPECT_NE(std::string::npos, read.complaints[1].find("as is " + folder + "/a.conf"));
    EXPECT_EQ("third", require_configured("third", folder).name);
    EXPECT_THROW(require_configured("second", folder), error);
    std::filesystem::remove_all(folder);
    EXPECT_TRUE(read_configuration(folder).volumes.empty());
}

TEST(UnitName, IsWhatSystemdEscapeMakes) {
    EXPECT_EQ("data", unit_escaped("data"));
    EXPECT_EQ("a\\x2db\\x2bc.d_0", unit_escaped("a-b+c.d_0"));
}

} // namespace
