// SPDX-License-Identifier: GPL-2.0-or-later
// Block devices that come and go: waiting for them, and telling others of a change.
#pragma once

#include "block_device.hpp"

#include <chrono>
#include <memory>

namespace tiered {

/// Hears of every block device that appears or changes from its construction on: after udev has
/// dealt with it where udev runs, from the kernel where it does not.
class block_events {
public:
    block_events();
    ~block_events();
    block_events(const block_events&) = delete;
    block_events& operator=(const block_events&) = delete;

    /// Waits for the next event, at most until `deadline`; false when none came.
    bool wait_until(std::chrono::steady_clock::time_point deadline);

private:
    struct handles;
    std::unique_ptr<handles> handles_;
};

/// Has udev look at the device again, as when its contents have changed.
void announce_change(const block_device& device);

} // namespace tiered
