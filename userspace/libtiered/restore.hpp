// SPDX-License-Identifier: GPL-2.0-or-later
// Writing back from a dump what of a volume's metadata cannot be read any more.
//
// What reads on the medium is newer than the dump, or as new, and stays. From the dump come the
// superblocks, where neither can be believed, and the words of the frames of which neither word nor
// shadow reads. Such a frame gets the claim that it had when the dump was made only if it still has
// the contents that it had then: otherwise a newer claim is gone, and what the dump says of its
// page may be old. What was clean comes back free: its home has it.
//
// Words first, then shadows, then superblock B, then A, each durable before the next. Interrupted,
// the volume is not opened (no superblock, or words that do not read), and restore does the rest
// when it is run again.
#pragma once

#include "dump.hpp"
#include "repair.hpp"

namespace tiered {

struct restore_plan {
    superblock sb;
    bool write_superblocks = false;
    std::vector<word_change> changes; ///< words that were gone; step `shadows`: the shadow alone is

    std::uint64_t claims = 0; ///< dirty and lost ones that come back
    /// Pages that answer errors until they are written whole: they were dirty when the dump was
    /// made, and their frames have other contents now.
    std::vector<lost_pages> lost;
    /// Frames with contents that are newer than the dump: whose they were is lost.
    std::vector<frame_run> newer;
    /// Frames whose words read and are not as in the dump: the volume was in use since, and what
    /// comes back may have been written anew meanwhile.
    std::uint64_t used_since = 0;

    bool changes_anything() const { return write_superblocks || !changes.empty(); }
    bool needs_acceptance() const {
        return !lost.empty() || !newer.empty() || (claims > 0 && used_since > 0);
    }
};

/// Compares the medium with the dump; reads only. Throws a sentence when the dump is of another
/// volume or does not check, something else than a volume is on `path`, or the superblocks would
/// make the volume smaller than it was: a dump knows nothing of a growth after it, so that it gets
/// `known_sectors` where these are more.
restore_plan plan_restore(storage& fast, const std::string& path, const volume_dump& dump,
                          std::uint64_t known_sectors = 0);

/// Does it. Returns sentences about what the medium did not take.
std::vector<std::string> carry_out(storage& fast, const restore_plan& plan);

} // namespace tiered
