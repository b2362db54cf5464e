// SPDX-License-Identifier: GPL-2.0-or-later
// Reading the tables of words, and the driver's load over them.
#include "word_tables.hpp"

#include "error.hpp"

#include <algorithm>

namespace tiered {

namespace {

constexpr std::size_t read_chunk_bytes = 1 << 20;
constexpr auto unreadable = std::byte{0xff}; // bits that no valid word has

void read_sector_by_sector(storage& fast, std::uint64_t offset, std::span<std::byte> chunk) {
    for (std::size_t at = 0; at < chunk.size(); at += TIERED_SECTOR_BYTES) {
        auto sector = chunk.subspan(at, TIERED_SECTOR_BYTES);
        try {
            fast.read(offset + at, sector);
        } catch (const media_error&) {
            std::ranges::fill(sector, unreadable);
        }
    }
}

std::vector<__le64> read_table(storage& fast, const superblock& sb, std::uint64_t offset) {
    std::vector<__le64> words((table_end(sb, offset) - offset) / sizeof(__le64));
    auto rest = std::as_writable_bytes(std::span(words));
    while (!rest.empty()) {
        auto chunk = rest.first(std::min(rest.size(), read_chunk_bytes));
        try {
            fast.read(offset, chunk);
        } catch (const media_error&) {
            read_sector_by_sector(fast, offset, chunk);
        }
        offset += chunk.size();
        rest = rest.subspan(chunk.size());
    }
    return words;
}

std::uint32_t frame_of(const std::optional<page_index::holder>& holder, tiered_claim* claim) {
    if (!holder)
        return TIERED_NO_FRAME;
    *claim = holder->claim;
    return holder->frame;
}

struct load_callbacks {
    static std::uint32_t find(void* context, std::uint64_t page, tiered_claim* claim) {
        return frame_of(static_cast<found_words*>(context)->index.find(page), claim);
    }

    static void hold(void* context, std::uint32_t frame, const tiered_claim* claim, std::uint32_t) {
        static_cast<found_words*>(context)->index.hold(frame, claim->page);
    }

    static void found(void* context, std::uint32_t frame, tiered_found what,
                      const tiered_claim* claim, std::uint32_t other) {
        found_words& words = *static_cast<found_words*>(context);
        const odd_frame odd{frame, *claim, other};
        switch (what) {
        case TIERED_FOUND_FREE:
            words.free++;
            break;
        case TIERED_FOUND_RETIRED:
            words.retired++;
            break;
        case TIERED_FOUND_HOLDER:
            break;
        case TIERED_FOUND_LOSER:
            words.losers.push_back(odd);
            break;
        case TIERED_FOUND_DAMAGED:
            words.damaged.push_back(odd);
            break;
        case TIERED_FOUND_UNKNOWN:
            words.unknown.push_back(odd);
            break;
        case TIERED_FOUND_CONFLICT:
            words.conflicts.push_back(odd);
            break;
        }
    }
};

} // namespace

std::uint64_t table_end(const superblock& sb, std::uint64_t offset) {
    const std::uint64_t bytes = std::uint64_t{sb.frames()} * sizeof(__le64);
    return offset + (bytes + TIERED_FRAME_BYTES - 1) / TIERED_FRAME_BYTES * TIERED_FRAME_BYTES;
}

word_tables::word_tables(storage& fast, const superblock& sb)
    : word_tables(read_table(fast, sb, sb.words_offset()), read_table(fast, sb, sb.shadow_offset()),
                  sb) {}

word_tables::word_tables(std::vector<__le64> words, std::vector<__le64> shadows,
                         const superblock& sb)
    : primary(std::move(words)),
      shadow(std::move(shadows)), view{primary.data(),   shadow.data(), sb.pages(), sb.frames(),
                                       sb.raw.word_seed, nullptr,       nullptr} {}

std::optional<tiered_claim> word_tables::claim(const std::vector<__le64>& table,
                                               std::uint32_t frame) const {
    tiered_claim claim{};
    if (tiered_claim_decode(table[frame], frame, view.seed, view.pages, &claim))
        return std::nullopt;
    return claim;
}

std::optional<tiered_claim> claim_beyond(const word_tables& tables, std::uint32_t frame) {
    tiered_claim claim{};
    for (const auto* table : {&tables.primary, &tables.shadow})
        if (!tiered_claim_decode((*table)[frame], frame, tables.view.seed, TIERED_PAGES_MAX,
                                 &claim) &&
            claim.page >= tables.view.pages)
            return claim;
    return std::nullopt;
}

found_words::found_words(const word_tables& tables) : index(tables.view) {
    constexpr tiered_load_ops ops{load_callbacks::find, load_callbacks::hold,
                                  load_callbacks::found};
    const tiered_word_copies copies{tables.primary.data(), tables.shadow.data(), 0,
                                    tables.view.frames};
    tiered_load_words(&tables.view, &copies, &ops, this);
}

struct judge_callbacks {
    static std::uint32_t find(void* context, std::uint64_t page, tiered_claim* claim) {
        const damage_judge& judge = *static_cast<damage_judge*>(context);
        if (const auto lost = judge.lost_.find(page); lost != judge.lost_.end())
            return frame_of(lost->second, claim);
        return frame_of(judge.index_.find(page), claim);
    }

    static void hold(void* context, std::uint32_t frame, const tiered_claim* claim, std::uint32_t) {
        static_cast<damage_judge*>(context)->lost_[claim->page] = {frame, *claim};
    }

    static void found(void* context, std::uint32_t frame, tiered_found what,
                      const tiered_claim* claim, std::uint32_t other) {
        static_cast<damage_judge*>(context)->fates_[frame] = {what, *claim, other};
    }
};

tiered_found damage_judge::judge(const odd_frame& odd) {
    constexpr tiered_load_ops ops{judge_callbacks::find, judge_callbacks::hold,
                                  judge_callbacks::found};
    tiered_load_damaged(odd.frame, &odd.claim, &ops, this);
    return fates_.at(odd.frame).what;
}

} // namespace tiered
