// SPDX-License-Identifier: GPL-2.0-or-later
// Block devices that come and go, by libudev.
#include "block_events.hpp"

#include "error.hpp"

#include <fstream>
#include <libudev.h>
#include <poll.h>
#include <unistd.h>

namespace tiered {

struct block_events::handles {
    udev* library = ::udev_new();
    udev_monitor* monitor = ::udev_monitor_new_from_netlink(
        library, ::access("/run/udev/control", F_OK) == 0 ? "udev" : "kernel");

    handles() = default;
    ~handles() {
        ::udev_monitor_unref(monitor);
        ::udev_unref(library);
    }
    handles(const handles&) = delete;
    handles& operator=(const handles&) = delete;
};

block_events::block_events() : handles_(std::make_unique<handles>()) {
    udev_monitor* monitor = handles_->monitor;
    if (!monitor ||
        ::udev_monitor_filter_add_match_subsystem_devtype(monitor, "block", nullptr) < 0 ||
        ::udev_monitor_enable_receiving(monitor) < 0)
        fail("events of block devices cannot be heard ({}); run this as root", errno_text(errno));
}

block_events::~block_events() = default;

bool block_events::wait_until(std::chrono::steady_clock::time_point deadline) {
    using namespace std::chrono;
    const auto left = ceil<milliseconds>(deadline - steady_clock::now());
    pollfd source{.fd = ::udev_monitor_get_fd(handles_->monitor), .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || ::poll(&source, 1, static_cast<int>(left.count())) <= 0)
        return false;
    ::udev_device_unref(::udev_monitor_receive_device(handles_->monitor));
    return true;
}

void announce_change(const block_device& device) {
    std::ofstream(device.sysfs + "/uevent") << "change";
}

} // namespace tiered
