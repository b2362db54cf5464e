// SPDX-License-Identifier: GPL-2.0-or-later
// A small volume in memory whose frame words a test sets by hand.
#pragma once

#include "memory_storage.hpp"
#include "volume_format.hpp"

#include "../../driver/core/claim.h"

namespace tiered::test {

inline format_spec small_spec(std::uint64_t volume_sectors = 16384) {
    format_spec spec;
    spec.name = "demo";
    spec.volume_id.fill(0x11);
    spec.fast_id.fill(0x22);
    spec.created_s = 1'700'000'000;
    spec.word_seed = 0x5a;
    spec.volume_sectors = volume_sectors;
    spec.tier.id.fill(0x33);
    spec.tier.size_sectors = volume_sectors;
    spec.tier.serial = "SERIAL1";
    return spec;
}

struct test_volume {
    memory_storage fast;
    memory_storage capacity;
    superblock sb;

    explicit test_volume(std::uint64_t fast_bytes = 1 << 20, const format_spec& spec = small_spec())
        : fast(fast_bytes), capacity(spec.volume_sectors * TIERED_SECTOR_BYTES),
          sb(make_superblock(spec, fast_bytes)) {
        write_format(fast, sb);
    }

    void put(std::uint64_t offset, __le64 word) {
        std::memcpy(fast.bytes.data() + offset, &word, sizeof(word));
    }
    void set_primary(std::uint32_t frame, __le64 word) {
        put(sb.words_offset() + frame * sizeof(word), word);
    }
    void set_shadow(std::uint32_t frame, __le64 word) {
        put(sb.shadow_offset() + frame * sizeof(word), word);
    }
    /// Sets word and shadow.
    void claim(std::uint32_t frame, std::uint64_t page, tiered_claim_state state,
               std::uint8_t version) {
        const __le64 word = encode(frame, page, state, version);
        set_primary(frame, word);
        set_shadow(frame, word);
    }
    __le64 encode(std::uint32_t frame, std::uint64_t page, tiered_claim_state state,
                  std::uint8_t version) const {
        return tiered_claim_encode({page, state, version}, frame, sb.raw.word_seed);
    }
    void fill_frame(std::uint32_t frame, std::byte value) {
        std::fill_n(fast.bytes.begin() + static_cast<std::ptrdiff_t>(sb.frame_offset(frame)),
                    TIERED_FRAME_BYTES, value);
    }
    void spoil_frame(std::uint32_t frame) {
        fast.bad_sectors.insert(sb.frame_offset(frame) / TIERED_SECTOR_BYTES + 3);
    }
    void spoil_home(std::uint64_t page) {
        capacity.bad_sectors.insert(page * TIERED_FRAME_BYTES / TIERED_SECTOR_BYTES + 3);
    }
    void fill_home(std::uint64_t page, std::byte value) {
        std::fill_n(capacity.bytes.begin() + static_cast<std::ptrdiff_t>(page * TIERED_FRAME_BYTES),
                    TIERED_FRAME_BYTES, value);
    }
};

/// A word that no volume wrote.
inline constexpr __le64 damaged_word = ~__le64{0};

} // namespace tiered::test
