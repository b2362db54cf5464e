// SPDX-License-Identifier: GPL-2.0-or-later
// Traces in files: CSV, fio's iolog (version 2 and 3) and the text of blkparse, told apart by their
// first line.
#pragma once

#include "line_reader.hpp"
#include "request.hpp"

#include <memory>

namespace tiered::sim {

/// What a line of a format says.
class trace_format {
public:
    virtual ~trace_format() = default;
    /// False for a line that is no request. Throws the reason why the line is bad.
    virtual bool parse(std::string_view line, request& r) = 0;
};

/// Throws trace_error where the file is not what it should be.
class trace_file : public request_source {
public:
    explicit trace_file(const std::string& path);

    bool next(request& r) override;
    void rewind() override;
    double progress() const override { return lines.progress(); }

private:
    void start();
    void require_sane(const request& r) const;

    line_reader lines;
    std::unique_ptr<trace_format> format;
    std::string_view pending;
    bool has_pending = false;
    std::uint64_t last_time_us = 0;
};

} // namespace tiered::sim
