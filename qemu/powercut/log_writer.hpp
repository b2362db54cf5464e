// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the record of a run. Stores around the cache that follow each other become one record.
#pragma once

#include "log_format.hpp"

#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace powercut {

class log_writer {
public:
    /// Throws std::system_error when the file cannot be made.
    log_writer(const std::string& path, const log_header& header);
    ~log_writer();
    log_writer(const log_writer&) = delete;
    log_writer& operator=(const log_writer&) = delete;

    void put(const record& head, std::span<const std::uint64_t> words = {});
    /// Begins to collect stores around the cache into one record.
    void begin_run(const record& head, std::span<const std::uint64_t> words);
    /// Adds a store around the cache to those that are collected; false when it does not continue
    /// them.
    bool append(const record& head, std::span<const std::uint64_t> words);
    /// Writes out what is buffered. False when anything could not be written.
    bool flush();

private:
    void write(const record& head, std::span<const std::uint64_t> words);
    void end_run();

    struct closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::unique_ptr<std::FILE, closer> file_;
    record run_{};
    std::vector<std::uint64_t> run_words_;
    bool good_ = true;
};

} // namespace powercut
