// SPDX-License-Identifier: GPL-2.0-or-later
// What words of a page may hold that were stored to through mappings, beside what block writes left
// around them.
#pragma once

#include "plan.hpp"

#include <map>
#include <string>

namespace campaign {

/// The operation that filled each sector of a page; 0: zeroes.
using page_state = std::array<std::uint32_t, page_sectors>;

/// A store to one word of a page.
struct store_to {
    std::uint32_t page = 0;
    unsigned word = 0;
    std::uint32_t number = 0; ///< of the operation
};

/// A store is one over what its sector was filled with at that time: where the sector is found
/// filled by something else, the store is not there.
class stores {
public:
    /// Operation `number` stores to a page that is as one of `current` says.
    void add(std::uint32_t number, std::uint32_t page, const std::vector<page_state>& current);
    /// The newest store to each word of these lines of a page (a bit for each) that no write came
    /// over.
    std::vector<store_to> newest(std::uint32_t page, std::uint64_t lines,
                                 const std::vector<page_state>& current) const;
    /// From here on this store, or a newer one, must be there. What its sector may be filled with.
    std::vector<std::uint32_t> make_durable(const store_to& one);
    /// A page is about to be zeroed: what was stored may be there or not.
    void release(std::uint32_t page);
    /// None of a page's stores may be there any more.
    void forget(std::uint32_t page) { pages_.erase(page); }
    /// Forgets those over what the page's sectors cannot be filled with any more.
    void prune(std::uint32_t page, const std::vector<page_state>& possible);

    /// Empty when the words of a page that are not what their sectors were filled with are as they
    /// may be, and none is missing.
    std::string judge(std::uint32_t page, const page_state& filled,
                      const std::vector<odd_word>& odd) const;

private:
    struct one_store {
        std::uint32_t number;
        std::vector<std::uint32_t> over; ///< of most one
    };
    struct word_known {
        std::vector<one_store> may; ///< oldest first
        bool must = false;          ///< one of them is there
    };

    std::string judge_odd(std::uint32_t page, const page_state& filled, const odd_word& one) const;

    std::map<std::uint32_t, std::map<unsigned, word_known>> pages_;
};

} // namespace campaign
