// SPDX-License-Identifier: GPL-2.0-or-later
// powercut-mark: the marks of mark.h for scripts in the guest.
#include "mark.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
    const char* verb = argc > 1 ? argv[1] : "";
    if (argc == 2 && std::strcmp(verb, "arm") == 0)
        powercut_arm();
    else if (argc == 2 && std::strcmp(verb, "disarm") == 0)
        powercut_disarm();
    else if (argc == 4 && std::strcmp(verb, "value") == 0)
        powercut_mark(std::strtoull(argv[2], nullptr, 0), std::strtoull(argv[3], nullptr, 0));
    else if (argc == 3 && std::strcmp(verb, "watch") == 0)
        powercut_watch(std::strtoull(argv[2], nullptr, 0));
    else {
        std::fprintf(stderr,
                     "powercut-mark: give arm, disarm, value FIRST SECOND, or watch ADDRESS.\n");
        return 2;
    }
    return 0;
}
