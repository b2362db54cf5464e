// SPDX-License-Identifier: GPL-2.0-or-later
// What persistent memory may hold after a power cut. Words of 8 bytes persist each for itself: a
// word holds its durable value, or any later one, since a cache may write a line back whenever it
// likes. A flush, or a store around the cache, promises the values of its moment to its processor's
// next fence.
#pragma once

#include "log_reader.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace powercut {

/// A value of a word that may or may not have persisted.
struct later_value {
    std::uint64_t value;
    std::uint64_t order; ///< counts stores
    std::uint32_t site;
    std::uint8_t word; ///< within its line
};

/// A word with a value.
struct survivor {
    std::uint64_t word;
    std::uint64_t value;
};

/// A line with words that may be lost.
struct open_line {
    std::uint64_t line = 0;
    std::vector<later_value> values; ///< in the order of the stores
};

class line_model {
public:
    explicit line_model(std::uint64_t bytes);

    void apply(const event& one);

    /// What is certainly there.
    std::span<const std::uint64_t> durable() const { return durable_; }
    std::span<const open_line> open_lines() const { return open_; }
    /// Whether the durable value of a word, or one that may have persisted, is such a one.
    bool any_value(std::uint64_t word, const std::function<bool(std::uint64_t)>& such) const;

    /// Puts values in for a while, and returns those that were there, to be put back the same way
    /// before anything is applied.
    std::vector<survivor> exchange(std::span<const survivor> values);

private:
    struct promise {
        std::uint64_t line;
        std::uint64_t order; ///< of the newest value that is covered
        std::uint8_t words;  ///< a bit for each
    };

    open_line& line_at(std::uint64_t line);
    void store(const event& one);
    void promise_stored(const event& one);
    void fence(unsigned processor);
    void keep(const promise& kept);
    void close_line(std::uint64_t line);

    std::vector<std::uint64_t> durable_;
    std::vector<std::uint32_t> slot_; ///< by line: its place in open_ plus one, or 0
    std::vector<open_line> open_;
    std::array<std::vector<promise>, processors_max> promised_;
    std::uint64_t order_ = 0;
};

} // namespace powercut
