// SPDX-License-Identifier: GPL-2.0-or-later
// The one exception type: a plain sentence that says what is wrong and what to do next.
#pragma once

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <stdexcept>
#include <string>
#include <utility>

namespace tiered {

class error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Bytes that the medium cannot give back (EIO), as opposed to every other reason.
class media_error : public error {
public:
    using error::error;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
    throw error(fmt::format(format, std::forward<Args>(args)...));
}

/// The system's words for an errno value, in lower case to fit into a sentence.
inline std::string errno_text(int number) {
    std::string text = std::strerror(number);
    if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z')
        text[0] = static_cast<char>(text[0] - 'A' + 'a');
    return text;
}

} // namespace tiered
