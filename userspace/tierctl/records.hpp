// SPDX-License-Identifier: GPL-2.0-or-later
// What the verbs note for the day when a fast tier is missing (libtiered/record.hpp).
#pragma once

#include "discovery.hpp"
#include "dm.hpp"
#include "record.hpp"

namespace tierctl {

/// An open volume that no other tierctl changes meanwhile.
struct locked_volume {
    tiered::record_lock lock;
    tiered::dm_device device; ///< as it is since then
};
/// Throws a sentence when `name` is not open.
locked_volume lock_open_volume(const std::string& name);

/// A new volume, nothing of which is dirty yet, in the place of `former` if there was one.
void note_format(const tiered::superblock& sb, const std::string& fast_path,
                 const std::optional<tiered::superblock>& former);

/// The volume is about to be opened for writing: from here on nobody knows how much is not at home.
/// Throws when that cannot be recorded while an older record says that the disk has everything.
void note_open(const tiered::found_volume& volume);

/// The volume writes through and nothing is dirty any more: its disk has what was acknowledged,
/// from now on.
void note_written_through(const std::string& uuid);

/// The volume was closed with this many pages only in its fast tier.
void note_close(const std::string& uuid, std::uint64_t missing_pages);

/// What is pinned of the open volume now. Throws when that cannot be recorded.
void note_pins(const tiered::dm_device& device);

/// Has the open volume pin what is recorded for it. Says on standard error when it does not.
void give_pins(const std::string& name, const std::string& uuid);

/// The volume was found open, perhaps by dmsetup alone: a record that says otherwise says the truth
/// from now on, or that the disk is written alone. One that is right already stays, and one that
/// another tierctl is about to bring up to date: it may be waiting for udev, and thus for us.
void note_found_open(const tiered::dm_device& device);

/// The volume is about to write through no longer: nobody knows how much will not be at home.
void note_written_back(const std::string& uuid);

/// The volume's disk has everything and its fast tier is about to be let go. Throws when that
/// cannot be recorded.
void note_released(const tiered::found_volume& volume);

/// The same for former volumes on the disk of `released`, whose fast tiers were replaced: their
/// records must not keep the disk from being used, nor let what those tiers hold be used with it.
void note_disk_released(const tiered::volume_record& released);

/// The open volume has `sectors` of 512 bytes now.
void note_size(const std::string& uuid, std::uint64_t sectors);

/// The disk is about to be opened for writing without its fast tier.
void note_alone(tiered::volume_record record);

/// Opening the volume failed: what stood `before` it was noted stands again, if there was a record,
/// and if nobody else has the volume open.
void take_back(const std::string& uuid, const std::optional<tiered::volume_record>& before);

/// "on 2026-03-01 at 12:00 UTC"
std::string when_text(std::int64_t seconds);

} // namespace tierctl
