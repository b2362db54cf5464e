// SPDX-License-Identifier: GPL-2.0-or-later
// Turns stores, flushes and fences into the record. Knows the NVDIMM's bytes, and nothing of QEMU.
#pragma once

#include "log_writer.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace powercut {

/// Where something happened: the instruction, and return addresses found on the stack.
struct place {
    std::uint64_t pc = 0;
    std::vector<std::uint64_t> callers;

    auto operator<=>(const place&) const = default;
};

class recorder {
public:
    /// `memory` is the NVDIMM as the guest sees it now; all of it counts as durable.
    recorder(const std::string& path, std::span<const std::uint64_t> memory, bool full,
             unsigned processors);

    /// The guest stored `bytes` bytes at `offset`. The memory has them already. `from` is asked
    /// only when the place goes into the record.
    void store(unsigned processor, std::uint64_t offset, unsigned bytes, bool around_cache,
               const std::function<place()>& from);
    /// The guest flushes the line at `offset`.
    void flush(unsigned processor, std::uint64_t offset, const place& from);
    void fence(unsigned processor, const place& from);
    void mark(unsigned processor, std::uint64_t first, std::uint64_t second);
    /// An instruction was executed that the guest had asked to watch.
    void visit(unsigned processor, const place& from);
    /// So many requests to the disk were completed; called before anything else is recorded.
    void disk(std::uint64_t completed);

    /// Whether a fence of `processor` would do anything.
    bool owes(unsigned processor) const { return owes_[processor]; }

    void count(end_counter what) { counters_[what]++; }
    /// Completes the record. Words that no store explains are counted. False when it
    /// could not be written.
    bool end();

private:
    std::uint32_t number_of(const place& from);
    void write_image();
    void find_changes(std::uint64_t line, record head);

    std::span<const std::uint64_t> memory_;
    std::vector<std::uint64_t> seen_; ///< the memory as the record explains it
    bool full_;
    log_writer log_;
    std::array<bool, processors_max> owes_{};
    std::array<std::uint64_t, end_counters> counters_{};
    std::map<place, std::uint32_t> places_;
    std::uint64_t disk_ = 0;
    bool ended_ = false;
};

} // namespace powercut
