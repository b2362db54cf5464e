// SPDX-License-Identifier: GPL-2.0-or-later
// Makes a volume on two image files for the test of the command: make_image FAST CAPACITY [FRAME
// PAGE STATE VERSION]... sets frame words by hand.
#include "error.hpp"
#include "test_volume.hpp"

#include <cstdlib>

namespace {

using namespace tiered;
using namespace tiered::test;

constexpr int words_of_a_claim = 4;

void set_word(file_storage& fast, const superblock& sb, char** argument) {
    const auto number = [&](int i) { return std::strtoull(argument[i], nullptr, 10); };
    const auto frame = static_cast<std::uint32_t>(number(0));
    const __le64 word = tiered_claim_encode({number(1), static_cast<tiered_claim_state>(number(2)),
                                             static_cast<std::uint8_t>(number(3))},
                                            frame, sb.raw.word_seed);
    for (const std::uint64_t table : {sb.words_offset(), sb.shadow_offset()}) {
        std::array<__le64, TIERED_FRAME_BYTES / sizeof(__le64)> block{};
        const std::uint64_t offset =
            table + frame * sizeof(word) / TIERED_FRAME_BYTES * TIERED_FRAME_BYTES;
        fast.read(offset, std::as_writable_bytes(std::span(block)));
        block[frame % block.size()] = word;
        fast.write(offset, std::as_bytes(std::span(block)));
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        file_storage fast(argv[1], file_storage::access::exclusive);
        const file_storage capacity(argv[2], file_storage::access::read_only);
        const superblock sb = make_superblock(
            small_spec(capacity.size_bytes() / TIERED_SECTOR_BYTES), fast.size_bytes());
        write_format(fast, sb);
        for (int i = 3; i + words_of_a_claim <= argc; i += words_of_a_claim)
            set_word(fast, sb, argv + i);
    } catch (const std::exception& e) {
        fmt::print(stderr, "make_image: {}\n", e.what());
        return 1;
    }
    return 0;
}
