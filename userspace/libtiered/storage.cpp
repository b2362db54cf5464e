// SPDX-License-Identifier: GPL-2.0-or-later
// Storage on files and block devices.
#include "storage.hpp"

#include "../../driver/core/format.h"
#include "error.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

namespace tiered {

namespace {

constexpr std::size_t buffer_bytes = 1 << 20;
constexpr std::size_t direct_io_alignment = 4096;

bool is_block_device(int fd) {
    struct stat st {};
    return ::fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
}

int open_flags(const std::string& path, file_storage::access mode) {
    struct stat st {};
    int flags = O_CLOEXEC | (mode == file_storage::access::exclusive ? O_RDWR : O_RDONLY);
    if (::stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode)) {
        // The driver stores into a pmem device behind the page cache.
        flags |= O_DIRECT;
        if (mode == file_storage::access::exclusive)
            flags |= O_EXCL;
    }
    return flags;
}

unique_fd open_path(const std::string& path, file_storage::access mode) {
    unique_fd fd(::open(path.c_str(), open_flags(path, mode)));
    if (!fd && errno == EBUSY)
        fail("{} is in use by another program or device; free it first", path);
    if (!fd)
        fail("cannot open {}: {}", path, errno_text(errno));
    return fd;
}

} // namespace

struct file_storage::aligned_buffer {
    alignas(direct_io_alignment) std::array<std::byte, buffer_bytes> bytes;
};

file_storage::file_storage(const std::string& path, access mode)
    : file_storage(open_path(path, mode), path) {}

file_storage::file_storage(unique_fd fd, std::string path)
    : fd_(std::move(fd)), path_(std::move(path)), buffer_(std::make_unique<aligned_buffer>()) {
    find_size();
}

file_storage::~file_storage() = default;

void file_storage::find_size() {
    if (is_block_device(fd_.get())) {
        int block = 0;
        if (::ioctl(fd_.get(), BLKGETSIZE64, &size_bytes_) || ::ioctl(fd_.get(), BLKSSZGET, &block))
            fail("cannot tell the size of {}: {}", path_, errno_text(errno));
        block_bytes_ = static_cast<std::uint64_t>(block);
        return;
    }
    struct stat st {};
    if (::fstat(fd_.get(), &st))
        fail("cannot tell the size of {}: {}", path_, errno_text(errno));
    if (!S_ISREG(st.st_mode))
        fail("{} is neither a block device nor an image file", path_);
    size_bytes_ = static_cast<std::uint64_t>(st.st_size);
}

/// Reads the beginning of `out` and returns how much of it; around the cache only whole blocks can
/// be read.
std::size_t file_storage::read_block(std::uint64_t offset, std::span<std::byte> out) {
    const std::uint64_t skipped = offset % block_bytes_;
    const std::uint64_t end =
        (skipped + out.size() + block_bytes_ - 1) / block_bytes_ * block_bytes_;
    const std::size_t wanted = std::min<std::uint64_t>(end, buffer_bytes);
    const ssize_t got =
        ::pread(fd_.get(), buffer_->bytes.data(), wanted, static_cast<off_t>(offset - skipped));
    if (got < 0 && errno == EINTR)
        return 0;
    if (got < 0 && errno == EIO)
        throw media_error(fmt::format("{} cannot be read at byte {}", path_, offset));
    if (got < 0)
        fail("cannot read {} at byte {}: {}", path_, offset, errno_text(errno));
    if (static_cast<std::uint64_t>(got) <= skipped)
        fail("{} ends before byte {}, which should be read", path_, offset);
    const std::size_t useful =
        std::min<std::size_t>(static_cast<std::uint64_t>(got) - skipped, out.size());
    std::copy_n(buffer_->bytes.begin() + static_cast<std::ptrdiff_t>(skipped), useful, out.begin());
    return useful;
}

void file_storage::read(std::uint64_t offset, std::span<std::byte> out) {
    while (!out.empty()) {
        const std::size_t done = read_block(offset, out);
        out = out.subspan(done);
        offset += done;
    }
}

void file_storage::write(std::uint64_t offset, std::span<const std::byte> data) {
    while (!data.empty()) {
        const std::size_t wanted = std::min(data.size(), buffer_bytes);
        std::copy_n(data.begin(), wanted, buffer_->bytes.begin());
        const ssize_t put =
            ::pwrite(fd_.get(), buffer_->bytes.data(), wanted, static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EIO)
            throw media_error(fmt::format("{} cannot be written at byte {}", path_, offset));
        if (put <= 0)
            fail("cannot write {} at byte {}: {}", path_, offset,
                 errno_text(put < 0 ? errno : ENOSPC));
        data = data.subspan(static_cast<std::size_t>(put));
        offset += static_cast<std::uint64_t>(put);
    }
}

std::uint64_t file_storage::write_bytes() const {
    return std::max<std::uint64_t>(block_bytes_, TIERED_SECTOR_BYTES);
}

void file_storage::sync() {
    if (::fsync(fd_.get()))
        fail("cannot make what was written to {} durable: {}", path_, errno_text(errno));
}

} // namespace tiered
