// SPDX-License-Identifier: GPL-2.0-or-later
// Where the bytes of a tier are: a device, an image file or, in tests, memory that loses power.
#pragma once

#include "unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace tiered {

class storage {
public:
    virtual ~storage() = default;

    virtual std::uint64_t size_bytes() const = 0;
    /// Throws media_error when the medium cannot read these bytes.
    virtual void read(std::uint64_t offset, std::span<std::byte> out) = 0;
    /// Throws media_error when the medium cannot take these bytes.
    virtual void write(std::uint64_t offset, std::span<const std::byte> data) = 0;
    /// What can be written at least, a multiple of 512; 4096 always can.
    virtual std::uint64_t write_bytes() const = 0;
    /// Returns when everything written before is durable.
    virtual void sync() = 0;
};

/// A block device, read and written past the page cache, or a regular file.
class file_storage : public storage {
public:
    enum class access { read_only, exclusive };

    /// Opens `path`; `exclusive` opens for writing and claims a block device for this process.
    file_storage(const std::string& path, access mode);
    /// Takes over an open file.
    file_storage(unique_fd fd, std::string path);
    ~file_storage() override;

    std::uint64_t size_bytes() const override { return size_bytes_; }
    void read(std::uint64_t offset, std::span<std::byte> out) override;
    void write(std::uint64_t offset, std::span<const std::byte> data) override;
    std::uint64_t write_bytes() const override;
    void sync() override;

    int fd() const { return fd_.get(); }
    const std::string& path() const { return path_; }

private:
    struct aligned_buffer;

    void find_size();
    std::size_t read_block(std::uint64_t offset, std::span<std::byte> out);

    unique_fd fd_;
    std::string path_;
    std::uint64_t size_bytes_ = 0;
    std::uint64_t block_bytes_ = 1;
    std::unique_ptr<aligned_buffer> buffer_;
};

} // namespace tiered
