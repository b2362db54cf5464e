// SPDX-License-Identifier: GPL-2.0-or-later
// Pictures of pixels as PNG (ISO/IEC 15948): true colour, eight bits a sample, with texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tiered {

struct rgb {
    std::uint8_t red = 255;
    std::uint8_t green = 255;
    std::uint8_t blue = 255;

    bool operator==(const rgb&) const = default;
};

/// Pixels row by row from the top; white at first.
struct raster {
    std::size_t width;
    std::size_t height;
    std::vector<rgb> pixels = std::vector<rgb>(width * height);

    void fill(std::size_t left, std::size_t top, std::size_t side, rgb colour);
};

/// What programs show beside the picture; the specification knows the keywords Title and
/// Description.
struct png_text {
    std::string keyword;
    std::string text; ///< Latin-1
};

/// The file. Throws a sentence when there is no memory to compress it in.
std::string png_of(const raster& picture, std::span<const png_text> texts);

} // namespace tiered
