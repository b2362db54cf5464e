// SPDX-License-Identifier: GPL-2.0-or-later
// Reading /dev/kmsg.
#include "kernel_log.hpp"

#include "text.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string_view>

namespace tiered {

namespace {

constexpr std::size_t record_bytes = 8192; // the longest record that the kernel gives

/// "tiered: sentence (-EINVAL)": the device mapper appends the errno in brackets.
std::string_view without_errno(std::string_view text) {
    const std::size_t open = text.rfind(" (-E");
    if (open != std::string_view::npos && text.ends_with(")"))
        text = text.substr(0, open);
    return text;
}

} // namespace

kernel_log::kernel_log() : fd_(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
    if (fd_)
        ::lseek(fd_.get(), 0, SEEK_END);
}

std::vector<std::string> kernel_log::messages() {
    std::vector<std::string> found;
    std::array<char, record_bytes> record;
    while (fd_) {
        const ssize_t got = ::read(fd_.get(), record.data(), record.size());
        if (got < 0 && (errno == EPIPE || errno == EINTR))
            continue; // the oldest records were overwritten meanwhile: go on with the next
        if (got <= 0)
            break;
        // "priority,sequence,time,flags;message\n KEY=value\n"
        std::string_view text(record.data(), static_cast<std::size_t>(got));
        text.remove_prefix(std::min(text.find(';') + 1, text.size()));
        found.emplace_back(trimmed(text.substr(0, text.find('\n'))));
    }
    return found;
}

std::string driver_reason(const std::vector<std::string>& messages) {
    constexpr std::string_view marker = "tiered: ";
    std::string reason;
    for (const std::string& message : messages) {
        const std::size_t at = message.rfind(marker);
        if (message.starts_with("device-mapper: ") && at != std::string::npos)
            reason = without_errno(trimmed(std::string_view(message).substr(at + marker.size())));
    }
    return reason;
}

} // namespace tiered
