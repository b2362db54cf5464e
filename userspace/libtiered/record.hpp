// SPDX-License-Identifier: GPL-2.0-or-later
// What this machine remembers of a volume: for the day when its fast tier is missing, which disk it
// is on, and whether that disk alone holds everything; and what of it is pinned. A file a volume in
// /var/lib/tiered, written by tierctl.
#pragma once

#include "pins.hpp"
#include "superblock.hpp"
#include "unique_fd.hpp"

#include <optional>
#include <string>
#include <vector>

namespace tiered {

/// Where the newest contents of the volume's pages were when the record was made.
enum class homes_state {
    whole,        ///< all at home: the volume was closed with nothing dirty
    writethrough, ///< all that was acknowledged is at home: the volume writes through
    lacking,      ///< `missing_pages` were only in the fast tier when the volume was closed
    in_use,       ///< not known: the volume was open for writing
    alone,    ///< the disk was opened for writing without the fast tier, whose contents are old now
    released, ///< all at home, and the fast tier let go: `tierctl detach` of it or of a later one
};

struct volume_record {
    std::string name;
    std::string uuid;
    std::string fast_path; ///< where the fast tier was
    std::uint64_t volume_sectors = 0;
    tier_identity tier;
    homes_state homes = homes_state::in_use;
    std::uint64_t missing_pages = 0;
    std::int64_t recorded_s = 0;  ///< seconds since 1970
    std::vector<page_range> pins; ///< to be given to the driver when the volume is opened

    /// True when the disk alone has all that was ever acknowledged.
    bool disk_is_whole() const {
        return homes == homes_state::whole || homes == homes_state::writethrough ||
               homes == homes_state::alone || homes == homes_state::released;
    }
};

/// True when both are surely the same disk: by serial number or, where neither has one, by the file
/// system. Sizes repeat, and change.
bool is_same_disk(const tier_identity& one, const tier_identity& other);

/// The record as text and back; from_text throws a sentence about `path` when the text is none.
std::string record_text(const volume_record& record);
volume_record record_from_text(const std::string& text, const std::string& path);

/// Keeps others from changing a volume and its record: what is done and what is noted of it are one
/// step. Not to be held while the user's devices or pages are waited for.
class record_lock {
public:
    static constexpr const char* default_folder = "/run/tiered";

    /// Waits until nobody else has it. Of a volume without a UUID nothing is noted: no lock.
    explicit record_lock(const std::string& uuid, const std::string& folder = default_folder);
    /// Nothing when somebody else has it.
    static std::optional<record_lock> try_take(const std::string& uuid,
                                               const std::string& folder = default_folder);

private:
    explicit record_lock(unique_fd file) : file_(std::move(file)) {}

    unique_fd file_;
};

/// The records in one folder.
class record_store {
public:
    explicit record_store(std::string folder = "/var/lib/tiered") : folder_(std::move(folder)) {}

    /// Replaces the record of the volume's UUID; durable on return.
    void keep(const volume_record& record) const;
    /// The volume is gone for good.
    void forget(const std::string& uuid) const;
    std::optional<volume_record> find_uuid(const std::string& uuid) const;
    /// The newest one of that name.
    std::optional<volume_record> find_name(const std::string& name) const;
    /// Every record that can be read.
    std::vector<volume_record> all() const;

private:
    std::string path_of(const std::string& uuid) const;

    std::string folder_;
};

} // namespace tiered
