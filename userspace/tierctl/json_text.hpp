// SPDX-License-Identifier: GPL-2.0-or-later
// JSON as the verbs print it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace tierctl {

/// A name on a medium may be any bytes; what is no UTF-8 must not keep the rest from being told.
template <typename Json>
std::string json_text(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

} // namespace tierctl
