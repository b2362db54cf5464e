// SPDX-License-Identifier: GPL-2.0-or-later
// CRC32C as the kernel computes it: seed in, no final inversion.
#include "../../driver/core/shim.h"

#include <array>

namespace {

constexpr u32 polynomial_reflected = 0x82f63b78;

constexpr std::array<u32, 256> make_table() {
    std::array<u32, 256> table{};
    for (u32 byte = 0; byte < table.size(); byte++) {
        u32 crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? polynomial_reflected : 0);
        table[byte] = crc;
    }
    return table;
}

constexpr std::array<u32, 256> table = make_table();

} // namespace

u32 tiered_crc32c(u32 crc, const void* data, size_t bytes) {
    const u8* p = static_cast<const u8*>(data);
    while (bytes--)
        crc = crc >> 8 ^ table[static_cast<u8>(crc ^ *p++)];
    return crc;
}
