// SPDX-License-Identifier: GPL-2.0-or-later
// Storage on image files, and a volume made and checked on them.
#include "check.hpp"
#include "error.hpp"
#include "process.hpp"
#include "test_volume.hpp"

#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>

namespace {

using namespace tiered;
using namespace tiered::test;

class ImageFiles : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "tiered-test-XXXXXX").string();
        ASSERT_NE(nullptr, ::mkdtemp(pattern.data()));
        folder = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    std::string image(const char* name, std::uint64_t bytes) const {
        const std::string path = folder + "/" + name;
        unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        EXPECT_EQ(0, ::ftruncate(fd.get(), static_cast<off_t>(bytes)));
        return path;
    }

    std::string folder;
};

TEST_F(ImageFiles, HoldAVolumeThatChecksClean) {
    constexpr std::uint64_t fast_bytes = 32 << 20; // tables larger than one transfer are 512 MiB
    file_storage fast(image("fast", fast_bytes), file_storage::access::exclusive);
    file_storage capacity(image("disk", 16384 * 512), file_storage::access::read_only);
    write_format(fast, make_superblock(small_spec(), fast_bytes));
    const check_report report = check_volume(fast, &capacity, {.verify_clean = true});
    EXPECT_EQ(severity::note, report.worst);
    EXPECT_EQ(report.sb.frames(), report.counts.free);
}

TEST_F(ImageFiles, ReadBackWhatWasWrittenAcrossTheTransferSize) {
    file_storage file(image("x", 4 << 20), file_storage::access::exclusive);
    std::vector<std::byte> data(3 << 20);
    std::mt19937 random(7);
    std::ranges::generate(data, [&] { return static_cast<std::byte>(random()); });
    file.write(4096, data);
    file.sync();
    std::vector<std::byte> back(data.size());
    file.read(4096, back);
    EXPECT_EQ(data, back);
}

TEST_F(ImageFiles, SayWhatIsWrongWithAPath) {
    EXPECT_THROW(file_storage(folder + "/missing", file_storage::access::read_only), error);
    EXPECT_THROW(file_storage(folder, file_storage::access::read_only), error);
    EXPECT_THROW(file_storage("/dev/null", file_storage::access::read_only), error);
}

TEST_F(ImageFiles, RefuseReadsBeyondTheirEnd) {
    file_storage file(image("x", 4096), file_storage::access::read_only);
    std::vector<std::byte> data(8192);
    EXPECT_THROW(file.read(0, data), error);
}

TEST(Process, GivesStatusAndBothOutputs) {
    const command_result result = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
    EXPECT_EQ(3, result.status);
    EXPECT_EQ("out\n", result.out);
    EXPECT_EQ("err\n", result.err);
    EXPECT_EQ(127, run_command({"/no/such/program"}).status);
    EXPECT_EQ(128 + 9, run_command({"sh", "-c", "kill -9 $$"}).status);
}

TEST(Process, ReadsMoreThanAPipeHolds) {
    const command_result result =
        run_command({"sh", "-c", "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2"});
    EXPECT_EQ(0, result.status);
    EXPECT_EQ(300000u, result.out.size());
    EXPECT_EQ(300000u, result.err.size());
}

} // namespace
