// SPDX-License-Identifier: GPL-2.0-or-later
// Block devices through sysfs and /proc.
#include "block_device.hpp"

#include "error.hpp"
#include "text.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace tiered {

namespace fs = std::filesystem;

namespace {

std::string number_text(dev_t number) {
    return fmt::format("{}:{}", major(number), minor(number));
}

std::uint64_t read_number(const std::string& path) {
    const std::string text = read_text_file(path).value_or("0");
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// The folder that has `queue`: the disk's own, also for a partition.
std::string disk_folder(const block_device& device) {
    return device.partition ? fs::path(device.sysfs).parent_path().string() : device.sysfs;
}

/// A SCSI disk's serial number page: four bytes of header, then text.
std::string scsi_serial(const std::string& folder) {
    const std::string page = read_text_file(folder + "/device/vpd_pg80").value_or("");
    return page.size() > 4 ? std::string(trimmed(page.substr(4))) : "";
}

std::string disk_serial(const std::string& folder) {
    for (const char* file : {"/serial", "/device/serial", "/dm/uuid", "/md/uuid"})
        if (const auto text = read_text_file(folder + file); text && !text->empty())
            return *text;
    if (const std::string text = scsi_serial(folder); !text.empty())
        return text;
    return read_text_file(folder + "/wwid").value_or("");
}

/// Partitions of one disk share its serial number, so theirs has the partition's number with it.
std::string serial_of(const block_device& device) {
    const std::string serial = disk_serial(disk_folder(device));
    if (serial.empty() || !device.partition)
        return serial;
    return serial + ":" + read_text_file(device.sysfs + "/partition").value_or("");
}

std::vector<std::string> entries_of(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code ec;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ec))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<block_device> partitions_of(const block_device& disk) {
    std::vector<block_device> partitions;
    for (const std::string& name : entries_of(disk.sysfs))
        if (const std::string folder = disk.sysfs + "/" + name; fs::exists(folder + "/partition"))
            if (auto device = find_block_device(read_text_file(folder + "/dev").value_or("")))
                partitions.push_back(std::move(*device));
    return partitions;
}

/// "is part of the open volume 'x'" or what else stacks on the device.
std::string holder_text(const block_device& device) {
    for (const std::string& holder : entries_of(device.sysfs + "/holders")) {
        const std::string folder = "/sys/block/" + holder;
        const std::string name = read_text_file(folder + "/dm/name").value_or("");
        const std::string id = read_text_file(folder + "/dm/uuid").value_or("");
        if (id.starts_with("TIERED-"))
            return fmt::format("is part of the open volume '{}'", name);
        return fmt::format("is used by {}", name.empty() ? holder : "the dm device " + name);
    }
    return {};
}

bool is_swap(const block_device& device) {
    std::ifstream swaps("/proc/swaps");
    for (std::string line; std::getline(swaps, line);) {
        const std::vector<std::string> words = split_words(line);
        struct stat st {};
        if (!words.empty() && ::stat(words[0].c_str(), &st) == 0 && S_ISBLK(st.st_mode) &&
            st.st_rdev == device.number)
            return true;
    }
    return false;
}

std::string direct_user_of(const block_device& device) {
    if (const auto mountinfo = read_text_file("/proc/self/mountinfo"))
        if (const auto point = mount_point_in(*mountinfo, device.number))
            return "is mounted on " + *point;
    if (is_swap(device))
        return "is used as swap";
    return holder_text(device);
}

/// mountinfo writes white space in paths as octal escapes.
std::string unescape(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            out += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

bool has_open(const fs::path& process, dev_t number) {
    std::error_code ec;
    for (const fs::directory_entry& entry : fs::directory_iterator(process / "fd", ec)) {
        struct stat st {};
        if (::stat(entry.path().c_str(), &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == number)
            return true;
    }
    return false;
}

} // namespace

std::optional<block_device> find_block_device(dev_t number) {
    std::error_code ec;
    const fs::path folder = fs::canonical("/sys/dev/block/" + number_text(number), ec);
    if (ec)
        return std::nullopt;
    block_device device;
    device.sysfs = folder.string();
    device.kernel_name = folder.filename().string();
    // sysfs writes '!' for the slash in names such as cciss/c0d0.
    std::replace(device.kernel_name.begin(), device.kernel_name.end(), '!', '/');
    device.path = device.dev_path();
    device.number = number;
    device.partition = fs::exists(folder / "partition");
    device.size_sectors = read_number(device.sysfs + "/size");
    device.read_only = read_number(device.sysfs + "/ro") != 0;
    const std::string disk = disk_folder(device);
    if (const std::uint64_t bytes = read_number(disk + "/queue/logical_block_size"))
        device.logical_block_bytes = static_cast<std::uint32_t>(bytes);
    device.dax = read_number(disk + "/queue/dax") != 0;
    device.zoned = read_text_file(disk + "/queue/zoned").value_or("none") != "none";
    device.integrity = read_text_file(disk + "/integrity/format").value_or("none") != "none";
    device.dm_uuid = read_text_file(device.sysfs + "/dm/uuid").value_or("");
    device.serial = serial_of(device);
    return device;
}

std::optional<block_device> find_block_device(const std::string& text) {
    unsigned int numbers[2]{};
    char colon = 0;
    std::istringstream stream(text);
    if (!(stream >> numbers[0] >> colon >> numbers[1]) || colon != ':')
        return std::nullopt;
    return find_block_device(makedev(numbers[0], numbers[1]));
}

block_device inspect_block_device(const std::string& path) {
    struct stat st {};
    if (::stat(path.c_str(), &st))
        fail("there is no device {}: {}", path, errno_text(errno));
    if (!S_ISBLK(st.st_mode))
        fail("{} is not a block device", path);
    auto device = find_block_device(st.st_rdev);
    if (!device)
        fail("the kernel knows no block device {} ({})", path, number_text(st.st_rdev));
    device->path = path;
    return *device;
}

std::string device_path_of(const std::string& text) {
    const auto device = find_block_device(text);
    return device ? device->dev_path() : text;
}

std::vector<block_device> all_block_devices() {
    std::vector<block_device> devices;
    for (const std::string& name : entries_of("/sys/class/block"))
        if (auto device =
                find_block_device(read_text_file("/sys/class/block/" + name + "/dev").value_or("")))
            devices.push_back(std::move(*device));
    return devices;
}

std::string user_of(const block_device& device) {
    if (std::string text = direct_user_of(device); !text.empty())
        return text;
    for (const block_device& partition : partitions_of(device))
        if (const std::string text = direct_user_of(partition); !text.empty())
            return fmt::format("has the partition {}, which {}", partition.dev_path(), text);
    return {};
}

std::string opener_of(const block_device& device) {
    const std::string self = std::to_string(::getpid());
    for (const std::string& id : entries_of("/proc"))
        if (id.find_first_not_of("0123456789") == id.npos && id != self &&
            has_open("/proc/" + id, device.number))
            return fmt::format("{} (process {})",
                               read_text_file("/proc/" + id + "/comm").value_or("a program"), id);
    return {};
}

std::optional<std::string> mount_point_in(const std::string& mountinfo, dev_t number) {
    constexpr std::size_t device_column = 2;
    constexpr std::size_t point_column = 4;
    const std::string wanted = number_text(number);
    std::istringstream lines(mountinfo);
    for (std::string line; std::getline(lines, line);) {
        const std::vector<std::string> words = split_words(line);
        if (words.size() > point_column && words[device_column] == wanted)
            return unescape(words[point_column]);
    }
    return std::nullopt;
}

} // namespace tiered
