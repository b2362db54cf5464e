// SPDX-License-Identifier: GPL-2.0-or-later
// Storage in memory that can lose power after any write, and lose sectors: until they are written,
// or for good.
#pragma once

#include "error.hpp"
#include "storage.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace tiered::test {

struct power_cut : std::exception {};

class memory_storage : public storage {
public:
    static constexpr std::size_t sector_bytes = 512; ///< what survives or is lost as one

    explicit memory_storage(std::uint64_t size, std::byte fill = std::byte{0})
        : bytes(size, fill), durable_(bytes) {}

    std::uint64_t size_bytes() const override { return bytes.size(); }

    void read(std::uint64_t offset, std::span<std::byte> out) override {
        require_inside(offset, out.size());
        for (std::uint64_t at = offset / sector_bytes * sector_bytes; at < offset + out.size();
             at += sector_bytes)
            if (bad_sectors.contains(at / sector_bytes))
                throw media_error("bad sector");
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    }

    void write(std::uint64_t offset, std::span<const std::byte> data) override {
        require_inside(offset, data.size());
        if (offset % block_bytes || data.size() % block_bytes)
            fail("a write of {} bytes at {} is not in whole blocks", data.size(), offset);
        if (writes == cut_after_writes)
            throw power_cut();
        writes++;
        for (std::uint64_t at = offset; at < offset + data.size(); at += sector_bytes)
            if (unwritable_sectors.contains(at / sector_bytes))
                throw media_error("bad sector");
        for (std::uint64_t at = offset; at < offset + data.size(); at += sector_bytes)
            bad_sectors.erase(at / sector_bytes);
        unsynced_.push_back({offset, {data.begin(), data.end()}});
        std::ranges::copy(data, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    }

    std::uint64_t write_bytes() const override { return block_bytes; }

    void sync() override {
        unsynced_.clear();
        durable_ = bytes;
    }

    /// What is on the medium after the cut: everything synced and any of the other sectors.
    memory_storage after_power_cut(std::mt19937& random) const {
        memory_storage survivor(0);
        survivor.bytes = durable_;
        survivor.bad_sectors = bad_sectors;
        survivor.unwritable_sectors = unwritable_sectors;
        survivor.block_bytes = block_bytes;
        for (const pending& write : unsynced_)
            for (std::size_t at = 0; at < write.data.size(); at += sector_bytes)
                if (random() % 2)
                    std::copy_n(write.data.begin() + static_cast<std::ptrdiff_t>(at), sector_bytes,
                                survivor.bytes.begin() +
                                    static_cast<std::ptrdiff_t>(write.offset + at));
        survivor.durable_ = survivor.bytes;
        return survivor;
    }

    std::vector<std::byte> bytes;
    std::set<std::uint64_t> bad_sectors; ///< cannot be read
    std::set<std::uint64_t> unwritable_sectors;
    std::size_t block_bytes = 4096; ///< what some devices write at least
    std::size_t writes = 0;
    std::size_t cut_after_writes = std::numeric_limits<std::size_t>::max();

private:
    struct pending {
        std::uint64_t offset;
        std::vector<std::byte> data;
    };

    void require_inside(std::uint64_t offset, std::size_t size) const {
        if (offset > bytes.size() || size > bytes.size() - offset)
            fail("{} bytes at {} are not inside", size, offset);
    }

    std::vector<std::byte> durable_;
    std::vector<pending> unsynced_;
};

} // namespace tiered::test
