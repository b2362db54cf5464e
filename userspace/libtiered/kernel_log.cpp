// SPDX-License-Identifier: GPL-2.0-or-later
// Reading /dev/kmsg.
#include "kernel_log.hpp"

#include "text.hpp"

#include <array>
#include <cctype>
#include <cerrno>
#include <fcntl.h>
#include <string_view>

namespace tiered {

namespace {

constexpr std::size_t record_bytes = 8192; // the longest record that the kernel gives

/// "sentence (-EINVAL)": the device mapper appends the errno in brackets.
std::string_view without_errno(std::string_view text) {
    const std::size_t open = text.rfind(" (-E");
    if (open != std::string_view::npos && text.ends_with(")"))
        text = text.substr(0, open);
    return text;
}

/// Says that there was a reason, which stands in a message before.
bool is_verdict_only(std::string_view text) {
    return text.starts_with("preresume failed");
}

/// A sentence's beginning as it goes on after a colon; abbreviations stay as they are.
std::string continued(std::string_view text) {
    std::string out(text);
    if (out.size() > 1 && !std::isupper(static_cast<unsigned char>(out[1])))
        out[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(out[0])));
    return out;
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

std::string kernel_log::refusal(const std::string& volume, const std::string& otherwise) {
    std::string reason = driver_reason(messages());
    if (reason.starts_with(volume + ": "))
        reason.erase(0, volume.size() + 2);
    return reason.empty() ? otherwise : reason;
}

std::string driver_reason(const std::vector<std::string>& messages) {
    constexpr std::string_view marker = " tiered: ";
    std::string reason;
    for (const std::string& message : messages) {
        const std::size_t at = message.find(marker);
        if (!message.starts_with("device-mapper:") || at == std::string::npos)
            continue;
        const std::string_view text = std::string_view(message).substr(at + marker.size());
        if (!is_verdict_only(text))
            reason = continued(without_errno(trimmed(text)));
    }
    return reason;
}

} // namespace tiered
