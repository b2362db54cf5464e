// SPDX-License-Identifier: GPL-2.0-or-later
// The decoder, on instructions as the assembler makes them.
#include "instruction.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace powercut {
namespace {

using bytes = std::vector<std::uint8_t>;

struct meant {
    const char* text;
    bytes code;
    meaning what;
};

class Meaning : public testing::TestWithParam<meant> {};

TEST_P(Meaning, IsFound) {
    EXPECT_EQ(decode(GetParam().code).what, GetParam().what) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Instructions, Meaning,
    testing::Values(
        meant{"clwb (%rax)", {0x66, 0x0f, 0xae, 0x30}, meaning::flush},
        meant{"clwb 0x40(%r12,%rcx,8)", {0x66, 0x41, 0x0f, 0xae, 0x74, 0xcc, 0x40}, meaning::flush},
        meant{"clflushopt (%rdi)", {0x66, 0x0f, 0xae, 0x3f}, meaning::flush},
        meant{"clflush -8(%rsp)", {0x0f, 0xae, 0x7c, 0x24, 0xf8}, meaning::flush},
        meant{"clflush with a prefix to be patched", {0x3e, 0x0f, 0xae, 0x38}, meaning::flush},
        meant{"xsave (%rdi)", {0x0f, 0xae, 0x27}, meaning::other},
        meant{"xsaveopt (%rdi)", {0x0f, 0xae, 0x37}, meaning::other},
        meant{"sfence", {0x0f, 0xae, 0xf8}, meaning::fence},
        meant{"mfence", {0x0f, 0xae, 0xf0}, meaning::fence},
        meant{"lfence", {0x0f, 0xae, 0xe8}, meaning::other},
        meant{"umwait %eax", {0xf2, 0x0f, 0xae, 0xf0}, meaning::other},
        meant{"tpause %eax", {0x66, 0x0f, 0xae, 0xf0}, meaning::other},
        meant{"movnti %rax,(%rdi)", {0x48, 0x0f, 0xc3, 0x07}, meaning::nt_store},
        meant{"movnti %eax,8(%r8)", {0x41, 0x0f, 0xc3, 0x40, 0x08}, meaning::nt_store},
        meant{"movntdq %xmm0,(%rdi)", {0x66, 0x0f, 0xe7, 0x07}, meaning::nt_store},
        meant{"movntps %xmm0,(%rdi)", {0x0f, 0x2b, 0x07}, meaning::nt_store},
        meant{"movntq %mm0,(%rdi)", {0x0f, 0xe7, 0x07}, meaning::nt_store},
        meant{"vmovntdq %ymm0,(%rdi)", {0xc5, 0xfd, 0xe7, 0x07}, meaning::nt_store},
        meant{"vmovntps %ymm9,(%r9)", {0xc4, 0x41, 0x7c, 0x2b, 0x09}, meaning::nt_store},
        meant{"vmovntdq %zmm0,(%rdi)", {0x62, 0xf1, 0x7d, 0x48, 0xe7, 0x07}, meaning::nt_store},
        meant{"movdiri %rax,(%rdi)", {0x48, 0x0f, 0x38, 0xf9, 0x07}, meaning::nt_store},
        meant{"movntdqa (%rdi),%xmm0", {0x66, 0x0f, 0x38, 0x2a, 0x07}, meaning::other},
        meant{"vmovdqu %ymm0,(%rdi)", {0xc5, 0xfe, 0x7f, 0x07}, meaning::other},
        meant{"lock addl $0,-4(%rsp)", {0xf0, 0x83, 0x44, 0x24, 0xfc, 0x00}, meaning::locked},
        meant{"lock cmpxchg %rcx,(%rdx)", {0xf0, 0x48, 0x0f, 0xb1, 0x0a}, meaning::locked},
        meant{"xchg %rax,(%rdi)", {0x48, 0x87, 0x07}, meaning::locked},
        meant{"xchg %rdi,%rax", {0x48, 0x87, 0xf8}, meaning::other},
        meant{"xchg %rax,%rdi, short", {0x48, 0x97}, meaning::other},
        meant{"wbinvd", {0x0f, 0x09}, meaning::whole_cache},
        meant{"our NOP", {0x0f, 0x1f, 0x84, 0x00, 0x03, 0x00, 0x51, 0x7c}, meaning::mark},
        meant{"another NOP", {0x0f, 0x1f, 0x84, 0x00, 0x78, 0x56, 0x34, 0x12}, meaning::other},
        meant{"mov %rax,(%rdi)", {0x48, 0x89, 0x07}, meaning::other},
        meant{"cut off", {0x66, 0x0f, 0xae}, meaning::other}));

TEST(Address, HasItsParts) {
    const address_form form =
        decode(bytes{0x66, 0x41, 0x0f, 0xae, 0x74, 0xcc, 0x40}).address; // 0x40(%r12,%rcx,8)
    EXPECT_EQ(form.base, 12);
    EXPECT_EQ(form.index, 1);
    EXPECT_EQ(form.scale, 8u);
    EXPECT_EQ(form.displacement, 0x40);
    EXPECT_TRUE(form.plain);
}

TEST(Address, NegativeDisplacementAndStackPointer) {
    const address_form form = decode(bytes{0x0f, 0xae, 0x7c, 0x24, 0xf8}).address;
    EXPECT_EQ(form.base, 4);
    EXPECT_EQ(form.index, no_register);
    EXPECT_EQ(form.displacement, -8);
}

TEST(Address, RelativeToTheInstruction) {
    const address_form form = decode(bytes{0x66, 0x0f, 0xae, 0x35, 0x34, 0x12, 0x00, 0x00}).address;
    EXPECT_TRUE(form.rip_relative);
    EXPECT_EQ(form.base, no_register);
    EXPECT_EQ(form.displacement, 0x1234);
}

TEST(Address, WithoutBase) {
    const address_form form =
        decode(bytes{0x66, 0x0f, 0xae, 0x34, 0x95, 0x00, 0x10, 0x00, 0x00}).address;
    EXPECT_EQ(form.base, no_register);
    EXPECT_EQ(form.index, 2);
    EXPECT_EQ(form.displacement, 0x1000);
}

TEST(Address, SegmentsAndShortAddressesAreNotFollowed) {
    EXPECT_FALSE(decode(bytes{0x65, 0x66, 0x0f, 0xae, 0x30}).address.plain);
    EXPECT_FALSE(decode(bytes{0x67, 0x66, 0x0f, 0xae, 0x30}).address.plain);
}

TEST(Mark, CarriesItsOperation) {
    EXPECT_EQ(decode(bytes{0x0f, 0x1f, 0x84, 0x00, 0x03, 0x00, 0x51, 0x7c}).operation, mark_value);
    EXPECT_TRUE(is_mark(bytes{0x0f, 0x1f, 0x84, 0x00, 0x03, 0x00, 0x51, 0x7c}));
    EXPECT_FALSE(is_mark(bytes{0x0f, 0x1f, 0x84, 0x00, 0x03, 0x00, 0x52, 0x7c}));
    EXPECT_FALSE(is_mark(bytes{0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00}));
    EXPECT_FALSE(is_mark(bytes{0x0f, 0x1f, 0x84, 0x00, 0x03, 0x00, 0x51}));
}

TEST(Stores, AreNeverTakenForAnythingElse) {
    for (const bytes& code :
         {bytes{0x48, 0x89, 0x07}, bytes{0x88, 0x07}, bytes{0x83, 0x07, 0x01},
          bytes{0xc6, 0x07, 0x01}, bytes{0xf3, 0xa4}, bytes{0x53}, bytes{0xe8, 0, 0, 0, 0},
          bytes{0x0f, 0x11, 0x07}, bytes{0xc5, 0xfe, 0x7f, 0x07},
          bytes{0xf0, 0x48, 0x0f, 0xb1, 0x0a}, bytes{0x48, 0x87, 0x07}, bytes{0x0f, 0xae, 0x27},
          bytes{0x48, 0x0f, 0xc3, 0x07}, bytes{0x0f, 0xc7, 0x0f}})
        EXPECT_TRUE(decode(code).may_store)
            << std::hex << int{code[0]} << " " << int{code[1 % code.size()]};
}

TEST(Stores, FrequentLoadsAreLeftOut) {
    for (const bytes& code :
         {bytes{0x48, 0x8b, 0x07}, bytes{0x0f, 0xb6, 0x0f}, bytes{0x48, 0x39, 0x07}, bytes{0x5b},
          bytes{0xc3}, bytes{0x48, 0x8d, 0x7f, 0x08}, bytes{0x48, 0x83, 0xc0, 0x40}})
        EXPECT_FALSE(decode(code).may_store) << std::hex << int{code[0]};
}

constexpr std::uint16_t rax = 1;
constexpr std::uint16_t rdi = 1 << 7;

std::vector<instruction> block_of(std::initializer_list<bytes> codes) {
    std::vector<instruction> block;
    for (const bytes& code : codes)
        block.push_back(decode(code));
    return block;
}

const bytes store_to_rdi{0x48, 0x89, 0x07};     // mov %rax,(%rdi)
const bytes add_to_rdi{0x48, 0x83, 0xc7, 0x40}; // add $0x40,%rdi
const bytes flush_rdi{0x66, 0x0f, 0xae, 0x37};  // clwb (%rdi)
const bytes load_rax{0x48, 0x8b, 0x07};         // mov (%rdi),%rax
const bytes set_ah{0xb4, 0x01};                 // mov $1,%ah
const bytes copy_string{0xf3, 0xa4};            // rep movsb
const bytes call_next{0xe8, 0x00, 0x00, 0x00, 0x00};

TEST(Registers, AreKnownWhereABlockBegins) {
    EXPECT_TRUE(registers_are_known(block_of({flush_rdi}), 0, rdi));
}

TEST(Registers, AreKnownAfterAStoreThatFollowsTheirChange) {
    EXPECT_TRUE(registers_are_known(block_of({add_to_rdi, store_to_rdi, flush_rdi}), 2, rdi));
}

TEST(Registers, AreNotKnownAfterTheirChange) {
    EXPECT_FALSE(registers_are_known(block_of({add_to_rdi, flush_rdi}), 1, rdi));
    EXPECT_FALSE(registers_are_known(block_of({store_to_rdi, add_to_rdi, flush_rdi}), 2, rdi));
    EXPECT_FALSE(registers_are_known(block_of({load_rax, flush_rdi}), 1, rax));
    EXPECT_FALSE(registers_are_known(block_of({set_ah, flush_rdi}), 1, rax));
}

TEST(Registers, ChangesOfOthersDoNotMatter) {
    EXPECT_TRUE(registers_are_known(block_of({load_rax, flush_rdi, flush_rdi}), 2, rdi));
}

TEST(Registers, AreNotKnownAfterWhatIsNotUnderstood) {
    EXPECT_FALSE(registers_are_known(block_of({copy_string, flush_rdi}), 1, rdi));
    EXPECT_FALSE(registers_are_known(block_of({call_next, flush_rdi}), 1, rdi));
}

} // namespace
} // namespace powercut
