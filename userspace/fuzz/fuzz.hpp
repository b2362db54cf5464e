// SPDX-License-Identifier: GPL-2.0-or-later
// What a fuzz target is: one function that takes any bytes and must end, without a crash, a hang or
// an exception other than tiered::error.
#pragma once

#include "error.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tiered::fuzz {

inline std::string text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// Refusing with a sentence is an answer; anything else that is thrown is a finding.
template <typename Do>
void allow_refusal(Do act) {
    try {
        act();
    } catch (const error&) {
    }
}

} // namespace tiered::fuzz
