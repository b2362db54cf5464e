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
    flush,       ///< all dirty pages go home
    reload,      ///< the table is loaded again, under a suspend
    reopen,      ///< the volume is closed and opened
    rest,        ///< write-back has the disk for itself
    grow,        ///< the disk has grown to `count` sectors, and so does the volume
    format,      ///< all goes home, and a new volume is made of what was the old one's
    store,       ///< a few words of a page, through a mapping; nobody flushes them
    store_flush, ///< the same, and the program flushes their lines: durable when acknowledged
    load,        ///< of one page, through a mapping
    msync,       ///< what was stored to these pages is durable when acknowledged
};

struct operation {
    action what = action::rest;
    std::uint32_t first = 0; ///< sector
    std::uint32_t count = 0; ///< sectors
    bool joined = false; ///< begins at once with the one before, by another program; stores that
                         ///< are joined to something else are done one after the other beside it

    std::uint32_t end() const { return first + count; }
};

struct plan_options {
    std::uint64_t seed = 1;
    std::uint32_t amount = 0; ///< operations
    bool fill = false;    ///< the first ones fill the fast tier, so that later ones make it evict
    bool control = false; ///< only what a control target can: writes, reads and syncs
    bool memory = false;  ///< the volume is used as memory too
};

/// Operations from number 1 on; [0] does nothing.
std::vector<operation> make_plan(const plan_options& options);

/// The words of a page that operation `number` stores to. Never the first one of a sector, which
/// says who filled it.
std::vector<unsigned> stored_words(std::uint32_t number);

/// What it stores there, and the operation that stored a value there (0: none).
std::uint64_t stored_value(std::uint32_t number, unsigned word);
std::uint32_t stored_by(std::uint64_t value, unsigned word);

/// What operation `number` puts into a sector.
void fill_sector(std::uint32_t number, std::uint32_t sector,
                 std::span<std::uint64_t, sector_bytes / 8> words);

/// A word of a page that is not what its sector was filled with.
struct odd_word {
    unsigned word = 0;
    std::uint64_t value = 0;
};

/// The operation that filled a sector, 0 for zeroes. False when none did, or when it put something
/// else there: in a page that is stored to, more such words than none are added to `odd` instead.
bool read_sector(std::span<const std::uint64_t, sector_bytes / 8> words, std::uint32_t sector,
                 std::uint32_t& number, std::vector<odd_word>* odd = nullptr);

} // namespace campaign
