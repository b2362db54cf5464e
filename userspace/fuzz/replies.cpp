// SPDX-License-Identifier: GPL-2.0-or-later
// Any text as what the driver says: the status line, and the replies to `heat`, `pins`, `samples`
// and `why`.
#include "fuzz.hpp"
#include "heat.hpp"
#include "pins.hpp"
#include "samples.hpp"
#include "status.hpp"
#include "why.hpp"

#include <nlohmann/json.hpp>

using namespace tiered;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text = fuzz::text_of(data, size);
    fuzz::allow_refusal([&] {
        open_volume volume;
        volume.status = parse_status(text);
        (void)status_json(volume).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        (void)status_report(volume);
    });
    fuzz::allow_refusal([&] { (void)parse_heat_reply(text); });
    fuzz::allow_refusal([&] { (void)parse_pins_reply(text); });
    fuzz::allow_refusal([&] {
        const samples_reply reply = parse_samples_reply(text);
        (void)put_together({reply, reply});
    });
    fuzz::allow_refusal([&] {
        for (const extent_decision& one : parse_why_reply(text).decisions)
            (void)reason_text(one.reason);
    });
    return 0;
}
