// SPDX-License-Identifier: GPL-2.0-or-later
// Any text as a dump; what can be read
// is restored over a volume without metadata, which has nothing left to restore then.
#include "dump.hpp"
#include "fuzz.hpp"
#include "restore.hpp"
#include "test_volume.hpp"

#include <cstdlib>

namespace {

using namespace tiered;
using namespace tiered::test;

constexpr std::uint64_t fast_bytes = 1 << 20;

void restore(const std::string& text) {
    static const memory_storage bare(fast_bytes);
    const volume_dump dump = parse_dump(text, "dump", fast_bytes);
    memory_storage fast = bare;
    carry_out(fast, plan_restore(fast, "bare", dump));
    if (plan_restore(fast, "bare", dump).changes_anything())
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tiered::fuzz::allow_refusal([&] { restore(tiered::fuzz::text_of(data, size)); });
    return 0;
}
