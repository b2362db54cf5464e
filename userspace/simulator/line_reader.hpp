// SPDX-License-Identifier: GPL-2.0-or-later
// Lines of a text file, plain or compressed with zstd, in bounded memory.
#pragma once

#include "unique_fd.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct ZSTD_DCtx_s;

namespace tiered::sim {

class line_reader {
public:
    explicit line_reader(std::string path);
    ~line_reader();

    /// The next line without its end; valid until the next call. False at the end of the file.
    bool next(std::string_view& line);
    void rewind();

    std::uint64_t line_number() const { return number; }
    /// The share of the file's bytes that were read.
    double progress() const;
    const std::string& path() const { return name; }

private:
    /// Appends more text to `text`; false at the end of the file.
    bool more();
    bool read_input();

    std::string name;
    unique_fd fd;
    std::uint64_t file_bytes = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t number = 0;

    std::vector<char> input;
    std::size_t input_used = 0;
    std::size_t input_filled = 0;
    std::unique_ptr<ZSTD_DCtx_s, std::size_t (*)(ZSTD_DCtx_s*)> zstd;
    bool frame_open = false;
    bool output_pending = false;

    std::string text;
    std::size_t text_used = 0;
};

} // namespace tiered::sim
