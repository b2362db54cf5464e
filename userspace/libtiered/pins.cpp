// SPDX-License-Identifier: GPL-2.0-or-later
// Pinned ranges: replies and messages, and where a file lies.
#include "pins.hpp"

#include "../../driver/core/format.h"
#include "core/status.h"
#include "dm.hpp"
#include "error.hpp"
#include "kernel_log.hpp"
#include "reply.hpp"
#include "text.hpp"
#include "unique_fd.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

namespace tiered {

namespace {

constexpr std::uint64_t pinned_page_bytes = TIERED_FRAME_BYTES;

pinned_range parse_pin(std::string_view word, const std::string& reply) {
    pinned_range pin;
    for (std::uint64_t* field : {&pin.range.first_page, &pin.range.pages}) {
        const std::size_t colon = word.find(':');
        *field = reply_number(word.substr(0, colon), reply);
        word.remove_prefix(colon == word.npos ? word.size() : colon + 1);
    }
    pin.resident_pages = reply_number(word, reply);
    return pin;
}

void send_ranges(const std::string& name, const char* message, const char* what,
                 const std::vector<page_range>& ranges) {
    std::string text = message;
    for (const page_range& range : ranges)
        text += fmt::format(" {} {}", range.first_page, range.pages);
    kernel_log log;
    try {
        send_dm_message(name, text);
    } catch (const error& e) {
        fail("nothing was {} of the volume '{}': {}", what, name, log.refusal(name, e.what()));
    }
}

/// Extents that FIEMAP is asked for at once.
constexpr std::uint32_t extents_at_once = 256;

/// What lies elsewhere than where it says, or nowhere yet.
constexpr std::uint32_t not_in_place = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC |
                                       FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_NOT_ALIGNED |
                                       FIEMAP_EXTENT_DATA_INLINE;

/// The next extents of a file from `offset` on; fewer than were asked for where it ends.
std::vector<fiemap_extent> extents_from(const unique_fd& file, const std::string& path,
                                        std::uint64_t offset) {
    std::vector<std::byte> room(sizeof(fiemap) + extents_at_once * sizeof(fiemap_extent));
    fiemap request{};
    request.fm_start = offset;
    request.fm_length = FIEMAP_MAX_OFFSET - offset;
    request.fm_flags = FIEMAP_FLAG_SYNC;
    request.fm_extent_count = extents_at_once;
    std::memcpy(room.data(), &request, sizeof(request));
    if (::ioctl(file.get(), FS_IOC_FIEMAP, room.data()))
        fail("where {} lies cannot be asked of its file system ({}); give a --range instead", path,
             errno_text(errno));
    std::memcpy(&request, room.data(), sizeof(request));
    std::vector<fiemap_extent> extents(request.fm_mapped_extents);
    std::memcpy(extents.data(), room.data() + sizeof(request),
                extents.size() * sizeof(fiemap_extent));
    return extents;
}

/// The part of a volume that a file system's realtime or other device has is not this one.
void require_on_device(const unique_fd& file, const std::string& path, dev_t device) {
    struct stat of_file {};
    if (::fstat(file.get(), &of_file))
        fail("{} cannot be looked at ({}); check the path", path, errno_text(errno));
    if (!S_ISREG(of_file.st_mode))
        fail("{} is no file with contents; give a regular file, or a --range", path);
    fsxattr attributes{};
    const bool elsewhere = ::ioctl(file.get(), FS_IOC_FSGETXATTR, &attributes) == 0 &&
                           (attributes.fsx_xflags & FS_XFLAG_REALTIME);
    if (of_file.st_dev != device || elsewhere)
        fail("{} is not in a file system right on this volume; give a --range instead", path);
}

} // namespace

pins_reply parse_pins_reply(const std::string& text) {
    const reply_part part = parse_reply_part(text);
    pins_reply reply{.pins = {}, .next = part.next};
    for (const std::string& word : part.words)
        reply.pins.push_back(parse_pin(word, text));
    return reply;
}

std::vector<pinned_range> ask_pins(const std::string& name) {
    std::vector<pinned_range> all;
    ask_in_parts(name, TIERED_MESSAGE_PINS, [&all](const std::string& text) {
        const pins_reply reply = parse_pins_reply(text);
        all.insert(all.end(), reply.pins.begin(), reply.pins.end());
        return reply.next;
    });
    return all;
}

void pin_ranges(const std::string& name, const std::vector<page_range>& ranges) {
    send_ranges(name, TIERED_MESSAGE_PIN, "pinned", ranges);
}

void unpin_ranges(const std::string& name, const std::vector<page_range>& ranges) {
    send_ranges(name, TIERED_MESSAGE_UNPIN, "unpinned", ranges);
}

page_range pages_at(std::uint64_t offset_bytes, std::optional<std::uint64_t> length_bytes,
                    std::uint64_t size_bytes) {
    const std::uint64_t whole =
        size_bytes / pinned_page_bytes; // what is left is always on the disk
    if (offset_bytes >= whole * pinned_page_bytes)
        fail("the pages of the volume end at {} bytes; give a range that begins before that",
             whole * pinned_page_bytes);
    const std::uint64_t most = size_bytes - offset_bytes;
    const std::uint64_t length = length_bytes.value_or(most);
    if (!length || length > most)
        fail("{} bytes from {} on are no range of the volume, which has {} bytes; give 1 to {}",
             length, offset_bytes, size_bytes, most);
    const std::uint64_t first = offset_bytes / pinned_page_bytes;
    const std::uint64_t end =
        std::min(whole, (offset_bytes + length + pinned_page_bytes - 1) / pinned_page_bytes);
    return {first, end - first};
}

std::vector<page_range> pages_of_file(const std::string& path, dev_t device,
                                      std::uint64_t size_bytes) {
    const unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file)
        fail("{} cannot be opened ({}); check the path", path, errno_text(errno));
    require_on_device(file, path, device);
    std::vector<page_range> ranges;
    std::uint64_t offset = 0;
    for (bool more = true; more;) {
        const std::vector<fiemap_extent> extents = extents_from(file, path, offset);
        for (const fiemap_extent& extent : extents) {
            if (extent.fe_flags & not_in_place)
                fail("{} has contents that are not in blocks of their own (inline, compressed or "
                     "encrypted); give a --range instead",
                     path);
            ranges.push_back(pages_at(extent.fe_physical, extent.fe_length, size_bytes));
            offset = extent.fe_logical + extent.fe_length;
        }
        more = extents.size() == extents_at_once;
    }
    if (ranges.empty())
        fail("{} has no blocks on the volume; write to it first", path);
    return ranges;
}

} // namespace tiered
