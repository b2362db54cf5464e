// SPDX-License-Identifier: GPL-2.0-or-later
// Writing an empty volume onto a fast tier, safe against a power cut at any moment.
#pragma once

#include "storage.hpp"
#include "superblock.hpp"

#include <string>

namespace tiered {

struct format_spec {
    std::string name;
    uuid_bytes volume_id{};
    uuid_bytes fast_id{};
    std::uint64_t created_s = 0;
    std::uint8_t word_seed = 0;
    std::uint64_t volume_sectors = 0;
    tier_identity tier;
};

/// A spec for `name` over `tier` with fresh UUIDs, a random seed and the time of day.
format_spec new_format_spec(const std::string& name, const tier_identity& tier);

/// The superblock of a new volume on a fast tier of `fast_bytes`; throws when it does not fit.
superblock make_superblock(const format_spec& spec, std::uint64_t fast_bytes);

/// Makes none of whatever volume `fast` holds. write_format() begins with it; who destroys more
/// than the fast tier does it before that, so that a power cut leaves the old volume whole or none.
void erase_superblocks(storage& fast);

/// Makes `fast` an empty volume. Until the last two steps a reader finds no volume, then the whole.
void write_format(storage& fast, const superblock& sb);

} // namespace tiered
