// SPDX-License-Identifier: GPL-2.0-or-later
// Volumes' memory devices, and their sizes by sysfs.
#include "mapped_file.hpp"

#include "error.hpp"
#include "mapping.hpp"
#include "text.hpp"

#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace tiered {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view folder = "tiered/";

std::string path_of(const std::string& volume) {
    if (volume.find('/') != std::string::npos)
        return volume;
    require_volume_name(volume);
    return "/dev/" + std::string(folder) + volume;
}

[[noreturn]] void cannot_open(const std::string& path, int number) {
    if (number == ENOENT && path.starts_with("/dev/" + std::string(folder)))
        fail("there is no {}: open the volume with tierctl open", path);
    if (number == EROFS)
        fail("{} has no memory while its volume is read-only, written through or without its fast "
             "tier: open the volume without that",
             path);
    fail("cannot open {}: {}", path, errno_text(number));
}

/// The name of the volume whose memory the character device is.
std::optional<std::string> volume_of(dev_t device) {
    const std::string uevent =
        fmt::format("/sys/dev/char/{}:{}/uevent", major(device), minor(device));
    for (const std::string& word : split_words(read_text_file(uevent).value_or("")))
        if (const std::string key = "DEVNAME=" + std::string(folder); word.starts_with(key))
            return word.substr(key.size());
    return {};
}

std::uint64_t volume_sectors(const std::string& name) {
    std::error_code ec;
    for (const fs::directory_entry& entry : fs::directory_iterator("/sys/block", ec)) {
        const std::string device = entry.path().string();
        if (read_text_file(device + "/dm/name") != name)
            continue;
        const std::string text = read_text_file(device + "/size").value_or("");
        std::uint64_t sectors = 0;
        std::from_chars(text.data(), text.data() + text.size(), sectors);
        return sectors;
    }
    return 0;
}

std::uint64_t memory_bytes(const std::string& path, dev_t device) {
    const auto name = volume_of(device);
    if (!name)
        fail("{} is no memory of a volume: name a volume, a device below /dev/tiered or a regular "
             "file",
             path);
    const std::uint64_t sectors = volume_sectors(*name);
    if (!sectors)
        fail("the size of {} cannot be told, for no volume has the name '{}' any more: close the "
             "volume and open it again",
             path, *name);
    return sectors * 512;
}

std::uint64_t size_of(const std::string& path, const struct stat& st) {
    if (S_ISREG(st.st_mode))
        return static_cast<std::uint64_t>(st.st_size);
    if (S_ISCHR(st.st_mode))
        return memory_bytes(path, st.st_rdev);
    if (S_ISBLK(st.st_mode))
        fail("{} is a block device, not memory: name the volume, or its device below /dev/tiered",
             path);
    fail("{} is neither the memory of a volume nor a regular file: name one of those", path);
}

} // namespace

mapped_file open_mapped_file(const std::string& volume, bool read_only) {
    mapped_file file;
    file.path = path_of(volume);
    // Neither a terminal nor a pipe, which are refused below, shall be taken or waited for.
    file.fd = unique_fd(::open(file.path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC |
                                                      O_NOCTTY | O_NONBLOCK));
    struct stat st {};
    if (!file.fd || ::fstat(file.fd.get(), &st))
        cannot_open(file.path, errno);
    file.size_bytes = size_of(file.path, st) / mapping::page_bytes * mapping::page_bytes;
    return file;
}

} // namespace tiered
