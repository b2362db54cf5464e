// SPDX-License-Identifier: GPL-2.0-or-later
// A range of a volume as memory of this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tiered {

/// What a store means once persist() has returned.
enum class durability {
    required,    ///< it is durable (MAP_SYNC); where the kernel cannot promise that, mapping fails
    if_possible, ///< as far as the kernel goes; mapping::not_synchronous_because() says how far
};

struct mapping_options {
    std::uint64_t offset_bytes = 0; ///< of the range in the volume; a multiple of page_bytes
    std::uint64_t length_bytes = 0; ///< a multiple of page_bytes; 0: up to the end
    bool read_only = false;
    durability stores = durability::required;
    std::uintptr_t address = 0; ///< where in this process; 0: where the kernel likes
};

/// A shared mapping, which ends with its object. Loads and stores reach the volume's fast tier
/// directly; a page that cannot be brought there, or that is lost, ends the program with SIGBUS.
class mapping {
public:
    static constexpr std::size_t page_bytes = 4096;

    /// Maps a range of `volume`: the name of one that is open, or a path with a slash in it, of a
    /// device below /dev/tiered or of any regular file. Throws where the volume is not open or has
    /// no memory, the range is not within it, or the address is taken. Sources: the device or file,
    /// for a device's size sysfs.
    explicit mapping(const std::string& volume, const mapping_options& options = {});
    mapping(mapping&& other) noexcept;
    mapping& operator=(mapping&& other) noexcept;
    ~mapping();

    /// The range. A store to one that was mapped read-only ends the program with SIGSEGV.
    std::span<std::byte> bytes() const { return bytes_; }
    std::size_t size_bytes() const { return bytes_.size(); }
    bool is_read_only() const { return read_only_; }
    /// What was mapped.
    const std::string& path() const { return path_; }

    /// Whether a store is durable when the CPU has written its cache line back (MAP_SYNC).
    bool is_synchronous() const { return reason_.empty(); }
    /// Why it is not, as a sentence; empty where it is.
    const std::string& not_synchronous_because() const { return reason_; }
    /// What persist() uses: "clwb", "clflushopt", "clflush" or "msync".
    std::string_view persists_by() const;

    /// Returns when all that was stored to these bytes is durable; by the CPU's flush of cache
    /// lines, or where the mapping is not synchronous by msync. Throws where the bytes are not
    /// within the range, and where msync fails.
    void persist(const void* begin, std::size_t bytes) const;
    /// Has the pages with these bytes, by their offset in the range, come into the fast tier now,
    /// in large pieces, rather than one at a time when they are touched. Throws where that cannot
    /// begin.
    void will_need(std::uint64_t offset_bytes, std::uint64_t length_bytes) const;
    /// Returns when all that was stored to the range is durable (msync). Throws where it is not.
    void sync() const;

private:
    std::span<std::byte> pages_of(const void* begin, std::size_t bytes) const;

    std::span<std::byte> bytes_;
    std::string path_;
    std::string reason_;
    bool read_only_ = false;
};

} // namespace tiered
