// SPDX-License-Identifier: GPL-2.0-or-later
// Any text as a record in /var/lib/tiered; what was read is written and read again.
#include "record.hpp"
#include "fuzz.hpp"

using namespace tiered;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::allow_refusal([&] {
        const volume_record record = record_from_text(fuzz::text_of(data, size), "record");
        (void)record_from_text(record_text(record), "record");
    });
    return 0;
}
