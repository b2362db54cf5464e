// SPDX-License-Identifier: GPL-2.0-or-later
// What the campaign's workload does, as a function of a seed: the guest does it, the judge knows
// it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace campaign {

constexpr unsigned sector_bytes = 512;
constexpr unsigned page_sectors = 8;
constexpr unsigned page_bytes = page_sectors * sector_bytes;
constexpr std::uint32_t volume_pages = 5120; ///< more than the fast tier of 16 MiB has frames
constexpr std::uint32_t volume_sectors = volume_pages * page_sectors;

/// Kinds of marks in the record: what the workload is about to do and what it was told.
enum mark_kind : std::uint64_t {
    mark_formatting = 1,
    mark_formatted = 2,
    mark_begin = 3, ///< value: the operation
    mark_ack = 4,   ///< value: the operation
};

enum class action {
    write,       ///< durable after the next sync
    write_dsync, ///< durable when acknowledged
    sync,
    discard, ///< whole pages, durable when acknowledged
    read,
    flush,  ///< all dirty pages go home
    reload, ///< the table is loaded again, under a suspend
    reopen, ///< the volume is closed and opened
    rest,   ///< write-back has the disk for itself
};

struct operation {
    action what = action::rest;
    std::uint32_t first = 0; ///< sector
    std::uint32_t count = 0; ///< sectors

    std::uint32_t end() const { return first + count; }
};

/// Operations from number 1 on, `amount` of them; [0] does nothing. `fill`: the first ones fill the
/// fast tier, so that later ones make it evict.
std::vector<operation> make_plan(std::uint64_t seed, bool fill, std::uint32_t amount);

/// What operation `number` puts into a sector.
void fill_sector(std::uint32_t number, std::uint32_t sector,
                 std::span<std::uint64_t, sector_bytes / 8> words);

/// The operation that filled a sector, 0 for zeroes. False when no operation put just this there.
bool read_sector(std::span<const std::uint64_t, sector_bytes / 8> words, std::uint32_t sector,
                 std::uint32_t& number);

} // namespace campaign
