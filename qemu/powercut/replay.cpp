// SPDX-License-Identifier: GPL-2.0-or-later
// One pass over a record serves any number of cuts.
#include "replay.hpp"

#include <algorithm>

namespace powercut {

void replay::advance(std::size_t moment) {
    for (; at_ < moment; at_++) {
        const event one = log_.at(at_);
        model_.apply(one);
        if (one.head.type == record_type::mark)
            mark_ = one;
        if (one.head.type == record_type::disk)
            disk_ = one.head.where;
    }
}

std::vector<cut> cuts_in_order(std::uint64_t seed, std::uint64_t first, std::uint64_t count,
                               std::span<const std::size_t> all_moments) {
    std::vector<cut> cuts;
    for (std::uint64_t number = first; number < first + count; number++)
        cuts.push_back(choose_cut(seed, number, all_moments));
    std::ranges::stable_sort(cuts, {}, &cut::moment);
    return cuts;
}

} // namespace powercut
