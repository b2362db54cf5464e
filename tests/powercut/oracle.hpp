// SPDX-License-Identifier: GPL-2.0-or-later
// What a volume may hold at a moment of the workload, from what it began and what was acknowledged.
#pragma once

#include "plan.hpp"
#include "stores.hpp"

#include <map>
#include <string>

namespace campaign {

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
    /// Its words that are not what `found` says, wherever it is: stored through mappings.
    std::string judge_stores(std::uint32_t page, const page_state& found,
                             const std::vector<odd_word>& odd) const {
        return stores_.judge(page, found, odd);
    }
    /// The operation whose acknowledgement last ruled out a state of the page; 0: none did.
    std::uint32_t settled_by(std::uint32_t page) const { return pages_[page].settled_by; }

private:
    struct known {
        std::vector<page_state> possible; ///< after a power cut; of most pages one
        std::vector<page_state> current;  ///< what it is now; several where writers met
        std::uint32_t settled_by = 0;
    };

    /// Changes that are on their way, each with all that were so at the same time.
    using in_flight = std::map<std::uint32_t, std::vector<std::uint32_t>>;

    void begin_change(std::uint32_t number);
    void mix(std::uint32_t page);
    void end_change(std::uint32_t number, bool durable);
    void settle(std::uint32_t number, const std::vector<std::uint32_t>& rivals, std::uint32_t page,
                std::vector<page_state>& states) const;
    void make_all_durable(std::uint32_t number);
    std::vector<store_to> promised_by(std::uint32_t number) const;
    void make_durable(std::uint32_t number, const store_to& one);

    std::vector<operation> plan_;
    std::vector<known> pages_;
    in_flight flying_;
    stores stores_;
    /// Stores that are durable when an operation that is on its way is acknowledged.
    std::map<std::uint32_t, std::vector<store_to>> promised_;
};

} // namespace campaign
