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
/// The disk, and the volume when it has grown to its end.
constexpr std::uint32_t volume_pages = 5120;
/// The volume at first: more than the fast tier of 16 MiB has frames.
constexpr std::uint32_t volume_pages_at_first = 4608;
/// What is written most; of a control target, which does not grow, all there is.
constexpr std::uint32_t hot_pages = 192;
/// Operations that are done at once.
constexpr std::uint32_t writers = 4;
constexpr std::uint32_t burst_sectors_max = 128;

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
    grow,   ///< the disk has grown to `count` sectors, and so does the volume
    format, ///< all goes home, and a new volume is made of what was the old one's
};

struct operation {
    action what = action::rest;
    std::uint32_t first = 0; ///< sector
    std::uint32_t count = 0; ///< sectors
    bool joined = false;     ///< begins at once with the one before, by another program

    std::uint32_t end() const { return first + count; }
};

struct plan_options {
    std::uint64_t seed = 1;
    std::uint32_t amount = 0; ///< operations
    bool fill = false;    ///< the first ones fill the fast tier, so that later ones make it evict
    bool control = false; ///< only what a control target can: writes, reads and syncs
};

/// Operations from number 1 on; [0] does nothing.
std::vector<operation> make_plan(const plan_options& options);

/// What operation `number` puts into a sector.
void fill_sector(std::uint32_t number, std::uint32_t sector,
                 std::span<std::uint64_t, sector_bytes / 8> words);

/// The operation that filled a sector, 0 for zeroes. False when no operation put just this there.
bool read_sector(std::span<const std::uint64_t, sector_bytes / 8> words, std::uint32_t sector,
                 std::uint32_t& number);

} // namespace campaign
