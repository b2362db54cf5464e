// SPDX-License-Identifier: GPL-2.0-or-later
// What is put to the test: knows what an image of it means, and what may be in one by what the
// workload was told.
#pragma once

#include "line_model.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

namespace campaign {

/// What is wrong with an image, and what is known of the reason. Without a text nothing is wrong.
struct complaint {
    std::string text;
    /// The word that says what cannot be true, by its number in the NVDIMM.
    std::optional<std::uint64_t> word;
    /// Otherwise: whether this value of a word would have spoken for the page that is wrong.
    std::function<bool(std::uint64_t word, std::uint64_t value)> spoke;
    /// The operation whose acknowledgement makes it wrong; 0: it would always be.
    std::uint32_t operation = 0;

    explicit operator bool() const { return !text.empty(); }
};

/// NVDIMM and disk at one moment.
struct image_bytes {
    std::span<const std::byte> memory;
    std::span<const std::byte> disk;
};

/// Tells whether a line of the NVDIMM is read by whoever uses it after the power cut.
using line_reader = std::function<bool(std::uint64_t line)>;

class subject {
public:
    subject() = default;
    subject(const subject&) = delete;
    subject& operator=(const subject&) = delete;
    virtual ~subject() = default;

    /// The workload said so; `kind` is one of mark_kind.
    virtual void note(std::uint64_t kind, std::uint32_t number) = 0;
    virtual complaint judge(const image_bytes& image) const = 0;
    /// Valid until the model changes. What no image could make somebody read is left out.
    virtual line_reader lines_read(const powercut::line_model& model) const = 0;

    /// Sectors of the disk that the volume in an image was made over; nothing where there is no
    /// volume to open.
    virtual std::optional<std::uint64_t> disk_sectors(const image_bytes& image) const = 0;
    /// What is wrong with the contents of the volume as a machine read them that booted from the
    /// image; empty: nothing.
    virtual std::string compare(const image_bytes& image,
                                std::span<const std::byte> contents) const = 0;
};

/// /dev/pmem0 begins here in the NVDIMM's file: a namespace has its own block first.
constexpr std::uint64_t namespace_block = 2 << 20;
constexpr std::uint64_t namespace_bytes = 16 << 20; ///< of the campaign's machines

} // namespace campaign
