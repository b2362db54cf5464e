// SPDX-License-Identifier: GPL-2.0-or-later
// What requests cost.
#include "cost.hpp"

#include <algorithm>

namespace tiered::sim {

std::optional<device_model> find_device(std::string_view name) {
    const auto found =
        std::find_if(device_models.begin(), device_models.end(),
                     [name](const device_model& device) { return device.name == name; });
    if (found == device_models.end())
        return std::nullopt;
    return *found;
}

double all_slow_us(const device_model& device, const request& r, bool continuation) {
    return (continuation ? 0 : device.seek_us) + device.transfer_us(r.bytes);
}

} // namespace tiered::sim
