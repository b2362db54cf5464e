// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the record of a run.
#pragma once

#include "log_format.hpp"

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace powercut {

/// Why a record cannot be used; a sentence without its end.
struct log_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct event {
    record head{};
    std::span<const std::uint64_t> words;
};

/// A record, mapped. Events are numbered from 0.
class log_file {
public:
    /// Throws log_error when the file is no record. A record without its end, or whose end says
    /// that something was not followed, is opened: see `fault`.
    explicit log_file(const std::string& path);
    ~log_file();
    log_file(const log_file&) = delete;
    log_file& operator=(const log_file&) = delete;

    const log_header& header() const { return *header_; }
    std::size_t size() const { return offsets_.size(); }
    event at(std::size_t number) const;
    /// Why the record must not be believed; empty when it may be.
    std::string fault() const;
    /// Where the events of a site were; event{} for site 0.
    event site(std::uint32_t number) const;

private:
    void scan(const std::string& path);

    std::span<const std::byte> bytes_;
    const log_header* header_ = nullptr;
    std::vector<std::uint64_t> offsets_;
    std::vector<std::size_t> sites_;
};

} // namespace powercut
