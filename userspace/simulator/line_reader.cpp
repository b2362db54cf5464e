// SPDX-License-Identifier: GPL-2.0-or-later
// Lines of a text file, plain or compressed with zstd.
#include "line_reader.hpp"

#include "trace_error.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

namespace tiered::sim {

namespace {

constexpr std::size_t input_bytes = 128 * 1024;
/// No format has lines near this length: what does is no trace.
constexpr std::size_t longest_line = 64 * 1024;

} // namespace

line_reader::line_reader(std::string path)
    : name(std::move(path)), fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC)), input(input_bytes),
      zstd(nullptr, ZSTD_freeDCtx) {
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0)
        fail("the trace {} cannot be opened: {}; check the path given to --trace", name,
             errno_text(errno));
    if (!S_ISREG(status.st_mode))
        fail("the trace {} is not a regular file; write the trace to a file first, because it is "
             "read twice",
             name);
    file_bytes = static_cast<std::uint64_t>(status.st_size);
    if (name.ends_with(".zst"))
        zstd.reset(ZSTD_createDCtx());
}

line_reader::~line_reader() = default;

void line_reader::rewind() {
    if (::lseek(fd.get(), 0, SEEK_SET) != 0)
        fail("the trace {} cannot be read a second time: {}; copy it to a local file", name,
             errno_text(errno));
    bytes_read = number = 0;
    input_used = input_filled = text_used = 0;
    text.clear();
    frame_open = output_pending = false;
    if (zstd)
        ZSTD_DCtx_reset(zstd.get(), ZSTD_reset_session_only);
}

double line_reader::progress() const {
    return file_bytes ? static_cast<double>(bytes_read) / static_cast<double>(file_bytes) : 1.0;
}

bool line_reader::read_input() {
    const ssize_t got = ::read(fd.get(), input.data(), input.size());
    if (got < 0)
        fail("the trace {} cannot be read: {}; check the disk that it is on", name,
             errno_text(errno));
    input_used = 0;
    input_filled = static_cast<std::size_t>(got);
    bytes_read += input_filled;
    return got > 0;
}

bool line_reader::more() {
    text.erase(0, text_used);
    text_used = 0;
    if (text.size() > longest_line)
        throw trace_error(name, number + 1, "the line is longer than 64 KiB");
    // The decompressor may hold back what did not fit, with all of its input taken.
    if (!output_pending && input_used == input_filled && !read_input()) {
        if (frame_open)
            throw trace_error(name, number + 1, "the zstd file is truncated");
        return false;
    }
    if (!zstd) {
        text.append(input.data(), input_filled);
        input_used = input_filled;
        return true;
    }
    const std::size_t before = text.size();
    text.resize(before + ZSTD_DStreamOutSize());
    ZSTD_outBuffer out{text.data() + before, text.size() - before, 0};
    ZSTD_inBuffer in{input.data(), input_filled, input_used};
    const std::size_t r = ZSTD_decompressStream(zstd.get(), &out, &in);
    if (ZSTD_isError(r))
        throw trace_error(name, number + 1,
                          fmt::format("the zstd data is damaged ({})", ZSTD_getErrorName(r)));
    frame_open = r != 0;
    output_pending = out.pos == out.size;
    input_used = in.pos;
    text.resize(before + out.pos);
    return true;
}

bool line_reader::next(std::string_view& line) {
    std::size_t end;
    std::size_t searched = text_used;
    while ((end = text.find('\n', searched)) == std::string::npos) {
        searched = text.size() - text_used;
        if (!more()) {
            if (text.empty())
                return false;
            throw trace_error(name, number + 1, "the file ends in the middle of this line");
        }
    }
    number++;
    line = std::string_view(text).substr(text_used, end - text_used);
    text_used = end + 1;
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    return true;
}

} // namespace tiered::sim
