// SPDX-License-Identifier: GPL-2.0-or-later
// Example: writes records into persistent memory, each valid once its number is there. With a
// second argument it forgets to flush what a record holds before it says that it is valid.
#include "mark.h"

#include <cstdio>
#include <fcntl.h>
#include <immintrin.h>
#include <sys/mman.h>

struct record {
    alignas(64) unsigned long contents;
    alignas(64) unsigned long number; // valid when it is the record's own
};

[[gnu::target("clwb")]] static void persist(const void* line) {
    _mm_clwb(const_cast<void*>(line));
    _mm_sfence();
}

int main(int argc, char** argv) {
    const int fd = argc > 1 ? open(argv[1], O_RDWR) : -1;
    void* memory = mmap(nullptr, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        std::perror("records: give a DAX device, such as /dev/dax0.0, that can be mapped");
        return 1;
    }
    auto* records = static_cast<record*>(memory);
    powercut_arm();
    for (unsigned long n = 1; n <= 50; n++) {
        records[n].contents = n * n;
        if (argc < 3)
            persist(&records[n].contents);
        records[n].number = n;
        persist(&records[n].number);
        powercut_mark(n, 0); // from here on record n must be there
    }
    powercut_disarm();
}
