// SPDX-License-Identifier: GPL-2.0-or-later
// The header by which a program finds its data in persistent memory again, and the order of stores
// by which it changes.
//
// The header has two slots of 64 bytes: A at the beginning of the range, B after it. A slot is
// eight words of 8 bytes. The memory promises that one aligned word is old or new after a power
// cut, never a mix; of several words that were stored since they were last flushed, any may be old
// and any new. So one word decides about a slot: its check word.
//
//   a slot is blank    its check word is 0
//             valid    its check word is the magic and the CRC32C of the seven others
//             damaged  anything else. No crash leaves that.
//
// An update of the root, out of the state in which one slot is valid and newest (generation g):
//
//   store                                  flush, fence     what a crash before the flush leaves
//   1 the other slot's check word: 0       yes              other slot valid (g-1) or blank
//   2 its seven other words, g+1           yes              other slot blank
//   3 its check word                       yes              other slot blank or valid (g+1)
//
// Up to 3 the slot of g is valid and the newest; in 3, one store makes it the older one. With both
// check words correct the larger generation is the root, and generations differ by one.
//
// Making the first root (make), in a header that has none:
//
//   1 zeros to all of slot B, and to A's check word         as before
//   2 A's seven other words, generation 1                   A blank, B zero: that is no root
//   3 A's check word                                        no root, or the first one
//
// Taking the root away (erase): the older slot's check word, then the newest's, then all the rest
// become zero, each flushed. The newest root is there, or none.
//
// A blank A with a B that is blank but not zero is not left by any crash of update or make: it is
// damage, or an erase that has to be finished.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tiered {

/// A slot on the medium, little endian.
struct root_slot_disk {
    std::uint64_t check; ///< root_magic in the upper half, CRC32C of all that follows in the lower
    std::uint64_t version; ///< of this structure: root_version; readers refuse others
    std::uint64_t generation;
    std::uint64_t layout_id;
    std::uint64_t layout_bytes;
    std::uint64_t address;       ///< at which the beginning of the range was mapped
    std::uint64_t object_offset; ///< from the beginning of the range; 0: none yet
    std::uint64_t end_offset;    ///< of the part of the range that is in use
};

inline constexpr std::uint64_t root_magic = 0x746f6f72; // "root"
inline constexpr std::uint64_t root_version = 1;
inline constexpr unsigned root_slot_words = sizeof(root_slot_disk) / sizeof(std::uint64_t);
inline constexpr unsigned root_header_words = 2 * root_slot_words;

/// What a slot says, in the byte order of this machine.
struct root_state {
    std::uint64_t generation = 0;
    std::uint64_t layout_id = 0;
    std::uint64_t layout_bytes = 0;
    std::uint64_t address = 0;
    std::uint64_t object_offset = 0;
    std::uint64_t end_offset = 0;

    bool operator==(const root_state&) const = default;
};

/// The words of a header, as they are in memory: mapped, or in tests losing power.
class root_words {
public:
    virtual ~root_words() = default;

    virtual std::uint64_t load(unsigned word) const = 0;
    virtual void store(unsigned word, std::uint64_t value) = 0;
    /// Returns when what was stored to all words is durable.
    virtual void persist() = 0;
};

struct root_finding {
    enum class kind {
        none,    ///< nothing was made here, or not to its end
        valid,   ///< `state` is the root
        foreign, ///< something that is no root
        damaged, ///< a root that cannot be trusted
        newer,   ///< of a version that this library does not know
    };

    kind what = kind::none;
    root_state state;
    unsigned slot = 0;         ///< the one with the newest root
    std::uint64_t version = 0; ///< of what is newer
};

root_finding find_root(const root_words& words);

/// Makes the first root; its generation is 1 whatever `state` says. Only where there is none.
void make_root(root_words& words, root_state state);
/// Makes `next` the root in place of the valid one that was found, and says where that is.
root_finding update_root(root_words& words, const root_finding& now, root_state next);
/// Makes the header one that has no root.
void erase_root(root_words& words);

} // namespace tiered
