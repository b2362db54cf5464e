// SPDX-License-Identifier: GPL-2.0-or-later
// An ordinary file that stands for a volume's memory.
#pragma once

#include "error.hpp"
#include "mapping.hpp"

#include <array>
#include <cstdlib>
#include <string>
#include <unistd.h>

/// Of zeros, in memory; it goes with its object.
class scratch_file {
public:
    explicit scratch_file(std::uint64_t bytes) {
        const int fd = ::mkstemp(path_.data());
        if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(bytes)))
            tiered::fail("cannot make {}", path_.data());
        ::close(fd);
    }
    scratch_file(const scratch_file&) = delete;
    scratch_file& operator=(const scratch_file&) = delete;
    ~scratch_file() { ::unlink(path_.data()); }

    std::string path() const { return path_.data(); }

private:
    std::array<char, 32> path_{"/dev/shm/tiered-test.XXXXXX"};
};

/// What a call refuses with, or "" where it does not.
template <typename Call>
std::string refusal_of(Call call) {
    try {
        call();
        return "";
    } catch (const tiered::error& e) {
        return e.what();
    }
}

inline constexpr tiered::durability as_far_as_files_go = tiered::durability::if_possible;
