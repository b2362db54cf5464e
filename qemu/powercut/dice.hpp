// SPDX-License-Identifier: GPL-2.0-or-later
// Random numbers that are the same everywhere, for the same seed and number.
#pragma once

#include <cstdint>

namespace powercut {

class dice {
public:
    dice(std::uint64_t seed, std::uint64_t number) : state_(seed * 0x9e3779b97f4a7c15 + number) {
        next();
    }

    std::uint64_t next() { // splitmix64
        std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return mixed ^ (mixed >> 31);
    }

    std::uint64_t below(std::uint64_t bound) { return next() % bound; }

private:
    std::uint64_t state_;
};

} // namespace powercut
