// SPDX-License-Identifier: GPL-2.0-or-later
// What a volume may hold at a moment of the workload, from what it began and what was acknowledged.
#pragma once

#include "plan.hpp"

#include <optional>
#include <string>
#include <unordered_map>

namespace campaign {

/// The operation that filled each sector of a page; 0: zeroes.
using page_state = std::array<std::uint32_t, page_sectors>;

class oracle {
public:
    explicit oracle(std::vector<operation> plan);

    void begin(std::uint32_t number);
    void acknowledge(std::uint32_t number);

    /// A page that is in a frame is one of the states it went through, never a mix. Empty when
    /// `found` is one.
    std::string judge_frame(std::uint32_t page, const page_state& found) const;
    /// A page that is on the disk: each sector has one of the values it may have.
    std::string judge_home(std::uint32_t page, const page_state& found) const;

private:
    void change(std::uint32_t number, const operation& one, bool zero);
    void make_durable(const operation& one);
    void make_all_durable();

    std::vector<operation> plan_;
    /// All that a page may be, the oldest first; of most pages one.
    std::vector<std::vector<page_state>> states_;
};

} // namespace campaign
