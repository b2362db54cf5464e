// SPDX-License-Identifier: GPL-2.0-or-later
// Replays the log of a recorded disk.
#include "disk_model.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace powercut {

namespace {

/// As qemu/recorded_disk.py writes it.
struct entry {
    std::uint64_t offset;
    std::uint64_t length;
    std::uint32_t type;
    std::uint32_t reserved;
};

enum entry_type : std::uint32_t { type_write = 1, type_flush = 3, type_trim = 4, type_zeroes = 6 };

std::span<const std::byte> map_log(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat file {};
    if (fd < 0 || fstat(fd, &file) != 0)
        throw log_error(path + " cannot be opened: " + std::strerror(errno));
    void* start = file.st_size == 0 ? nullptr
                                    : mmap(nullptr, static_cast<std::size_t>(file.st_size),
                                           PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (start == MAP_FAILED)
        throw log_error(path + " cannot be mapped: " + std::strerror(errno));
    return {static_cast<const std::byte*>(start), static_cast<std::size_t>(file.st_size)};
}

} // namespace

disk_model::disk_model(const std::string& log, std::uint64_t bytes)
    : log_(map_log(log)), durable_(bytes), contents_(bytes) {}

disk_model::~disk_model() {
    if (!log_.empty())
        munmap(const_cast<std::byte*>(log_.data()), log_.size());
}

void disk_model::advance(std::uint64_t count) {
    restore();
    while (count_ < count)
        complete_next();
}

void disk_model::complete_next() {
    entry head{};
    if (log_.size() - at_ < sizeof(head))
        throw log_error("the disk's log ends early: record the run again");
    std::memcpy(&head, log_.data() + at_, sizeof(head));
    at_ += sizeof(head);
    count_++;
    if (head.type == type_flush)
        return settle();
    const bool has_data = head.type == type_write;
    const bool known = has_data || head.type == type_trim || head.type == type_zeroes;
    if (!known || head.offset > durable_.size() || head.length > durable_.size() - head.offset ||
        (has_data && head.length > log_.size() - at_))
        throw log_error("the disk's log is damaged: record the run again");
    unflushed_.push_back({head.offset, head.length, has_data ? log_.data() + at_ : nullptr});
    at_ += has_data ? head.length : 0;
}

void disk_model::put(const write& one, std::size_t from, std::size_t bytes) {
    if (one.data)
        std::memcpy(&contents_[one.offset + from], one.data + from, bytes);
    else
        std::memset(&contents_[one.offset + from], 0, bytes);
}

/// All that was written is durable.
void disk_model::settle() {
    for (const write& one : unflushed_) {
        put(one, 0, one.bytes);
        std::memcpy(&durable_[one.offset], &contents_[one.offset], one.bytes);
    }
    unflushed_.clear();
}

void disk_model::restore() {
    for (const write& one : unflushed_)
        std::memcpy(&contents_[one.offset], &durable_[one.offset], one.bytes);
}

void disk_model::lose_power(const cut& one) {
    restore();
    dice random(one.seed ^ 0x6469736b, one.number);
    enum { nothing, everything, writes, sectors, styles };
    const auto style = random.below(styles);
    for (const write& next : unflushed_) {
        const bool whole = style == everything || (style == writes && random.below(2));
        for (std::size_t at = 0; at < next.bytes; at += sector_bytes)
            if (whole || (style == sectors && random.below(2)))
                put(next, at, std::min<std::size_t>(sector_bytes, next.bytes - at));
    }
}

} // namespace powercut
