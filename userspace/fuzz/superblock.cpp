// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as the first 8 KiB of a fast tier: superblocks as they are read, and sealed first, so
// that what the checksum keeps out is tried as well.
#include "superblock.hpp"
#include "fuzz.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace {

constexpr std::uint64_t fast_bytes = 64ull << 30;

using slots = std::array<tiered_superblock_disk, TIERED_SUPERBLOCKS>;

/// What the core promises of a superblock that it finds no fault with.
void require_in_range(const tiered_superblock_disk& raw) {
    const tiered::superblock sb{raw};
    const std::uint64_t table = std::uint64_t{sb.frames()} * sizeof(__le64);
    const bool fits = sb.frames() > 0 &&
                      sb.words_offset() >= TIERED_SUPERBLOCKS * TIERED_SUPERBLOCK_BYTES &&
                      sb.words_offset() + table <= sb.shadow_offset() &&
                      sb.shadow_offset() + table <= sb.frame_offset(0) &&
                      sb.frame_offset(sb.frames() - 1) + TIERED_FRAME_BYTES <= fast_bytes &&
                      sb.pages() <= TIERED_PAGES_MAX && !sb.name().empty();
    if (!fits)
        std::abort();
}

void choose(const slots& both) {
    const char* fault = nullptr;
    const auto* chosen = tiered_superblock_choose(&both[0], &both[1], fast_bytes, &fault);
    if (!chosen && !fault)
        std::abort();
    if (!chosen)
        return;
    require_in_range(*chosen);
    const tiered::superblock sb{*chosen};
    (void)sb.uuid();
    (void)sb.tier();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    slots both{};
    auto bytes = std::as_writable_bytes(std::span(both));
    std::copy_n(reinterpret_cast<const std::byte*>(data), std::min(size, bytes.size()),
                bytes.begin());
    choose(both);
    for (tiered_superblock_disk& one : both) {
        std::copy_n(TIERED_MAGIC, TIERED_MAGIC_BYTES, one.magic);
        one.version = cpu_to_le32(TIERED_FORMAT_VERSION);
        tiered_superblock_seal(&one);
    }
    choose(both);
    return 0;
}
