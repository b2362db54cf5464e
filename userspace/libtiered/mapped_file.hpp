// SPDX-License-Identifier: GPL-2.0-or-later
// What can be mapped: the memory of an open volume, or a regular file.
#pragma once

#include "unique_fd.hpp"

#include <cstdint>
#include <string>

namespace tiered {

struct mapped_file {
    unique_fd fd;
    std::string path;
    std::uint64_t size_bytes = 0; ///< of whole pages
};

/// Opens the memory of the open volume with this name, or the device or file at a path with a
/// slash.
mapped_file open_mapped_file(const std::string& volume, bool read_only);

} // namespace tiered
