// SPDX-License-Identifier: GPL-2.0-or-later
// The metadata of a closed volume as text that people and programs can read, and back.
//
// A dump is one JSON object:
//
//   format       "dm-tiered dump"
//   version      1; a reader refuses any other, fields may be added to it
//   made_s       when, in seconds since 1970
//   name, uuid   of the volume
//   layout       for readers: fast_bytes, frames_total, frame_bytes, words_offset_bytes,
//                shadow_offset_bytes, frames_offset_bytes, volume_sectors, word_seed
//   superblocks  one object for A and one for B: slot, stands (true for the one that is in use),
//   fault
//                (null, or why it is not valid), generation, needs_check, and bytes: its 4096 bytes
//                in hexadecimal, without the zero bytes at its end
//   words        runs of frames, in order and without a gap, see below
//   shadows      runs of the frames whose shadow differs from its word
//   words_crc32c, shadows_crc32c   of both tables as they were on the medium, one word a frame
//   (seed
//                ~0, no final inversion)
//
// A run is an object: frame (the first), count, and state:
//
//   free, retired        nothing more
//   clean, dirty, lost   page (of the first frame; each further frame has the next page), version
//   damaged              bytes: the words in hexadecimal, 16 digits each, as on the medium
//
// and, in `words`, crc32c: of each frame's contents, a list, or one number when all are alike; null
// for a frame that cannot be read.
#pragma once

#include "superblock.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tiered {

struct volume_dump {
    superblock sb; ///< the one that stood
    std::int64_t made_s = 0;
    std::vector<__le64> words; ///< one a frame
    std::vector<__le64> shadows;
    std::vector<std::optional<std::uint32_t>> contents_crc32c; ///< one a frame
};

/// CRC32C of a frame's contents; nothing when it cannot be read.
std::optional<std::uint32_t> frame_crc32c(storage& fast, const superblock& sb, std::uint32_t frame);

/// The dump of the volume on `fast`, whose frames are all read. Throws when no superblock stands.
std::string dump_text(storage& fast, std::int64_t now_s);

/// Reads a dump. Throws a sentence about `path` when the text is none, contradicts itself, or was
/// made of a fast tier of more than `fast_bytes_most`.
volume_dump parse_dump(const std::string& text, const std::string& path,
                       std::uint64_t fast_bytes_most);

} // namespace tiered
