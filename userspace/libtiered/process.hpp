// SPDX-License-Identifier: GPL-2.0-or-later
// Running another program and reading what it says.
#pragma once

#include <string>
#include <vector>

namespace tiered {

struct command_result {
    int status = 0; ///< exit status; 128 + signal when a signal ended it, 127 when it was not found
    std::string out;
    std::string err;
};

/// Runs `arguments[0]`, found through PATH, without a shell and without standard input.
command_result run_command(const std::vector<std::string>& arguments);

} // namespace tiered
