// SPDX-License-Identifier: GPL-2.0-or-later
// Data that a program keeps in a volume's memory and finds again, at the same address, after a
// restart or a power cut.
#pragma once

#include "mapping.hpp"
#include "unique_fd.hpp"

#include <memory>

namespace tiered {

/// What a program calls the structure of its data; it is refused where it finds another one.
struct root_layout {
    std::uint64_t id = 0;    ///< a number of the program's own, another one with each change
    std::uint64_t bytes = 0; ///< of the root object
};

struct root_options {
    std::uint64_t offset_bytes = 0; ///< of the range in the volume; a multiple of 4096
    std::uint64_t length_bytes = 0; ///< a multiple of 4096; 0: up to the end
    durability stores = durability::required;
    /// Where a new root is mapped, now and ever after; 0: at a free place that is chosen by chance,
    /// so that roots of several volumes rarely meet in one process.
    std::uintptr_t address = 0;
};

/// A range of a volume that begins with a header, which says where the program's root object is
/// and how much of the range is in use. The rest is the program's. While the object lives nobody
/// else gets the root (a lock of the header's bytes, F_OFD_SETLK). Offsets are in bytes from the
/// beginning of the range. One thread at a time, for set().
class root {
public:
    /// The first bytes of the range are the header's.
    static constexpr std::uint64_t header_bytes = mapping::page_bytes;

    /// The root that is there, mapped where it was made. Throws where none is, its header is
    /// damaged, the layout is another one, its address is taken in this process, the range is
    /// shorter than what is in use, or somebody has it. Sources: the header, and what
    /// mapping asks.
    static root open(const std::string& volume, const root_layout& layout,
                     const root_options& options = {});
    /// A new root without an object. Throws where the range begins with anything but zeros or a
    /// make that was interrupted, and where it cannot be mapped.
    static root make(const std::string& volume, const root_layout& layout,
                     const root_options& options = {});
    /// The root that is there, or a new one where none is. Throws as both do.
    static root open_or_make(const std::string& volume, const root_layout& layout,
                             const root_options& options = {});
    /// Has the range begin with zeros, whatever is there: a root is gone for good, with all that
    /// only it knows. Throws where somebody has it.
    static void erase(const std::string& volume, const root_options& options = {});

    root(root&&) noexcept;
    root& operator=(root&&) noexcept;
    ~root();

    /// The whole range, header included, for persist() and sync().
    const mapping& memory() const { return memory_; }
    /// All that is the program's: what follows the header.
    std::span<std::byte> heap() const { return memory_.bytes().subspan(header_bytes); }

    /// Where the root object is; 0 as long as there is none.
    std::uint64_t object_offset() const;
    /// Where the part in use ends, at first header_bytes. What follows is free to be filled before
    /// set() makes it count.
    std::uint64_t end_offset() const;

    /// Makes what is at `object_offset` the root object, which may be the same as before, and
    /// `end_offset` the end of what is in use, both at once: after a power cut both are old or
    /// both are new. Returns when that is durable; what they refer to has to be durable before
    /// (persist()). Throws where the object (layout bytes, at a multiple of 8) is not within what
    /// is in use, or that not within the range.
    void set(std::uint64_t object_offset, std::uint64_t end_offset);
    /// The same with the end that there is.
    void set(std::uint64_t object_offset) { set(object_offset, end_offset()); }

    /// What is at an offset; nullptr for 0. Throws where a T does not fit in there.
    template <typename T>
    T* at(std::uint64_t offset) const {
        return static_cast<T*>(place(offset, sizeof(T)));
    }
    /// The root object, or nullptr.
    template <typename T>
    T* object() const {
        return at<T>(object_offset());
    }
    /// The offset of what is in the range; 0 of nullptr. Throws where it is not in the range.
    std::uint64_t offset_of(const void* place) const;

private:
    struct header;

    root(unique_fd lock, mapping memory);
    static root open_locked(unique_fd lock, const std::string& volume, const root_layout& layout,
                            const root_options& options);
    static root make_locked(unique_fd lock, const std::string& volume, const root_layout& layout,
                            const root_options& options);
    void* place(std::uint64_t offset, std::uint64_t bytes) const;

    unique_fd lock_;
    mapping memory_;
    std::unique_ptr<header> header_;
};

} // namespace tiered
