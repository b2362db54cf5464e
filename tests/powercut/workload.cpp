// SPDX-License-Identifier: GPL-2.0-or-later
// The campaign's workload, in the guest: makes a volume, does what the plan says, and marks each
// operation's begin and acknowledgement in the record. Arguments: SEED, FILL (0 or 1), AMOUNT.
#include "mark.h"
#include "plan.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace campaign;

constexpr const char* device = "/dev/mapper/v0";
constexpr std::size_t buffer_bytes = 1 << 20;
constexpr useconds_t rest_us = 120'000;

[[noreturn]] void die(const char* what) {
    std::fprintf(stderr, "workload: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

void shell(const char* command) {
    if (std::system(command) != 0)
        die(command);
}

class volume {
public:
    volume() {
        void* memory =
            mmap(nullptr, buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            die("no memory");
        buffer_ = static_cast<std::uint64_t*>(memory);
    }

    void open_device() {
        plain_ = open(device, O_RDWR | O_DIRECT);
        dsync_ = open(device, O_RDWR | O_DIRECT | O_DSYNC);
        if (plain_ < 0 || dsync_ < 0)
            die(device);
    }

    void run(std::uint32_t number, const operation& one) {
        switch (one.what) {
        case action::write:
            return write(plain_, number, one);
        case action::write_dsync:
            return write(dsync_, number, one);
        case action::sync:
            return fdatasync(plain_) ? die("fdatasync") : void();
        case action::discard:
            return discard(one);
        case action::read:
            return read(one);
        case action::flush:
            return shell("tierctl flush v0 >/dev/null");
        case action::reload:
            return shell(
                "dmsetup table v0 | dmsetup reload v0 && dmsetup suspend v0 && dmsetup resume v0");
        case action::reopen:
            return reopen();
        case action::rest:
            usleep(rest_us);
        }
    }

private:
    void write(int fd, std::uint32_t number, const operation& one) {
        for (std::uint32_t at = 0; at < one.count; at++)
            fill_sector(number, one.first + at,
                        std::span<std::uint64_t, sector_bytes / 8>(
                            buffer_ + at * (sector_bytes / 8), sector_bytes / 8));
        const std::size_t bytes = std::size_t{one.count} * sector_bytes;
        if (pwrite(fd, buffer_, bytes, off_t{one.first} * sector_bytes) !=
            static_cast<ssize_t>(bytes))
            die("write");
    }

    void read(const operation& one) {
        const std::size_t bytes = std::size_t{one.count} * sector_bytes;
        if (pread(plain_, buffer_, bytes, off_t{one.first} * sector_bytes) !=
            static_cast<ssize_t>(bytes))
            die("read");
    }

    void discard(const operation& one) {
        const std::uint64_t range[2]{std::uint64_t{one.first} * sector_bytes,
                                     std::uint64_t{one.count} * sector_bytes};
        if (ioctl(plain_, BLKDISCARD, range) != 0)
            die("discard");
    }

    void reopen() {
        close(plain_);
        close(dsync_);
        shell("tierctl close v0 >/dev/null && tierctl open v0 >/dev/null");
        open_device();
    }

    std::uint64_t* buffer_ = nullptr;
    int plain_ = -1;
    int dsync_ = -1;
};

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "workload: give SEED, FILL and AMOUNT\n");
        return 2;
    }
    const auto plan = make_plan(std::strtoull(argv[1], nullptr, 0), argv[2][0] == '1',
                                static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 0)));
    powercut_arm();
    powercut_mark(mark_formatting, 0);
    shell("tierctl format v0 --fast /dev/pmem0 /dev/vda >/dev/null");
    powercut_mark(mark_formatted, 0);
    shell("tierctl open v0 >/dev/null");
    volume target;
    target.open_device();
    for (std::uint32_t number = 1; number < plan.size(); number++) {
        powercut_mark(mark_begin, number);
        target.run(number, plan[number]);
        powercut_mark(mark_ack, number);
    }
    powercut_disarm();
    return 0;
}
