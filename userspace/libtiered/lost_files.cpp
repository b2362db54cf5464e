// SPDX-License-Identifier: GPL-2.0-or-later
// How to find the files to which lost bytes belong.
#include "lost_files.hpp"

#include "error.hpp"
#include "page_contents.hpp"
#include "signature.hpp"
#include "unique_fd.hpp"
#include "word_tables.hpp"

#include <algorithm>
#include <sys/mman.h>

namespace tiered {

namespace {

constexpr std::uint64_t beginning_bytes = 1 << 20; ///< all signatures at the front of a device
constexpr std::size_t blocks_named = 64;           ///< in one command

/// Where mke2fs notes the logarithm of the block size, less 10.
constexpr std::size_t ext_block_size_at = 1024 + 24;
constexpr unsigned ext_block_log_most = 6;

using byte_view = std::span<const std::byte>;

std::optional<signature> signature_in(byte_view bytes) {
    const unique_fd file(::memfd_create("beginning", MFD_CLOEXEC));
    if (!file ||
        ::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        return std::nullopt;
    try {
        return find_signature(fmt::format("/proc/self/fd/{}", file.get()));
    } catch (const error&) {
        return std::nullopt; // a hint is not worth an error
    }
}

std::uint64_t ext_block_bytes(byte_view bytes) {
    const auto log = std::to_integer<unsigned>(bytes[ext_block_size_at]);
    return 1024ull << std::min(log, ext_block_log_most);
}

/// The numbers of the units of `unit` bytes that the pages are in, separated by `between`.
std::string units_of(const std::vector<lost_pages>& lost, std::uint64_t unit,
                     std::string_view between) {
    std::vector<std::uint64_t> units;
    for (const lost_pages& run : lost) {
        const std::uint64_t end = (run.first + run.count) * TIERED_FRAME_BYTES;
        for (std::uint64_t at = run.first * TIERED_FRAME_BYTES / unit * unit;
             at < end && units.size() < blocks_named; at += unit)
            units.push_back(at / unit);
    }
    // Not std::ranges::unique: clang 14, which makes the fuzzers, cannot read that of g++ 12.
    units.erase(std::unique(units.begin(), units.end()), units.end());
    return fmt::format("{}", fmt::join(units, between));
}

std::vector<std::string> ext_commands(byte_view bytes, const std::string& path,
                                      const std::vector<lost_pages>& lost) {
    return {fmt::format("debugfs -R 'icheck {}' {}   (the inodes that own these blocks)",
                        units_of(lost, ext_block_bytes(bytes), " "), path),
            fmt::format("debugfs -R 'ncheck INODE...' {}   (the names of these inodes)", path)};
}

std::vector<std::string> xfs_commands(const std::string& path,
                                      const std::vector<lost_pages>& lost) {
    std::string look;
    for (const lost_pages& run : lost) {
        look += fmt::format(" -c 'daddr {}' -c 'blockuse -n -c {}'",
                            run.first * TIERED_SECTORS_PER_PAGE, run.count);
        if (look.size() > blocks_named * 16)
            break;
    }
    return {
        fmt::format("xfs_db -r -c 'blockget -n'{} {}   (inode and name that own each block; the "
                    "file system must not be mounted)",
                    look, path)};
}

std::string lines_for_others(const std::string& type, const std::vector<lost_pages>& lost) {
    return fmt::format("the volume holds {}: the tools for that find what owns the sectors of 512 "
                       "bytes from {} on",
                       type, units_of(lost, TIERED_FRAME_BYTES, " x 8, ") + " x 8");
}

} // namespace

std::vector<std::byte> volume_beginning(storage& fast, storage& capacity, const superblock& sb) {
    const word_tables tables(fast, sb);
    const found_words found(tables);
    std::vector<std::byte> bytes(std::min(beginning_bytes, sb.pages() * TIERED_FRAME_BYTES));
    for (std::uint64_t page = 0; page < bytes.size() / TIERED_FRAME_BYTES; page++) {
        const auto holder = found.index.find(page);
        const auto contents = holder ? read_page(fast, sb.frame_offset(holder->frame))
                                     : read_page(capacity, page * TIERED_FRAME_BYTES);
        if (contents)
            std::ranges::copy(
                *contents, bytes.begin() + static_cast<std::ptrdiff_t>(page * TIERED_FRAME_BYTES));
    }
    return bytes;
}

std::vector<std::string> how_to_find_files(byte_view beginning, const std::string& path,
                                           const std::vector<lost_pages>& lost) {
    const auto found = signature_in(beginning);
    if (!found || lost.empty())
        return {};
    if (found->ambiguous)
        return {lines_for_others(found->described(), lost)};
    if (found->type.starts_with("ext") && beginning.size() > ext_block_size_at)
        return ext_commands(beginning, path, lost);
    if (found->type == "xfs")
        return xfs_commands(path, lost);
    return {lines_for_others(found->type, lost)};
}

} // namespace tiered
