// SPDX-License-Identifier: GPL-2.0-or-later
// Reads an image as forgetful/dm-forgetful.c would.
#include "control_subject.hpp"

#include <cstring>
#include <fmt/format.h>

namespace campaign {

namespace {

constexpr std::uint64_t slots_offset = namespace_block + page_bytes;

std::uint64_t slot_offset(std::uint32_t page, std::uint64_t slot) {
    return slots_offset + (2 * std::uint64_t{page} + slot) * page_bytes;
}

} // namespace

void control_subject::note(std::uint64_t kind, std::uint32_t number) {
    if (kind == mark_begin)
        oracle_.begin(number);
    if (kind == mark_ack)
        oracle_.acknowledge(number);
}

complaint control_subject::judge(const image_bytes& image) const {
    for (std::uint32_t page = 0; page < hot_pages; page++) {
        const std::uint64_t word = namespace_block / powercut::word_bytes + page;
        std::uint64_t newest = 0;
        std::memcpy(&newest, image.memory.data() + word * powercut::word_bytes, sizeof(newest));
        if (newest > 2)
            return {.text = fmt::format("the word of page {} is {}", page, newest), .word = word};
        page_state state{};
        for (std::uint32_t at = 0; newest != 0 && at < page_sectors; at++) {
            const auto* words = reinterpret_cast<const std::uint64_t*>(
                image.memory.data() + slot_offset(page, newest - 1) + at * sector_bytes);
            if (!read_sector(
                    std::span<const std::uint64_t, sector_bytes / 8>(words, sector_bytes / 8),
                    page * page_sectors + at, state[at]))
                return {.text = fmt::format("sector {} of page {} holds what nobody wrote there",
                                            at, page),
                        .word = word};
        }
        if (std::string text = oracle_.judge_frame(page, state); !text.empty())
            return {.text = std::move(text), .word = word, .operation = oracle_.settled_by(page)};
    }
    return {};
}

line_reader control_subject::lines_read(const powercut::line_model& model) const {
    return [&model](std::uint64_t line) {
        const std::uint64_t at = line * powercut::line_bytes;
        if (at < slots_offset)
            return at >= namespace_block;
        const std::uint64_t slot = (at - slots_offset) / page_bytes;
        return model.any_value(namespace_block / powercut::word_bytes + slot / 2,
                               [&](std::uint64_t value) { return value == slot % 2 + 1; });
    };
}

} // namespace campaign
