// SPDX-License-Identifier: GPL-2.0-or-later
// What the checker throws when a promise does not hold.
#pragma once

#include <stdexcept>

namespace model {

class Violation : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

} // namespace model
