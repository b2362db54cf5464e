// SPDX-License-Identifier: GPL-2.0-or-later
// Roots in mapped ranges.
#include "root.hpp"

#include "error.hpp"
#include "mapped_file.hpp"
#include "root_header.hpp"

#include <atomic>
#include <fcntl.h>
#include <random>

namespace tiered {

namespace {

using kind = root_finding::kind;

/// The words of a header that is mapped.
class mapped_words : public root_words {
public:
    explicit mapped_words(const mapping& memory)
        : memory_(memory), words_(reinterpret_cast<std::uint64_t*>(memory.bytes().data())) {}

    std::uint64_t load(unsigned word) const override {
        return std::atomic_ref(words_[word]).load(std::memory_order_relaxed);
    }
    void store(unsigned word, std::uint64_t value) override {
        std::atomic_ref(words_[word]).store(value, std::memory_order_relaxed);
    }
    void persist() override { memory_.persist(words_, sizeof(root_slot_disk) * 2); }

private:
    const mapping& memory_;
    std::uint64_t* words_;
};

/// Keeps others from the root as long as the file is open: a lock of its header's bytes.
unique_fd lock(const std::string& volume, const root_options& options) {
    mapped_file file = open_mapped_file(volume, false);
    struct flock header {};
    header.l_type = F_WRLCK;
    header.l_whence = SEEK_SET;
    header.l_start = static_cast<off_t>(options.offset_bytes);
    header.l_len = root::header_bytes;
    if (::fcntl(file.fd.get(), F_OFD_SETLK, &header) == 0)
        return std::move(file.fd);
    if (errno == EAGAIN || errno == EACCES)
        fail("the root at byte {} of {} is in use, by another process or by this one: wait until "
             "it has ended",
             options.offset_bytes, file.path);
    fail("cannot lock {}: {}", file.path, errno_text(errno));
}

mapping_options range_of(const root_options& options, std::uintptr_t address) {
    return {.offset_bytes = options.offset_bytes,
            .length_bytes = options.length_bytes,
            .read_only = false,
            .stores = options.stores,
            .address = address};
}

/// The header alone, wherever there is room.
mapping map_header(const std::string& volume, const root_options& options) {
    mapping_options page = range_of(options, 0);
    page.length_bytes = root::header_bytes;
    return mapping(volume, page);
}

root_finding find_in(const mapping& memory) {
    return find_root(mapped_words(memory));
}

/// Throws unless a root is there.
void require_valid(const root_finding& found, const std::string& path, std::uint64_t at) {
    switch (found.what) {
    case kind::valid:
        return;
    case kind::none:
        fail("{} has no root at byte {}: make one", path, at);
    case kind::foreign:
        fail(
            "what begins at byte {} of {} is no root: name another range, or, if nobody needs what "
            "is there, erase it and make one",
            at, path);
    case kind::damaged:
        fail("the header of the root at byte {} of {} is damaged: restore the range from a backup, "
             "or erase it and make a new one",
             at, path);
    case kind::newer:
        fail("the root at byte {} of {} has version {}, which this library does not know: use a "
             "newer one",
             at, path, found.version);
    }
}

void require_layout(const root_state& state, const root_layout& layout, const std::string& path) {
    if (state.layout_id == layout.id && state.layout_bytes == layout.bytes)
        return;
    fail("the root of {} has layout {:#x} with {} bytes, and this program has {:#x} with {}: use "
         "the program that made it, or one that converts it",
         path, state.layout_id, state.layout_bytes, layout.id, layout.bytes);
}

/// Nothing that was read is trusted: a later access shall not leave the range.
void require_within(const root_state& state, const mapping& memory) {
    if (state.address != reinterpret_cast<std::uintptr_t>(memory.bytes().data()) ||
        state.end_offset < root::header_bytes)
        fail("the root of {} says that it is at address {:#x} and in use up to byte {}, which none "
             "can be: restore the range from a backup",
             memory.path(), state.address, state.end_offset);
    if (state.end_offset > memory.size_bytes())
        fail(
            "{} bytes of the root of {} are in use, and the range has only {}: name the range with "
            "which it was made",
            state.end_offset, memory.path(), memory.size_bytes());
}

/// A place far from where the kernel, the C library and sanitizers put things.
std::uintptr_t some_address() {
    constexpr std::uintptr_t begin = 0x2000'0000'0000;
    constexpr std::uintptr_t step = 1ULL << 32;
    constexpr unsigned places = 0x2000;
    std::random_device random;
    return begin + random() % places * step;
}

/// The range at the address that was asked for, or at a free one.
mapping map_new(const std::string& volume, const root_options& options) {
    constexpr int attempts = 8;
    if (options.address)
        return mapping(volume, range_of(options, options.address));
    for (int i = 1;; i++) {
        try {
            return mapping(volume, range_of(options, some_address()));
        } catch (const error&) {
            if (i == attempts)
                throw;
        }
    }
}

bool lies_within(std::uint64_t offset, std::uint64_t bytes, std::uint64_t end) {
    return offset >= root::header_bytes && offset <= end && bytes <= end - offset;
}

} // namespace

struct root::header {
    explicit header(root_finding found) : now(found) {}

