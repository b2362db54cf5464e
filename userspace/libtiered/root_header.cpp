// SPDX-License-Identifier: GPL-2.0-or-later
// The two slots of a root's header.
#include "root_header.hpp"

#include "../../driver/core/shim.h"

#include <array>
#include <bit>
#include <optional>

namespace tiered {

namespace {

using slot_words = std::array<std::uint64_t, root_slot_words>;
using kind = root_finding::kind;

constexpr unsigned check_word = 0;
constexpr unsigned version_word = 1;
constexpr std::uint64_t crc_mask = 0xffffffff;

std::uint64_t little(std::uint64_t value) {
    return ::htole64(value);
}

/// The check word of a slot with these words, which are as they are on the medium.
std::uint64_t check_of(const slot_words& words) {
    const std::uint32_t crc =
        tiered_crc32c(~0U, &words[version_word], (root_slot_words - 1) * sizeof(words[0]));
    return little(root_magic << 32 | crc);
}

slot_words encode(const root_state& state) {
    slot_words words{0,
                     little(root_version),
                     little(state.generation),
                     little(state.layout_id),
                     little(state.layout_bytes),
                     little(state.address),
                     little(state.object_offset),
                     little(state.end_offset)};
    words[check_word] = check_of(words);
    return words;
}

root_state decode(const slot_words& words) {
    const auto disk = std::bit_cast<root_slot_disk>(words);
    return {little(disk.generation), little(disk.layout_id),     little(disk.layout_bytes),
            little(disk.address),    little(disk.object_offset), little(disk.end_offset)};
}

struct slot {
    slot_words words{};

    bool blank() const { return !words[check_word]; }
    bool valid() const { return !blank() && words[check_word] == check_of(words); }
    bool has_magic() const { return (little(words[check_word]) & ~crc_mask) == root_magic << 32; }
    bool zero() const { return words == slot_words{}; }
    std::uint64_t version() const { return little(words[version_word]); }
};

slot slot_at(const root_words& words, unsigned number) {
    slot found;
    for (unsigned i = 0; i < root_slot_words; i++)
        found.words[i] = words.load(number * root_slot_words + i);
    return found;
}

root_finding of_valid(const slot& found, unsigned number) {
    if (found.version() != root_version)
        return {kind::newer, {}, number, found.version()};
    return {kind::valid, decode(found.words), number, root_version};
}

/// Both slots check: the later one, unless they do not follow each other.
root_finding later_of(const root_finding& a, const root_finding& b) {
    if (a.what == kind::newer || b.what == kind::newer)
        return a.what == kind::newer ? a : b;
    if (a.state.generation + 1 == b.state.generation)
        return b;
    if (b.state.generation + 1 == a.state.generation)
        return a;
    return {kind::damaged, {}, 0, 0};
}

/// Stores a slot's words in the order that a crash may interrupt anywhere.
void fill_slot(root_words& words, unsigned number, const root_state& state) {
    const slot_words next = encode(state);
    const unsigned first = number * root_slot_words;
    for (unsigned i = version_word; i < root_slot_words; i++)
        words.store(first + i, next[i]);
    words.persist();
    words.store(first + check_word, next[check_word]);
    words.persist();
}

void blank_slot(root_words& words, unsigned number) {
    words.store(number * root_slot_words + check_word, 0);
    words.persist();
}

} // namespace

root_finding find_root(const root_words& words) {
    const slot a = slot_at(words, 0), b = slot_at(words, 1);
    if (!(a.blank() || a.valid()) || !(b.blank() || b.valid()))
        return {a.has_magic() || b.has_magic() ? kind::damaged : kind::foreign, {}, 0, 0};
    if (a.valid() && b.valid())
        return later_of(of_valid(a, 0), of_valid(b, 1));
    if (a.valid())
        return of_valid(a, 0);
    if (b.valid())
        return of_valid(b, 1);
    return {b.zero() ? kind::none : kind::damaged, {}, 0, 0};
}

void make_root(root_words& words, root_state state) {
    words.store(check_word, 0);
    for (unsigned i = root_slot_words; i < root_header_words; i++)
        words.store(i, 0);
    words.persist();
    state.generation = 1;
    fill_slot(words, 0, state);
}

root_finding update_root(root_words& words, const root_finding& now, root_state next) {
    const unsigned other = 1 - now.slot;
    next.generation = now.state.generation + 1;
    blank_slot(words, other);
    fill_slot(words, other, next);
    return {kind::valid, next, other, root_version};
}

void erase_root(root_words& words) {
    const unsigned newest = find_root(words).slot;
    blank_slot(words, 1 - newest);
    blank_slot(words, newest);
    for (unsigned number : {0, 1}) {
        for (unsigned i = 0; i < root_slot_words; i++)
            words.store(number * root_slot_words + i, 0);
        words.persist();
    }
}

} // namespace tiered
