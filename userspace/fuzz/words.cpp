// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as words and shadows of a small volume: loaded, checked, repaired; a repaired volume
// has nothing left to repair. Each 3 bytes of the input make a claim with a right checksum, so that
// the input decides about claims and not about checksums; what is left over damages words.
#include "check.hpp"
#include "fuzz.hpp"
#include "repair.hpp"
#include "test_volume.hpp"

#include <cstdlib>

namespace {

using namespace tiered;
using namespace tiered::test;

constexpr std::size_t bytes_a_claim = 3;
constexpr std::uint64_t pages = 16; // few, so that claims meet
constexpr std::uint8_t damage_bit = 0x80;
constexpr std::uint8_t shadow_bit = 0x40;
constexpr std::uint8_t bad_frame_bit = 0x20;

/// frame | page | state, version and damage
void take_claim(test_volume& v, const std::uint8_t* three, std::uint8_t flags) {
    const std::uint32_t frame = three[0] % v.sb.frames();
    const auto state = static_cast<tiered_claim_state>(three[2] % TIERED_CLAIM_STATES);
    tiered_claim claim{three[1] % (pages + 2u), state, static_cast<std::uint8_t>(three[2] >> 4)};
    if (!tiered_claim_holds_page(&claim))
        claim = {0, state, 0};
    const __le64 word = tiered_claim_encode(claim, frame, v.sb.raw.word_seed);
    v.set_shadow(frame, word);
    if (!(flags & shadow_bit))
        v.set_primary(frame, word);
    if (flags & damage_bit)
        v.set_primary(frame, damaged_word);
    if (flags & bad_frame_bit)
        v.spoil_frame(frame);
    v.fill_frame(frame, static_cast<std::byte>(three[1] ^ (three[2] & 0x10)));
}

void check_and_repair(test_volume& v) {
    check_volume(v.fast, &v.capacity, {.verify_clean = true});
    carry_out(v.fast, plan_repair(v.fast, v.capacity, true));
    const repair_plan after = plan_repair(v.fast, v.capacity, false);
    if (after.changes_anything() || after.needs_acceptance())
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const test_volume empty(1 << 20, small_spec(pages * TIERED_SECTORS_PER_PAGE));
    test_volume v = empty;
    for (; size > bytes_a_claim; data += bytes_a_claim + 1, size -= bytes_a_claim + 1) {
        take_claim(v, data, data[bytes_a_claim]);
        if (size < 2 * bytes_a_claim + 2)
            break;
    }
    tiered::fuzz::allow_refusal([&] { check_and_repair(v); });
    return 0;
}
