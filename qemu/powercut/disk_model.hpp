// SPDX-License-Identifier: GPL-2.0-or-later
// What a recorded disk (qemu/recorded_disk.py) may hold after a power cut. Its cache is volatile:
// of what was written since the last FLUSH, any sector may be lost, and any value a sector had may
// be there.
#pragma once

#include "cuts.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace powercut {

constexpr std::size_t sector_bytes = 512;

class disk_model {
public:
    /// A disk of `bytes`, all zeroes. Throws log_error when `log` is no log of such a disk.
    disk_model(const std::string& log, std::uint64_t bytes);
    ~disk_model();
    disk_model(const disk_model&) = delete;
    disk_model& operator=(const disk_model&) = delete;

    /// Completes requests up to number `count`, which must not be less than before. Undoes
    /// `lose_power` first.
    void advance(std::uint64_t count);
    /// Makes the contents what survives the cut.
    void lose_power(const cut& one);
    std::span<const std::byte> contents() const { return contents_; }

private:
    struct write {
        std::uint64_t offset;
        std::uint64_t bytes;
        const std::byte* data; ///< none: zeroes
    };

    void complete_next();
    void put(const write& one, std::size_t from, std::size_t bytes);
    void settle();
    void restore();

    std::span<const std::byte> log_;
    std::size_t at_ = 0;
    std::uint64_t count_ = 0;
    std::vector<std::byte> durable_;
    std::vector<std::byte> contents_;
    std::vector<write> unflushed_;
};

} // namespace powercut
