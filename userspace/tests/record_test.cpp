// SPDX-License-Identifier: GPL-2.0-or-later
// What a machine remembers of volumes whose fast tier may go missing.
#include "error.hpp"
#include "record.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace {

using namespace tiered;

class Records : public testing::Test {
protected:
    Records() {
        std::string pattern = testing::TempDir() + "records-XXXXXX";
        folder = ::mkdtemp(pattern.data());
    }
    ~Records() override { std::filesystem::remove_all(folder); }

    std::string folder;
};

volume_record sample(const std::string& uuid, std::int64_t recorded_s) {
    volume_record record;
    record.name = "demo";
    record.uuid = uuid;
    record.fast_path = "/dev/pmem3";
    record.volume_sectors = 1 << 20;
    record.tier.size_sectors = 1 << 21;
    record.tier.adopted = true;
    record.tier.serial = "S \"1\"";
    record.tier.fs_uuid = "F1";
    record.homes = homes_state::lacking;
    record.missing_pages = 17;
    record.recorded_s = recorded_s;
    record.pins = {{0, 16}, {1ull << 40, 3}};
    return record;
}

TEST_F(Records, ComeBackAsTheyWere) {
    const record_store store(folder + "/made/when/needed");
    store.keep(sample("u1", 5));
    const auto found = store.find_uuid("u1");
    ASSERT_TRUE(found);
    EXPECT_EQ(record_text(sample("u1", 5)), record_text(*found));
    EXPECT_EQ("S \"1\"", found->tier.serial);
    EXPECT_EQ(17u, found->missing_pages);
    EXPECT_EQ(sample("u1", 5).pins, found->pins);
    EXPECT_FALSE(store.find_uuid("u2"));
}

TEST_F(Records, AreFoundByNameTheNewestFirst) {
    const record_store store(folder);
    EXPECT_FALSE(store.find_name("demo"));
    store.keep(sample("u1", 5));
    store.keep(sample("u2", 7));
    store.keep(sample("u3", 6));
    EXPECT_EQ("u2", store.find_name("demo")->uuid);
    store.forget("u2");
    EXPECT_EQ("u3", store.find_name("demo")->uuid);
    EXPECT_NO_THROW(store.forget("u2"));
}

TEST_F(Records, LeaveNothingOfAReplacementThatAPowerCutEnded) {
    const record_store store(folder);
    store.keep(sample("u2", 7));
    for (const char* name : {"/u2.json.AbCdEf", "/u22.json.AbCdEf", "/u2.dump"})
        std::ofstream(folder + name) << "half";
    store.forget("u2");
    EXPECT_FALSE(std::filesystem::exists(folder + "/u2.json.AbCdEf"));
    EXPECT_TRUE(std::filesystem::exists(folder + "/u22.json.AbCdEf"));
    EXPECT_TRUE(std::filesystem::exists(folder + "/u2.dump"));
}

TEST_F(Records, AreOfTheSameDiskBySerialNumberOrFileSystem) {
    const auto tier = [](const char* serial, const char* fs_uuid) {
        tier_identity made;
        made.size_sectors = 8;
        made.serial = serial;
        made.fs_uuid = fs_uuid;
        return made;
    };
    EXPECT_TRUE(is_same_disk(tier("S1", "F1"), tier("S1", "F2")));
    EXPECT_FALSE(is_same_disk(tier("S1", "F1"), tier("S2", "F1")));
    EXPECT_FALSE(is_same_disk(tier("S1", "F1"), tier("", "F1")));
    EXPECT_TRUE(is_same_disk(tier("", "F1"), tier("", "F1")));
    EXPECT_FALSE(is_same_disk(tier("", ""), tier("", ""))) << "sizes repeat";
}

TEST_F(Records, SayWhetherTheDiskHasEverything) {
    volume_record record = sample("u1", 5);
    for (const homes_state whole : {homes_state::whole, homes_state::writethrough,
                                    homes_state::alone, homes_state::released}) {
        record.homes = whole;
        EXPECT_TRUE(record_from_text(record_text(record), "x").disk_is_whole());
    }
    for (const homes_state lacking : {homes_state::lacking, homes_state::in_use}) {
        record.homes = lacking;
        EXPECT_FALSE(record_from_text(record_text(record), "x").disk_is_whole());
    }
}

TEST_F(Records, OfBeforeThereWerePinsAreRead) {
    volume_record record = sample("u1", 5);
    record.pins.clear();
    std::string text = record_text(record);
    const std::string none = "\"pins\": []";
    ASSERT_NE(std::string::npos, text.find(none));
    text.replace(text.find(none), none.size(), "\"later\": 1");
    EXPECT_TRUE(record_from_text(text, "x").pins.empty());
}

TEST_F(Records, AreRefusedWhenDamaged) {
    const std::string good = record_text(sample("u1", 5));
    std::string strange = good;
    strange.replace(strange.find("lacking"), 7, "perhaps");
    for (const std::string& text : {std::string(), std::string("{}"), std::string("[1]"),
                                    good.substr(0, good.size() / 2), strange}) {
        try {
            record_from_text(text, "/somewhere/u1.json");
            FAIL() << text;
        } catch (const error& e) {
            EXPECT_NE(std::string::npos, std::string(e.what()).find("/somewhere/u1.json"))
                << e.what();
        }
    }
    std::ofstream(folder + "/u9.json") << "rubbish";
    EXPECT_THROW(record_store(folder).find_uuid("u9"), error);
}

TEST_F(Records, AreKeptAlsoOfADiskWhoseSerialNumberIsNoText) {
    const record_store store(folder);
    volume_record record = sample("u1", 5);
    record.tier.serial = "S\xff\x80";
    store.keep(record);
    ASSERT_TRUE(store.find_uuid("u1"));
    EXPECT_EQ(0u, store.find_uuid("u1")->tier.serial.find('S'));
}

TEST_F(Records, AreChangedByOneAtATime) {
    const std::string made = folder + "/made/when/needed";
    {
        const record_lock first("u1", made);
        EXPECT_FALSE(record_lock::try_take("u1", made));
        EXPECT_TRUE(record_lock::try_take("u2", made)) << "another volume";
    }
    auto second = record_lock::try_take("u1", made);
    ASSERT_TRUE(second);
    EXPECT_FALSE(record_lock::try_take("u1", made));
    second.reset();
    const record_lock third("u1", made);
    const record_lock none("", folder + "/nowhere");
    EXPECT_FALSE(std::filesystem::exists(folder + "/nowhere"));
}

TEST_F(Records, ThatCannotBeKeptAreAnError) {
    std::ofstream(folder + "/file") << "";
    EXPECT_THROW(record_store(folder + "/file").keep(sample("u1", 5)), error);
}

} // namespace
