// SPDX-License-Identifier: GPL-2.0-or-later
// How to find the files to which lost bytes of a volume belong, by what libblkid finds on it.
#pragma once

#include "repair.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tiered {

/// The first bytes of the closed volume `sb` as it would show them: frames where they hold a page,
/// homes elsewhere. Pages that cannot be read are zero.
std::vector<std::byte> volume_beginning(storage& fast, storage& capacity, const superblock& sb);

/// Commands, each with its purpose, that tell which files the pages belong to; empty where nothing
/// is known on the volume. `beginning` is that of the volume, `path` where it is when it is open.
std::vector<std::string> how_to_find_files(std::span<const std::byte> beginning,
                                           const std::string& path,
                                           const std::vector<lost_pages>& lost);

} // namespace tiered
