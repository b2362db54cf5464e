// SPDX-License-Identifier: GPL-2.0-or-later
// Writing words of one table, of words or of shadows, onto a medium that may not take all of them.
#pragma once

#include "../../driver/core/protocol.h"
#include "storage.hpp"

#include <set>
#include <string>
#include <vector>

namespace tiered {

/// One table of words on the medium and in memory.
class table_writer {
public:
    /// `words` is what the medium has at `offset`, in whole blocks of 4 KiB.
    table_writer(storage& fast, std::uint64_t offset, std::vector<__le64>& words, std::uint8_t seed)
        : fast_(fast), offset_(offset), words_(words), seed_(seed) {}

    void set(std::uint32_t frame, tiered_claim claim);
    /// Writes what was set; durable only after a sync.
    void write();

    /// Whether the word's sector took no write.
    bool failed(std::uint32_t frame) const;
    /// Adds a sentence about the sectors that took no write, if there are any.
    void complain(const char* what, std::vector<std::string>& complaints) const;

private:
    using sector_set = std::set<std::uint32_t>; ///< of the table

    bool put(std::uint32_t first, std::uint32_t count);
    void put_sectors(sector_set::const_iterator sector, sector_set::const_iterator end);

    storage& fast_;
    const std::uint64_t offset_;
    std::vector<__le64>& words_;
    const std::uint8_t seed_;
    sector_set changed_;
    sector_set bad_;
};

} // namespace tiered
