// SPDX-License-Identifier: GPL-2.0-or-later
// Which frame holds a page, as the frame words say.
#pragma once

#include "../../driver/core/protocol.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace tiered {

/// An open-addressed table of frames; the pages stand in the frames' words, so that an entry takes
/// four bytes.
class page_index {
public:
    struct holder {
        std::uint32_t frame;
        tiered_claim claim;
    };

    /// Refers to `words`, which must stay as they are.
    explicit page_index(const tiered_words& words);

    std::optional<holder> find(std::uint64_t page) const;
    /// Makes `frame` the holder of `page`, whoever held it before.
    void hold(std::uint32_t frame, std::uint64_t page);

    template <typename Visit>
    void each(Visit visit) const {
        for (const std::uint32_t frame : slots_)
            if (frame != TIERED_NO_FRAME)
                visit(holder{frame, claim_of(frame)});
    }

private:
    tiered_claim claim_of(std::uint32_t frame) const;
    std::size_t slot_of(std::uint64_t page) const;

    const tiered_words& words_;
    std::vector<std::uint32_t> slots_;
};

} // namespace tiered
