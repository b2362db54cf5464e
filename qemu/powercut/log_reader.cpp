// SPDX-License-Identifier: GPL-2.0-or-later
// Maps a record and finds where its events begin; checks everything that positions are computed
// from.
#include "log_reader.hpp"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace powercut {

namespace {

constexpr std::array<const char*, end_counters> complaint{
    nullptr,
    "flushes or marks were executed whose address QEMU 7.2 does not tell (put the flush into a "
    "function of its own, "
    "or use QEMU 10)",
    "wbinvd was executed, which is not followed",
    "words of the NVDIMM changed without a store: a device wrote there, which is not followed, or "
    "base= is wrong",
    "the guest armed the plugin again",
};

std::span<const std::byte> map_file(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        throw log_error(path + " cannot be opened: " + std::strerror(errno));
    struct stat file {};
    void* start = MAP_FAILED;
    if (fstat(fd, &file) == 0 && file.st_size >= static_cast<off_t>(sizeof(log_header)))
        start =
            mmap(nullptr, static_cast<std::size_t>(file.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (start == MAP_FAILED)
        throw log_error(path + " is not the record of a run: it is too short or cannot be mapped");
    return {static_cast<const std::byte*>(start), static_cast<std::size_t>(file.st_size)};
}

} // namespace

log_file::log_file(const std::string& path)
    : bytes_(map_file(path)), header_(reinterpret_cast<const log_header*>(bytes_.data())) {
    if (header_->magic != log_magic || header_->bytes % page_bytes ||
        header_->processors > processors_max)
        throw log_error(path + " is not the record of a run");
    scan(path);
}

log_file::~log_file() {
    munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void log_file::scan(const std::string& path) {
    const std::uint64_t words = header_->bytes / word_bytes;
    for (std::size_t at = sizeof(log_header); at + sizeof(record) <= bytes_.size();) {
        const auto& head = *reinterpret_cast<const record*>(bytes_.data() + at);
        const std::size_t next = at + sizeof(record) + std::size_t{head.count} * word_bytes;
        if (next > bytes_.size())
            break; // cut off: there is no end record then
        const bool stores = head.type == record_type::store || head.type == record_type::nt_store ||
                            head.type == record_type::found;
        const bool outside =
            (stores && (head.where >= words || head.count > words - head.where)) ||
            (head.type == record_type::image && head.where >= words / words_per_page) ||
            (head.type == record_type::flush && head.where >= words / words_per_line) ||
            head.processor >= processors_max;
        if (outside || head.type < record_type::image || head.type > record_type::end)
            throw log_error(path + " is damaged at byte " + std::to_string(at) +
                            ": record the run again");
        if (head.type == record_type::site) {
            sites_.resize(std::max<std::size_t>(sites_.size(), std::size_t{head.site} + 1));
            sites_[head.site] = offsets_.size();
        }
        offsets_.push_back(at);
        at = next;
    }
}

event log_file::at(std::size_t number) const {
    const std::size_t at = offsets_[number];
    const auto& head = *reinterpret_cast<const record*>(bytes_.data() + at);
    return {
        head,
        {reinterpret_cast<const std::uint64_t*>(bytes_.data() + at + sizeof(record)), head.count}};
}

std::string log_file::fault() const {
    const event last = offsets_.empty() ? event{} : at(offsets_.size() - 1);
    if (last.head.type != record_type::end || last.words.size() < end_counters)
        return "the record has no end: let the guest disarm the plugin, or end QEMU in order";
    for (unsigned counter = 1; counter < end_counters; counter++)
        if (last.words[counter])
            return std::to_string(last.words[counter]) + " times " + complaint[counter];
    return "";
}

event log_file::site(std::uint32_t number) const {
    return number == 0 || number >= sites_.size() ? event{} : at(sites_[number]);
}

} // namespace powercut
