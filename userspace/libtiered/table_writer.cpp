// SPDX-License-Identifier: GPL-2.0-or-later
// Writing words of one table.
#include "table_writer.hpp"

#include "error.hpp"

#include <fmt/ranges.h>

namespace tiered {

namespace {

constexpr std::uint32_t words_of_sector = TIERED_WORDS_PER_SECTOR;
constexpr std::uint32_t words_of_block = TIERED_FRAME_BYTES / sizeof(__le64);

} // namespace

void table_writer::set(std::uint32_t frame, tiered_claim claim) {
    words_[frame] = tiered_claim_encode(claim, frame, seed_);
    changed_.insert(frame / words_of_sector);
}

void table_writer::write() {
    for (auto sector = changed_.begin(); sector != changed_.end();) {
        const std::uint32_t block = *sector * words_of_sector / words_of_block;
        const auto end = changed_.lower_bound((block + 1) * (words_of_block / words_of_sector));
        if (!put(block * words_of_block, words_of_block))
            put_sectors(sector, end);
        sector = end;
    }
    changed_.clear();
}

bool table_writer::failed(std::uint32_t frame) const {
    return bad_.contains(frame / words_of_sector);
}

bool table_writer::put(std::uint32_t first, std::uint32_t count) {
    try {
        fast_.write(offset_ + first * sizeof(__le64),
                    std::as_bytes(std::span(words_).subspan(first, count)));
    } catch (const media_error&) {
        return false;
    }
    return true;
}

/// One bad sector must not keep those beside it from being written.
void table_writer::put_sectors(sector_set::const_iterator sector, sector_set::const_iterator end) {
    const bool can = fast_.write_bytes() <= TIERED_SECTOR_BYTES;
    for (; sector != end; sector++)
        if (!can || !put(*sector * words_of_sector, words_of_sector))
            bad_.insert(*sector);
}

void table_writer::complain(const char* what, std::vector<std::string>& complaints) const {
    if (bad_.empty())
        return;
    std::vector<std::uint64_t> sectors;
    for (const std::uint32_t sector : bad_)
        sectors.push_back(offset_ / TIERED_SECTOR_BYTES + sector);
    complaints.push_back(fmt::format(
        "sectors of the fast tier with {} of frames take no write: {}; the volume does without "
        "them where that can be. Mend the memory (ndctl list --media-errors) and run this again",
        what, fmt::join(sectors, ", ")));
}

} // namespace tiered