    root_finding now;
};

root::root(unique_fd lock, mapping memory)
    : lock_(std::move(lock)), memory_(std::move(memory)),
      header_(std::make_unique<header>(find_in(memory_))) {}

root::root(root&&) noexcept = default;
root& root::operator=(root&&) noexcept = default;
root::~root() = default;

root root::open_locked(unique_fd lock, const std::string& volume, const root_layout& layout,
                       const root_options& options) {
    const mapping page = map_header(volume, options);
    const root_finding found = find_in(page);
    require_valid(found, page.path(), options.offset_bytes);
    require_layout(found.state, layout, page.path());
    root opened(std::move(lock), mapping(volume, range_of(options, found.state.address)));
    require_within(found.state, opened.memory_);
    return opened;
}

root root::make_locked(unique_fd lock, const std::string& volume, const root_layout& layout,
                       const root_options& options) {
    mapping memory = map_new(volume, options);
    const root_finding found = find_in(memory);
    if (found.what == kind::valid)
        fail("{} has a root at byte {} already: open it, or erase it first", memory.path(),
             options.offset_bytes);
    if (found.what != kind::none)
        require_valid(found, memory.path(), options.offset_bytes);
    mapped_words words(memory);
    make_root(words, {.layout_id = layout.id,
                      .layout_bytes = layout.bytes,
                      .address = reinterpret_cast<std::uintptr_t>(memory.bytes().data()),
                      .end_offset = header_bytes});
    return {std::move(lock), std::move(memory)};
}

root root::open(const std::string& volume, const root_layout& layout, const root_options& options) {
    return open_locked(lock(volume, options), volume, layout, options);
}

root root::make(const std::string& volume, const root_layout& layout, const root_options& options) {
    return make_locked(lock(volume, options), volume, layout, options);
}

root root::open_or_make(const std::string& volume, const root_layout& layout,
                        const root_options& options) {
    unique_fd held = lock(volume, options);
    if (find_in(map_header(volume, options)).what == kind::none)
        return make_locked(std::move(held), volume, layout, options);
    return open_locked(std::move(held), volume, layout, options);
}

void root::erase(const std::string& volume, const root_options& options) {
    const unique_fd held = lock(volume, options);
    const mapping page = map_header(volume, options);
    mapped_words words(page);
    erase_root(words);
}

std::uint64_t root::object_offset() const {
    return header_->now.state.object_offset;
}

std::uint64_t root::end_offset() const {
    return header_->now.state.end_offset;
}

void root::set(std::uint64_t object_offset, std::uint64_t end_offset) {
    root_state next = header_->now.state;
    if (end_offset < header_bytes || end_offset > memory_.size_bytes())
        fail("the part in use of {} cannot end at byte {}: it ends between {} and {}",
             memory_.path(), end_offset, header_bytes, memory_.size_bytes());
    if (object_offset &&
        (object_offset % 8 || !lies_within(object_offset, next.layout_bytes, end_offset)))
        fail("no root object of {} bytes of {} can be at byte {}: it has to be at a multiple of 8 "
             "between {} and {}",
             next.layout_bytes, memory_.path(), object_offset, header_bytes, end_offset);
    next.object_offset = object_offset;
    next.end_offset = end_offset;
    mapped_words words(memory_);
    header_->now = update_root(words, header_->now, next);
}

void* root::place(std::uint64_t offset, std::uint64_t bytes) const {
    if (!offset)
        return nullptr;
    if (!lies_within(offset, bytes, memory_.size_bytes()))
        fail(
            "{} bytes at byte {} are not within the heap of {}, which ends at byte {}: the data is "
            "damaged, or of another program",
            bytes, offset, memory_.path(), memory_.size_bytes());
    return memory_.bytes().data() + offset;
}

std::uint64_t root::offset_of(const void* place) const {
    if (!place)
        return 0;
    const auto offset = reinterpret_cast<std::uintptr_t>(place) -
                        reinterpret_cast<std::uintptr_t>(memory_.bytes().data());
    if (!lies_within(offset, 0, memory_.size_bytes()))
        fail("{} is not within the heap of {}: only what is in there has an offset", place,
             memory_.path());
    return offset;
}

} // namespace tiered
