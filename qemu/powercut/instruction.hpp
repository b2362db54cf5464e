// SPDX-License-Identifier: GPL-2.0-or-later
// What an x86-64 instruction means for persistent memory: flush, store around the cache, fence,
// mark, or neither.
#pragma once

#include <cstdint>
#include <span>

namespace powercut {

enum class meaning {
    other,
    flush,       ///< clwb, clflushopt, clflush
    nt_store,    ///< a store around the cache
    fence,       ///< sfence, mfence
    locked,      ///< a locked read-modify-write, which drains like a fence
    whole_cache, ///< wbinvd: flushes all lines, which is not followed
    mark,        ///< a NOP of ours, by which the guest speaks to the plugin
};

constexpr int no_register = -1;

/// An address as an instruction computes it. Registers are numbered as the processor encodes them
/// (rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8...).
struct address_form {
    int base = no_register;
    int index = no_register;
    unsigned scale = 1;
    std::int32_t displacement = 0;
    bool rip_relative = false;
    bool plain = true; ///< false: a segment or a 32-bit address takes part, which is not followed
};

struct instruction {
    meaning what = meaning::other;
    bool may_store = true; ///< false only where it certainly writes no memory
    /// Writes memory and no general register: QEMU has the registers up to date when it ran.
    bool settles_registers = false;
    std::uint16_t written = 0xffff; ///< general registers that it may write, a bit for each
    address_form address;           ///< of a flush
    std::uint32_t operation = 0;    ///< of a mark
};

/// A mark is `nopl imm32(%rax,%rax,1)` with this in the upper half of imm32 and the operation in
/// the lower.
constexpr std::uint32_t mark_magic = 0x7c510000;

enum mark_operation : std::uint32_t {
    mark_arm = 1,    ///< begin to record
    mark_disarm = 2, ///< the record is complete
    mark_value = 3,  ///< rdi and rsi are put into the record
    mark_watch = 4,  ///< visits of the instruction at rdi are recorded
};

instruction decode(std::span<const std::uint8_t> bytes);

/// Whether the bytes of one instruction are those of a mark: `decode` in brief.
bool is_mark(std::span<const std::uint8_t> bytes);

/// General registers that an address needs, a bit for each.
std::uint16_t registers_of(const address_form& address);

/// Whether `needed` have the values at instruction `at` of a translation block that QEMU's own copy
/// of them holds there. QEMU writes them back at the block's start and before it accesses memory,
/// and not in between.
bool registers_are_known(std::span<const instruction> block, std::size_t at, std::uint16_t needed);

} // namespace powercut
