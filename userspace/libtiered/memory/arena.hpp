// SPDX-License-Identifier: GPL-2.0-or-later
// The capacity of a volume as memory that is forgotten at the end: an allocator over a mapping. In
// a library of its own, libtiered-memory, because it needs memkind.
#pragma once

#include <mapping.hpp>

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>

namespace tiered {

/// No room for an allocation; what() is a sentence for people.
class arena_full : public std::bad_alloc {
public:
    explicit arena_full(std::string text);
    const char* what() const noexcept override { return text_->c_str(); }

private:
    std::shared_ptr<const std::string> text_; ///< to copy an exception must not throw
};

/// Allocations out of a mapping, by memkind's allocator (jemalloc) with a heap of their own. Many
/// threads can use it at once, and all that takes a std::pmr::memory_resource: std::pmr's
/// containers, std::pmr::polymorphic_allocator.
///
/// What was allocated ends with the arena, and means nothing to the next one in the same range.
/// Nothing is zeroed: memory has the contents that the volume had. What is freed serves later
/// allocations, and is never given back to the volume. README.md says how the range is divided
/// among threads, and what of it is bookkeeping.
class arena : public std::pmr::memory_resource {
public:
    /// Takes the range over, and overwrites what was in it, be it a file system or a root. Throws
    /// error where it is read-only, or memkind fails.
    explicit arena(mapping memory);
    arena(const arena&) = delete;
    arena& operator=(const arena&) = delete;
    /// Nothing of it may be in use any more.
    ~arena() override;

    const mapping& memory() const { return memory_; }

    /// How many bytes are allocated, in memkind's size classes. Source: jemalloc's statistics.
    /// Throws error where memkind cannot tell.
    std::size_t allocated_bytes() const;
    /// How many bytes of the range the allocations and what was freed between them take.
    std::size_t active_bytes() const;

    // allocate(bytes, alignment) and deallocate(pointer, bytes, alignment) are the base class's.
    // allocate() throws arena_full.

private:
    struct kind;

    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* pointer, std::size_t bytes, std::size_t alignment) override;
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
        return this == &other;
    }

    mapping memory_;
    std::unique_ptr<kind> kind_;
};

} // namespace tiered
