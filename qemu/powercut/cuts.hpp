// SPDX-License-Identifier: GPL-2.0-or-later
// Which moments the power is cut at, and which words are lost: all of it a function of a seed and a
// number.
#pragma once

#include "dice.hpp"
#include "line_model.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace powercut {

enum class moments {
    every,     ///< before every fence and mark
    per_stack, ///< before the first fence of each place: its instruction and callers
};

/// Events before which the power may be cut.
std::vector<std::size_t> find_moments(const log_file& log, moments which);

struct cut {
    std::size_t moment = 0; ///< the first event that did not happen
    std::uint64_t seed = 0;
    std::uint64_t number = 0;
};

cut choose_cut(std::uint64_t seed, std::uint64_t number, std::span<const std::size_t> all_moments);

/// A word that an image has not with its newest value.
struct loss {
    std::uint64_t word;
    std::uint64_t newest;
    std::uint32_t site; ///< of the store that is lost
};

struct image {
    std::vector<survivor> survivors; ///< words that have not their durable value
    std::vector<loss> losses;
};

/// Tells of which lines the losses matter.
using line_filter = std::function<bool(std::uint64_t line)>;

/// What survives `one`, when `model` has replayed all events before its moment. Only lines of which
/// `may_lose` is true lose anything; without it all do.
image draw(const line_model& model, const cut& one, const line_filter& may_lose = {});

/// A part of `all` that still fails, of which no single one can be left out. `fails` tells whether
/// just these do.
template <typename One>
std::vector<One> minimise(std::vector<One> all,
                          const std::function<bool(std::span<const One>)>& fails) {
    for (std::size_t step = all.size(); step > 0; step /= 2) {
        for (std::size_t at = 0; at < all.size();) {
            std::vector<One> fewer = all;
            const auto from = fewer.begin() + static_cast<std::ptrdiff_t>(at);
            fewer.erase(from, from + static_cast<std::ptrdiff_t>(std::min(step, all.size() - at)));
            if (fails(fewer))
                all = std::move(fewer);
            else
                at += step;
        }
    }
    return all;
}

/// The image in which only `losses` are lost: all other words have their newest value.
std::vector<survivor> all_but(const line_model& model, std::span<const loss> losses,
                              std::span<const survivor> drawn);

} // namespace powercut
