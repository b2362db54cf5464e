// SPDX-License-Identifier: GPL-2.0-or-later
// The frame words of a volume in memory, and what the driver's load makes of them.
#pragma once

#include "../../driver/core/load.h"
#include "page_index.hpp"
#include "superblock.hpp"

#include <map>
#include <optional>
#include <vector>

namespace tiered {

/// Words and shadows as they stand on a fast tier. What the medium cannot read are words that do
/// not decode.
struct word_tables {
    std::vector<__le64> primary; ///< with the rest of the last 4 KiB, which is of no frame
    std::vector<__le64> shadow;
    tiered_words view{};

    word_tables(storage& fast, const superblock& sb);
    /// Of tables that do not stand on a medium; each a word for every frame.
    word_tables(std::vector<__le64> words, std::vector<__le64> shadows, const superblock& sb);
    word_tables(const word_tables&) = delete;
    word_tables& operator=(const word_tables&) = delete;

    /// What the frame's entry in `table` says; nothing when it does not decode.
    std::optional<tiered_claim> claim(const std::vector<__le64>& table, std::uint32_t frame) const;
};

/// The claim of a page beyond the volume's end that the frame's word, or else its shadow, makes.
std::optional<tiered_claim> claim_beyond(const word_tables& tables, std::uint32_t frame);

/// The end of a table of words that starts at `offset`, rounded up to whole frames.
std::uint64_t table_end(const superblock& sb, std::uint64_t offset);

struct odd_frame {
    std::uint32_t frame;
    tiered_claim claim;
    std::uint32_t other; ///< the frame that it stands against, or TIERED_NO_FRAME
};

/// What the driver's load finds, before it hears the shadows of damaged words.
struct found_words {
    page_index index;
    std::uint64_t free = 0;
    std::uint64_t retired = 0;
    std::vector<odd_frame> losers;
    std::vector<odd_frame> damaged; ///< the claim is the shadow's
    std::vector<odd_frame> unknown; ///< neither the word nor its shadow decodes
    std::vector<odd_frame> conflicts;

    explicit found_words(const word_tables& tables);
};

/// What the driver makes of damaged words, one after the other, when it loads them.
class damage_judge {
public:
    explicit damage_judge(const page_index& index) : index_(index) {}

    /// The fate of the frame `odd.frame`; of others as well, see fates().
    tiered_found judge(const odd_frame& odd);

    struct fate {
        tiered_found what;
        tiered_claim claim; ///< *lost* where the frame holds its page from now on
        std::uint32_t other;
    };
    /// By frame, the last word on each of those that were judged and on those that lost to one.
    const std::map<std::uint32_t, fate>& fates() const { return fates_; }

private:
    friend struct judge_callbacks;

    const page_index& index_;
    std::map<std::uint64_t, page_index::holder> lost_;
    std::map<std::uint32_t, fate> fates_;
};

} // namespace tiered
