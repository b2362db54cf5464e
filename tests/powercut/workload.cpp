// SPDX-License-Identifier: GPL-2.0-or-later
// The campaign's workload, in the guest: makes a volume, does what the plan says, and marks each
// operation's begin and acknowledgement in the record. Arguments: SEED, FILL (0 or 1), AMOUNT,
// and volume or control. TIERCTL_FORMAT in the environment: what formats instead of tierctl.
#include "mark.h"
#include "plan.hpp"

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace campaign;

constexpr const char* device = "/dev/mapper/v0";
/// The volume's disk, which grows: a mapped device over the real one.
constexpr const char* home = "/dev/mapper/home";
constexpr std::size_t buffer_bytes = 1 << 20;
constexpr std::size_t burst_bytes = burst_sectors_max * sector_bytes;
constexpr useconds_t rest_us = 120'000;

[[noreturn]] void die(const char* what) {
    std::fprintf(stderr, "workload: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

void shell(const std::string& command) {
    if (std::system(command.c_str()) != 0)
        die(command.c_str());
}

std::string home_table(std::uint32_t sectors) {
    return "echo 0 " + std::to_string(sectors) + " linear /dev/vda 0 | ";
}

std::string format_command() {
    const char* instead = std::getenv("TIERCTL_FORMAT");
    return std::string(instead ? instead : "tierctl") +
           " format v0 --fast /dev/pmem0 /dev/mapper/home >/dev/null";
}

std::string open_command() {
    return std::string("tierctl open v0 --capacity ") + home + " >/dev/null";
}

/// Has the record tell who ends requests.
void watch_ends() {
    std::FILE* symbols = std::fopen("/proc/kallsyms", "r");
    std::uint64_t address = 0;
    char name[128];
    while (symbols && std::fscanf(symbols, "%" SCNx64 " %*c %127s%*[^\n]", &address, name) == 2)
        if (std::strcmp(name, "bio_endio") == 0)
            return std::fclose(symbols), powercut_watch(address);
    die("/proc/kallsyms without bio_endio");
}

class volume {
public:
    volume() {
        // The first buffer is for one writer alone.
        void* memory = mmap(nullptr, buffer_bytes + writers * burst_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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

    /// Operations `first` to `end` - 1, at once, each told of by whoever does it.
    void run_burst(const std::vector<operation>& plan, std::uint32_t first, std::uint32_t end) {
        std::vector<std::thread> others;
        for (std::uint32_t number = first; number < end; number++)
            others.emplace_back([&, number] {
                powercut_mark(mark_begin, number);
                const operation& one = plan[number];
                write(one.what == action::write ? plain_ : dsync_, number, one,
                      buffer_ + (buffer_bytes + (number - first) * burst_bytes) / 8);
                powercut_mark(mark_ack, number);
            });
        for (std::thread& other : others)
            other.join();
    }

    void run(std::uint32_t number, const operation& one) {
        switch (one.what) {
        case action::write:
            return write(plain_, number, one, buffer_);
        case action::write_dsync:
            return write(dsync_, number, one, buffer_);
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
            return reopen("");
        case action::grow:
            return grow(one.count);
        case action::format:
            return format();
        case action::rest:
            usleep(rest_us);
        }
    }

private:
    void write(int fd, std::uint32_t number, const operation& one, std::uint64_t* buffer) {
        for (std::uint32_t at = 0; at < one.count; at++)
            fill_sector(number, one.first + at,
                        std::span<std::uint64_t, sector_bytes / 8>(buffer + at * (sector_bytes / 8),
                                                                   sector_bytes / 8));
        const std::size_t bytes = std::size_t{one.count} * sector_bytes;
        if (pwrite(fd, buffer, bytes, off_t{one.first} * sector_bytes) !=
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

    void reopen(const std::string& between) {
        close(plain_);
        close(dsync_);
        shell("tierctl close v0 >/dev/null");
        if (!between.empty())
            shell(between);
        shell(open_command());
        open_device();
    }

    void grow(std::uint32_t sectors) {
        // Without --noflush the disk's suspend would wait for requests of the volume.
        shell("dmsetup suspend --nolockfs --noflush home && " + home_table(sectors) +
              "dmsetup load home && dmsetup resume home");
        shell("dmsetup table v0 | sed 's/^0 [0-9]*/0 " + std::to_string(sectors) +
              "/' | dmsetup load v0 && dmsetup resume v0");
    }

    void format() {
        if (fdatasync(plain_))
            die("fdatasync");
        shell("tierctl flush v0 >/dev/null");
        reopen(format_command() + " --adopt --force 2>/dev/null");
    }

    std::uint64_t* buffer_ = nullptr;
    int plain_ = -1;
    int dsync_ = -1;
};

std::uint32_t end_of_burst(const std::vector<operation>& plan, std::uint32_t number) {
    do
        number++;
    while (number < plan.size() && plan[number].joined);
    return number;
}

void run(const std::vector<operation>& plan) {
    volume target;
    target.open_device();
    for (std::uint32_t number = 1, next = 0; number < plan.size(); number = next) {
        next = end_of_burst(plan, number);
        if (next > number + 1) {
            target.run_burst(plan, number, next);
            continue;
        }
        powercut_mark(mark_begin, number);
        target.run(number, plan[number]);
        powercut_mark(mark_ack, number);
    }
}

void make_volume() {
    shell(home_table(volume_pages_at_first * page_sectors) + "dmsetup create home");
    powercut_mark(mark_formatting, 0);
    shell(format_command());
    powercut_mark(mark_formatted, 0);
    shell(open_command());
}

void make_control() {
    shell("echo 0 " + std::to_string(hot_pages * page_sectors) +
          " forgetful /dev/pmem0 | dmsetup create v0");
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "workload: give SEED, FILL, AMOUNT, and volume or control\n");
        return 2;
    }
    const bool control = std::strcmp(argv[4], "control") == 0;
    const auto amount = static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 0));
    const auto plan =
        make_plan({std::strtoull(argv[1], nullptr, 0), amount, argv[2][0] == '1', control});
    watch_ends();
    powercut_arm();
    control ? make_control() : make_volume();
    run(plan);
    powercut_disarm();
    return 0;
}
