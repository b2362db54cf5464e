// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the record of a run through a large buffer.
#include "log_writer.hpp"

#include <cerrno>
#include <system_error>

namespace powercut {

namespace {
constexpr std::size_t buffer_bytes = 1 << 20;
constexpr std::size_t run_words_max = words_per_page;
} // namespace

log_writer::log_writer(const std::string& path, const log_header& header)
    : file_(std::fopen(path.c_str(), "we")) {
    if (!file_)
        throw std::system_error(errno, std::generic_category(), path);
    std::setvbuf(file_.get(), nullptr, _IOFBF, buffer_bytes);
    good_ = std::fwrite(&header, sizeof(header), 1, file_.get()) == 1;
}

log_writer::~log_writer() {
    flush();
}

void log_writer::write(const record& head, std::span<const std::uint64_t> words) {
    good_ = std::fwrite(&head, sizeof(head), 1, file_.get()) == 1 && good_;
    if (!words.empty())
        good_ = std::fwrite(words.data(), words.size_bytes(), 1, file_.get()) == 1 && good_;
}

void log_writer::end_run() {
    if (run_words_.empty())
        return;
    run_.count = static_cast<std::uint16_t>(run_words_.size());
    write(run_, run_words_);
    run_words_.clear();
}

void log_writer::put(const record& head, std::span<const std::uint64_t> words) {
    end_run();
    write(head, words);
}

void log_writer::begin_run(const record& head, std::span<const std::uint64_t> words) {
    end_run();
    run_ = head;
    run_words_.assign(words.begin(), words.end());
}

bool log_writer::append(const record& head, std::span<const std::uint64_t> words) {
    const bool continues = !run_words_.empty() && head.processor == run_.processor &&
                           head.where == run_.where + run_words_.size() &&
                           run_words_.size() + words.size() <= run_words_max;
    if (continues)
        run_words_.insert(run_words_.end(), words.begin(), words.end());
    return continues;
}

bool log_writer::flush() {
    end_run();
    return std::fflush(file_.get()) == 0 && good_;
}

} // namespace powercut
