// SPDX-License-Identifier: GPL-2.0-or-later
// The campaign's workload, in the guest: makes a volume, does what the plan says, and marks each
// operation's begin and acknowledgement in the record. Arguments: SEED, FILL (0 or 1), AMOUNT,
// and volume, memory or control. TIERCTL_FORMAT in the environment: what formats instead of
// tierctl.
#include "mark.h"
#include "plan.hpp"

#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <immintrin.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace campaign;

constexpr const char* device = "/dev/mapper/v0";
constexpr const char* memory_device = "/dev/tiered/v0";
/// The volume's disk, which grows: a mapped device over the real one.
constexpr const char* home = "/dev/mapper/home";
constexpr std::size_t buffer_bytes = 1 << 20;
constexpr std::size_t burst_bytes = burst_sectors_max * sector_bytes;
constexpr useconds_t rest_us = 120'000;
/// Between stores beside a flush, so that they last as long as that does.
constexpr useconds_t pause_us = 4'000;

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

/// Has the record tell who ends requests, and each msync that the driver is asked for.
void watch_ends() {
    std::FILE* symbols = std::fopen("/proc/kallsyms", "r");
    std::uint64_t address = 0;
    char name[128];
    bool ends = false;
    while (symbols && std::fscanf(symbols, "%" SCNx64 " %*c %127s%*[^\n]", &address, name) == 2) {
        const bool end = std::strcmp(name, "bio_endio") == 0;
        ends = ends || end;
        if (end || std::strcmp(name, "memory_fsync") == 0)
            powercut_watch(address);
    }
    if (!ends)
        die("/proc/kallsyms without bio_endio");
    std::fclose(symbols);
}

// Each in a function of its own, so that the plugin knows the address.
[[gnu::noipa, gnu::target("clwb")]] void write_line_back(void* line) {
    _mm_clwb(line);
}
[[gnu::noipa, gnu::target("clflushopt")]] void flush_line_at_ease(void* line) {
    _mm_clflushopt(line);
}
[[gnu::noipa]] void flush_line(void* line) {
    _mm_clflush(line);
}

/// Has all dirty pages go home from now on, without a program that would take its time to start.
void begin_flush() {
    struct {
        dm_ioctl head{};
        std::uint64_t sector = 0; // dm_target_msg, which ends in the text
        char text[sizeof(std::uint64_t)] = "flush";
    } command;
    command.head.version[0] = DM_VERSION_MAJOR;
    command.head.data_size = sizeof(command);
    command.head.data_start = sizeof(command.head);
    std::strcpy(command.head.name, "v0");
    static const int control = open("/dev/mapper/control", O_RDWR);
    if (control < 0 || ioctl(control, DM_TARGET_MSG, &command) != 0)
        die("message flush");
}

/// The volume as memory.
class memory {
public:
    void load(const operation& one) { static_cast<void>(*word_of(one, 0)); }

    void store(std::uint32_t number, const operation& one) {
        // A page that was loaded from is mapped already, and its neighbours with it, but not for
        // stores.
        if (number % 2)
            load(one);
        for (const unsigned word : stored_words(number))
            *word_of(one, word) = stored_value(number, word);
    }

    void store_flush(std::uint32_t number, const operation& one) {
        store(number, one);
        constexpr void (*ways[])(void*){write_line_back, flush_line_at_ease, flush_line};
        for (const unsigned word : stored_words(number)) {
            auto* line = const_cast<std::uint64_t*>(word_of(one, word));
            ways[number % std::size(ways)](line);
            // A processor's flush of a page that was just unmapped is a fault, which brings it
            // back; the emulator's does nothing. The load is a fault in either.
            static_cast<void>(*word_of(one, word));
        }
        _mm_sfence();
    }

    void msync(const operation& one) {
        if (::msync(const_cast<std::uint64_t*>(word_of(one, 0)),
                    std::size_t{one.count} * sector_bytes, MS_SYNC) != 0)
            die("msync");
    }

    void close() {
        if (mapped_ && munmap(mapped_, bytes) != 0)
            die("munmap");
        mapped_ = nullptr;
    }

private:
    static constexpr std::size_t bytes = std::size_t{volume_pages} * page_bytes;

    volatile std::uint64_t* word_of(const operation& one, unsigned word) {
        if (!mapped_)
            map();
        return static_cast<std::uint64_t*>(mapped_) + std::size_t{one.first} * (sector_bytes / 8) +
               word;
    }

    void map() {
        const int fd = open(memory_device, O_RDWR);
        if (fd < 0)
            die(memory_device);
        mapped_ =
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
        if (mapped_ == MAP_FAILED)
            die("mmap");
        ::close(fd);
    }

    void* mapped_ = nullptr;
};

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

    /// Stores, one after the other, for as long as the operation before them takes.
    void run_beside(const std::vector<operation>& plan, std::uint32_t first, std::uint32_t end) {
        std::atomic<bool> over = false;
        powercut_mark(mark_begin, first);
        if (plan[first].what == action::flush)
            begin_flush();
        std::thread other([&] {
            run(first, plan[first]);
            powercut_mark(mark_ack, first);
            over = true;
        });
        for (std::uint32_t number = first + 1; number < end && !over; number++) {
            run_marked(number, plan[number]);
            usleep(pause_us);
        }
        other.join();
    }

    void run_marked(std::uint32_t number, const operation& one) {
        powercut_mark(mark_begin, number);
        run(number, one);
        powercut_mark(mark_ack, number);
    }

private:
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
        case action::store:
            return memory_.store(number, one);
        case action::store_flush:
            return memory_.store_flush(number, one);
        case action::load:
            return memory_.load(one);
        case action::msync:
            return memory_.msync(one);
        case action::rest:
            usleep(rest_us);
        }
    }

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
        memory_.close();
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

    memory memory_;
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
        if (next == number + 1)
            target.run_marked(number, plan[number]);
        else if (plan[number].count > 0)
            target.run_burst(plan, number, next);
        else
            target.run_beside(plan, number, next);
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
        std::fprintf(stderr, "workload: give SEED, FILL, AMOUNT, and volume, memory or control\n");
        return 2;
    }
    const bool control = std::strcmp(argv[4], "control") == 0;
    const bool memory = std::strcmp(argv[4], "memory") == 0;
    const auto amount = static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 0));
    const auto plan =
        make_plan({std::strtoull(argv[1], nullptr, 0), amount, argv[2][0] == '1', control, memory});
    watch_ends();
    powercut_arm();
    control ? make_control() : make_volume();
    run(plan);
    powercut_disarm();
    return 0;
}
