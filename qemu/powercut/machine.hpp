// SPDX-License-Identifier: GPL-2.0-or-later
// What the plugin needs of the emulated machine beyond the plugin interface: registers, addresses,
// the NVDIMM's bytes.
#pragma once

#include "instruction.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace powercut {

struct qemu_cpu; // QEMU's CPUState

/// Functions of QEMU that are not part of the plugin interface. Distributions' binaries export
/// them, because their modules need them.
class internals {
public:
    /// A sentence about what this QEMU lacks; empty when all is there.
    std::string missing() const;

    bool uses_kvm() const;
    /// Whether each of several processors has a thread of its own, so that nothing tells what came
    /// first.
    bool uses_many_threads() const;

    /// As far as QEMU has it up to date; see registers_are_known().
    std::uint64_t register_value(unsigned vcpu, int number) const;
    /// Reads guest memory. Returns the number of words, 0 where none is mapped.
    std::size_t read_memory(unsigned vcpu, std::uint64_t vaddr, std::span<std::uint64_t> to) const;
    /// The guest-physical address behind a virtual one; nothing where no memory is mapped.
    std::optional<std::uint64_t> physical(unsigned vcpu, std::uint64_t vaddr) const;
    /// The address by which QEMU 7.2 calls a byte of RAM at `host`; nothing if this QEMU has no
    /// such call.
    std::optional<std::uint64_t> ram_address(void* host) const;
};

/// The NVDIMM's file as QEMU has it mapped.
class nvdimm {
public:
    /// Finds the mapping of `path` in this process; empty bytes when there is none.
    explicit nvdimm(const std::string& path);

    std::span<std::uint64_t> words() const { return words_; }
    std::size_t bytes() const { return words_.size_bytes(); }
    void* host() const { return words_.data(); }

private:
    std::span<std::uint64_t> words_;
};

} // namespace powercut
