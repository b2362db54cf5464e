// SPDX-License-Identifier: GPL-2.0-or-later
// Allocation in mappings, by memkind.
#include "arena.hpp"

#include "../error.hpp"
#include "../text.hpp"

#include <array>
#include <memkind.h>
#include <string_view>

// Exported by memkind and described in memkind_arena(3), but declared in no header of Debian's.
extern "C" int memkind_arena_update_memory_usage_policy(memkind_t kind,
                                                        memkind_mem_usage_policy policy);

namespace tiered {

namespace {

/// Throws when a call of memkind failed.
void require_success(int result, const mapping& memory, std::string_view what) {
    if (result == MEMKIND_SUCCESS)
        return;
    std::array<char, MEMKIND_ERROR_MESSAGE_SIZE> text{};
    memkind_error_message(result, text.data(), text.size());
    fail("memkind cannot {} for {}: {}", what, memory.path(), text.data());
}

/// A statistic of this kind's; memkind's are as old as the last update.
std::size_t statistic(memkind_t kind, memkind_stat_type type, const mapping& memory) {
    std::size_t value = 0;
    require_success(memkind_update_cached_stats(), memory, "renew its statistics");
    require_success(memkind_get_stat(kind, type, &value), memory, "tell its statistics");
    return value;
}

} // namespace

arena_full::arena_full(std::string text)
    : text_(std::make_shared<const std::string>(std::move(text))) {}

struct arena::kind {
    explicit kind(const mapping& memory) {
        const std::span<std::byte> range = memory.bytes();
        require_success(memkind_create_fixed(range.data(), range.size(), &handle), memory,
                        "make an arena");
    }
    kind(const kind&) = delete;
    kind& operator=(const kind&) = delete;
    ~kind() { memkind_destroy_kind(handle); }

    memkind_t handle = nullptr;
};

arena::arena(mapping memory) : memory_(std::move(memory)) {
    if (memory_.is_read_only())
        fail("{} is mapped read-only, and an arena stores to it: map it for writing",
             memory_.path());
    kind_ = std::make_unique<kind>(memory_);
    // Otherwise what was freed lies in pieces of the size it had for ten seconds, to be purged
    // then; the purge does nothing here, and larger allocations fail until it comes.
    require_success(memkind_arena_update_memory_usage_policy(kind_->handle,
                                                             MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE),
                    memory_, "join what is freed");
}

arena::~arena() = default;

std::size_t arena::allocated_bytes() const {
    return statistic(kind_->handle, MEMKIND_STAT_TYPE_ALLOCATED, memory_);
}

std::size_t arena::active_bytes() const {
    return statistic(kind_->handle, MEMKIND_STAT_TYPE_ACTIVE, memory_);
}

void* arena::do_allocate(std::size_t bytes, std::size_t alignment) {
    void* pointer = nullptr;
    const std::size_t wanted = bytes ? bytes : 1; // of none memkind makes none
    // What has 8 bytes is aligned to 8 without asking.
    if (alignment <= sizeof(void*))
        pointer = memkind_malloc(kind_->handle, wanted);
    else if (memkind_posix_memalign(kind_->handle, &pointer, alignment, wanted))
        pointer = nullptr;
    if (!pointer)
        throw arena_full(
            fmt::format("no {} bytes are free in one piece in the {} of the arena over "
                        "{}: map a larger range, or free more",
                        bytes, size_text(memory_.size_bytes()), memory_.path()));
    return pointer;
}

void arena::do_deallocate(void* pointer, std::size_t, std::size_t) {
    memkind_free(kind_->handle, pointer);
}

} // namespace tiered
