// SPDX-License-Identifier: GPL-2.0-or-later
// The record of a run: what the plugin writes and the tools read, in the host's byte order. A
// header, then records of 16 bytes with `count` words of 8 bytes behind each, in the order in which
// things happened.
#pragma once

#include <cstdint>

namespace powercut {

constexpr std::uint64_t log_magic = 0x32305455435f5750; // "PW_CUT02"
constexpr unsigned word_bytes = 8;
constexpr unsigned line_bytes = 64;
constexpr unsigned words_per_line = line_bytes / word_bytes;
constexpr unsigned page_bytes = 4096;
constexpr unsigned words_per_page = page_bytes / word_bytes;
constexpr unsigned processors_max = 64;

struct log_header {
    std::uint64_t magic;
    std::uint64_t bytes;      ///< of the NVDIMM's file
    std::uint32_t full;       ///< 1: every store is here; 0: what is not flushed is not
    std::uint32_t processors; ///< of the guest
};

enum class record_type : std::uint8_t {
    image = 1, ///< contents at the start: `where` is a page; pages that are all zero are left out
    site,     ///< `where` is an instruction, `site` its number from now on; words: return addresses
              ///< that may be its callers
    store,    ///< `where` is the first word; words: the contents after it
    nt_store, ///< the same, around the cache
    found,    ///< the same; a flush met words that no store in the record explains
    flush,    ///< `where` is a line, which has the contents that the record says
    fence,    ///< what this processor flushed or stored around the cache is durable now
    mark,     ///< `where` and a word: what the guest said
    disk,     ///< `where`: so many requests to the recorded disk have been completed
    visit,    ///< an instruction was executed that the guest had asked to watch
    end,      ///< the record is complete; words: see end_counter
};

/// The words of the end record. All but the first are reasons not to believe the record.
enum end_counter : unsigned {
    end_instrumented,    ///< instructions that are watched
    end_unknown_address, ///< flushes and marks executed whose registers QEMU did not have up to
                         ///< date
    end_whole_cache,     ///< wbinvd executed
    end_untracked,       ///< words that changed without a store: DMA, or a store that was not seen
    end_armed_twice,     ///< the guest armed again
    end_counters,
};

struct record {
    record_type type;
    std::uint8_t processor;
    std::uint16_t count;
    std::uint32_t site;
    std::uint64_t where;
};
static_assert(sizeof(record) == 16);

} // namespace powercut
