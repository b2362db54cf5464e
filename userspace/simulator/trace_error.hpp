// SPDX-License-Identifier: GPL-2.0-or-later
// A trace that cannot be believed: where and why.
#pragma once

#include "error.hpp"

#include <cstdint>
#include <string_view>

namespace tiered::sim {

class trace_error : public error {
public:
    trace_error(std::string_view path, std::uint64_t line, std::string_view reason)
        : error(fmt::format("{}, line {}: {}; mend the trace or leave that line out", path, line,
                            reason)) {}
};

} // namespace tiered::sim
