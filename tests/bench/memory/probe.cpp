// SPDX-License-Identifier: GPL-2.0-or-later
// Runs in a guest: what memory costs that is a mapping of a device or a file. Prints one line of
// JSON.
//
//   memory-probe pass PATH PAGES load|store      touches each page once, then once more
//   memory-probe durable PATH COUNT              durable updates of 64 bytes in one page, by the
//   CPU's flush memory-probe msync PATH COUNT                the same updates, made durable by
//   msync memory-probe update PATH PAGES SECONDS SEED  adds one to 8 bytes somewhere, zipf 1.1, as
//   often as it can
//
// PATH `-`: anonymous memory. Times are of the guest's clock in nanoseconds: instructions, with
// -icount.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <immintrin.h>
#include <random>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t line_bytes = 64;
constexpr double exponent = 1.1;

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

/// A shared mapping of the first pages of a device or file.
std::uint8_t* map(const char* path, std::size_t pages) {
    int flags = MAP_SHARED;
    int fd = -1;
    if (std::strcmp(path, "-") == 0) {
        flags = MAP_PRIVATE | MAP_ANONYMOUS;
    } else {
        fd = open(path, O_RDWR);
        if (fd < 0)
            fail(path);
    }
    void* memory = mmap(nullptr, pages * page_bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    return static_cast<std::uint8_t*>(memory);
}

double now_ns() {
    return static_cast<double>(std::chrono::steady_clock::now().time_since_epoch().count());
}

/// What the program itself used of the processor, which does not count waiting.
double used_ns() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
    return seconds * 1e9 +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

long faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

/// One touch of each page; returns nanoseconds a page.
double pass(std::uint8_t* memory, std::size_t pages, bool store) {
    const double began = now_ns();
    for (std::size_t page = 0; page < pages; page++) {
        auto* at = reinterpret_cast<volatile std::uint64_t*>(memory + page * page_bytes);
        if (store)
            *at = page;
        else
            static_cast<void>(*at);
    }
    return (now_ns() - began) / static_cast<double>(pages);
}

int run_pass(const char* path, std::size_t pages, bool store) {
    std::uint8_t* memory = map(path, pages);
    const long before = faults();
    const double first = pass(memory, pages, store);
    const long between = faults();
    const double second = pass(memory, pages, store);
    std::printf("{\"first_ns\": %.1f, \"second_ns\": %.1f, \"first_faults\": %ld, "
                "\"second_faults\": %ld}\n",
                first, second, between - before, faults() - between);
    return 0;
}

int run_durable(const char* path, unsigned count, bool by_msync) {
    std::uint8_t* memory = map(path, 1);
    memory[0] = 1;
    if (msync(memory, page_bytes, MS_SYNC))
        fail("msync");
    const double began = used_ns();
    for (unsigned i = 0; i < count; i++) {
        std::uint8_t* line = memory + i % (page_bytes / line_bytes) * line_bytes;
        std::memset(line, static_cast<int>(i), line_bytes);
        if (by_msync) {
            if (msync(memory, page_bytes, MS_SYNC))
                fail("msync");
        } else {
            _mm_clflush(line);
            _mm_sfence();
        }
    }
    std::printf("{\"update_ns\": %.1f}\n", (used_ns() - began) / count);
    return 0;
}

/// Places of a zipf distribution, strewn over the pages by a fixed permutation.
class places {
public:
    explicit places(std::size_t count) : sums(count) {
        double sum = 0;
        for (std::size_t i = 0; i < count; i++)
            sums[i] = sum += 1 / std::pow(static_cast<double>(i + 1), exponent);
    }

    std::size_t operator()(std::mt19937_64& random) {
        const double at = std::uniform_real_distribution<>(0, sums.back())(random);
        const auto rank =
            static_cast<std::size_t>(std::lower_bound(sums.begin(), sums.end(), at) - sums.begin());
        // An odd factor without a common divisor with any size that matters.
        return rank * 2'654'435'761U % sums.size();
    }

private:
    std::vector<double> sums;
};

int run_update(const char* path, std::size_t pages, double seconds, std::uint64_t seed) {
    std::uint8_t* memory = map(path, pages);
    // All of it is there before the first update: anonymous memory costs nothing until it is stored
    // to.
    pass(memory, pages, std::strcmp(path, "-") == 0);
    std::mt19937_64 random(seed);
    places place(pages);
    const double began = now_ns();
    double elapsed = 0;
    unsigned long done = 0;
    while (elapsed < seconds * 1e9) {
        for (unsigned i = 0; i < 16; i++, done++) {
            std::uint8_t* at =
                memory + place(random) * page_bytes + random() % (page_bytes / 8) * 8;
            auto* number = reinterpret_cast<volatile std::uint64_t*>(at);
            *number = *number + 1;
        }
        elapsed = now_ns() - began;
    }
    std::printf("{\"updates\": %lu, \"seconds\": %.3f, \"a_second\": %.1f, \"faults\": %ld}\n",
                done, elapsed / 1e9, static_cast<double>(done) * 1e9 / elapsed, faults());
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 3 ? argv[1] : "";
    if (what == "pass" && argc == 5)
        return run_pass(argv[2], std::strtoul(argv[3], nullptr, 10),
                        std::strcmp(argv[4], "store") == 0);
    if ((what == "durable" || what == "msync") && argc == 4)
        return run_durable(argv[2], static_cast<unsigned>(std::atoi(argv[3])), what == "msync");
    if (what == "update" && argc == 6)
        return run_update(argv[2], std::strtoul(argv[3], nullptr, 10), std::atof(argv[4]),
                          std::strtoull(argv[5], nullptr, 10));
    std::fprintf(stderr, "memory-probe: see the first lines of probe.cpp for what it takes\n");
    return 2;
}
