// SPDX-License-Identifier: GPL-2.0-or-later
// Shared mappings of volumes and files.
#include "mapping.hpp"

#include "cpu_flush.hpp"
#include "error.hpp"
#include "mapped_file.hpp"

#include <sys/mman.h>
#include <utility>

namespace tiered {

namespace {

/// The length that the options mean; throws where they do not fit the file.
std::uint64_t checked_length(const mapped_file& file, const mapping_options& options) {
    if (options.offset_bytes % mapping::page_bytes || options.length_bytes % mapping::page_bytes ||
        options.address % mapping::page_bytes)
        fail("{} is mapped in pages: offset, length and address must be multiples of {}", file.path,
             mapping::page_bytes);
    if (options.offset_bytes >= file.size_bytes)
        fail("byte {} is not within {}, whose whole pages end at byte {}: map a part of that",
             options.offset_bytes, file.path, file.size_bytes);
    const std::uint64_t most = file.size_bytes - options.offset_bytes;
    if (options.length_bytes > most)
        fail("{} has {} bytes from byte {} on in whole pages, not {}: map no more than that",
             file.path, most, options.offset_bytes, options.length_bytes);
    return options.length_bytes ? options.length_bytes : most;
}

[[noreturn]] void cannot_map(const mapped_file& file, const mapping_options& options,
                             std::uint64_t length, int number) {
    if (number == EEXIST)
        fail("{} cannot be mapped at {:#x}, because something else of this process is within the "
             "{} bytes from there: map it before that, or elsewhere",
             file.path, options.address, length);
    if (number == EOPNOTSUPP)
        fail("{} cannot promise that what the CPU wrote back is durable (no MAP_SYNC): map a "
             "volume's memory, or ask for durability if_possible",
             file.path);
    fail("cannot map {} bytes of {}: {}", length, file.path, errno_text(number));
}

/// Maps somewhere, or with `flags` of MAP_FIXED at the address that was asked for.
void* map_file(const mapped_file& file, const mapping_options& options, std::uint64_t length,
               int flags) {
    const int protection = PROT_READ | (options.read_only ? 0 : PROT_WRITE);
    return ::mmap(reinterpret_cast<void*>(flags & MAP_FIXED ? options.address : 0), length,
                  protection, flags, file.fd.get(), static_cast<off_t>(options.offset_bytes));
}

/// Whether the kernel refuses MAP_SYNC. Tried with a page elsewhere: some file systems say so only
/// when what was at the address is gone.
bool refuses_sync(const mapped_file& file, const mapping_options& options) {
    void* const page = map_file(file, options, mapping::page_bytes, MAP_SHARED_VALIDATE | MAP_SYNC);
    if (page == MAP_FAILED)
        return errno == EOPNOTSUPP; // whatever else it is, mapping the range will say
    ::munmap(page, mapping::page_bytes);
    return false;
}

/// Has nothing else of this process take the address before the range is mapped over this. The
/// kernel takes MAP_FIXED_NOREPLACE for no mapping that wants MAP_SYNC as well.
void reserve(const mapped_file& file, const mapping_options& options, std::uint64_t length) {
    auto* const wanted = reinterpret_cast<void*>(options.address);
    void* const memory =
        ::mmap(wanted, length, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory == MAP_FAILED)
        cannot_map(file, options, length, errno);
    if (memory == wanted)
        return;
    // A kernel before 4.17 takes the address for a wish.
    ::munmap(memory, length);
    cannot_map(file, options, length, EEXIST);
}

} // namespace

mapping::mapping(const std::string& volume, const mapping_options& options) {
    mapped_file file = open_mapped_file(volume, options.read_only);
    const std::uint64_t length = checked_length(file, options);
    int flags = MAP_SHARED_VALIDATE | MAP_SYNC;
    if (refuses_sync(file, options)) {
        if (options.stores == durability::required)
            cannot_map(file, options, length, EOPNOTSUPP);
        flags = MAP_SHARED;
        reason_ = fmt::format("{} has no MAP_SYNC, so persist() is an msync; map a volume's memory "
                              "to do without",
                              file.path);
    }
    if (options.address) {
        reserve(file, options, length);
        flags |= MAP_FIXED;
    }
    void* const memory = map_file(file, options, length, flags);
    // What was reserved stays so: nobody can tell whether it still is ours to give back.
    if (memory == MAP_FAILED)
        cannot_map(file, options, length, errno);
    bytes_ = {static_cast<std::byte*>(memory), length};
    path_ = std::move(file.path);
    read_only_ = options.read_only;
}

mapping::mapping(mapping&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})), path_(std::move(other.path_)),
      reason_(std::move(other.reason_)), read_only_(other.read_only_) {}

mapping& mapping::operator=(mapping&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(path_, other.path_);
    std::swap(reason_, other.reason_);
    std::swap(read_only_, other.read_only_);
    return *this;
}

mapping::~mapping() {
    if (!bytes_.empty())
        ::munmap(bytes_.data(), bytes_.size());
}

std::string_view mapping::persists_by() const {
    return name_of(is_synchronous() ? best_line_flush() : line_flush::none);
}

/// The whole pages with these bytes; throws where they are not within the range.
std::span<std::byte> mapping::pages_of(const void* begin, std::size_t bytes) const {
    const auto range = reinterpret_cast<std::uintptr_t>(bytes_.data());
    const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(begin) - range;
    if (at > bytes_.size() || bytes > bytes_.size() - at)
        fail("{} bytes at {} are not within the {} bytes of {} that are mapped at {}: name "
             "a part of those",
             bytes, begin, bytes_.size(), path_, static_cast<const void*>(bytes_.data()));
    const std::size_t first = at / page_bytes * page_bytes;
    const std::size_t end = (at + bytes + page_bytes - 1) / page_bytes * page_bytes;
    return bytes_.subspan(first, end - first);
}

void mapping::persist(const void* begin, std::size_t bytes) const {
    const std::span<std::byte> pages = pages_of(begin, bytes);
    if (is_synchronous() && best_line_flush() != line_flush::none)
        flush_lines(best_line_flush(), begin, bytes);
    else if (::msync(pages.data(), pages.size(), MS_SYNC))
        fail("what was stored to {} could not be made durable: {}", path_, errno_text(errno));
}

void mapping::will_need(std::uint64_t offset_bytes, std::uint64_t length_bytes) const {
    if (offset_bytes > bytes_.size())
        fail("byte {} is not within the {} bytes of {} that are mapped: name a part of those",
             offset_bytes, bytes_.size(), path_);
    const std::span<std::byte> pages = pages_of(bytes_.data() + offset_bytes, length_bytes);
    if (::madvise(pages.data(), pages.size(), MADV_WILLNEED))
        fail("{} cannot bring its pages: {}", path_, errno_text(errno));
}

void mapping::sync() const {
    if (::msync(bytes_.data(), bytes_.size(), MS_SYNC))
        fail("what was stored to {} could not be made durable: {}", path_, errno_text(errno));
}

} // namespace tiered
