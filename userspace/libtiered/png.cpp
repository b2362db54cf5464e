// SPDX-License-Identifier: GPL-2.0-or-later
// Writing PNG: chunks of length, type, data and checksum, around rows that zlib compressed.
#include "png.hpp"

#include "error.hpp"

#include <array>
#include <string_view>
#include <zlib.h>

namespace tiered {

namespace {

constexpr std::string_view signature{"\x89PNG\r\n\x1a\n", 8};
/// Eight bits, true colour, and the only methods there are: deflate, adaptive filters, no
/// interlacing.
constexpr std::string_view pixel_format{"\x08\x02\0\0\0", 5};
/// Each row says first how it is filtered.
constexpr char unfiltered = 0;

std::string big_endian(std::uint64_t value) {
    constexpr std::array shifts{24, 16, 8, 0};
    std::string bytes;
    for (const int shift : shifts)
        bytes += static_cast<char>(value >> shift & 0xff);
    return bytes;
}

const Bytef* as_bytes(const std::string& text) {
    return reinterpret_cast<const Bytef*>(text.data());
}

std::string chunk(std::string_view type, std::string_view data) {
    const std::string covered = std::string(type).append(data);
    const uLong crc = ::crc32_z(0, as_bytes(covered), covered.size());
    return big_endian(data.size()) + covered + big_endian(crc);
}

std::string rows_of(const raster& picture) {
    std::string rows;
    rows.reserve(picture.height * (1 + 3 * picture.width));
    for (std::size_t i = 0; i < picture.pixels.size(); i++) {
        if (i % picture.width == 0)
            rows += unfiltered;
        const rgb& pixel = picture.pixels[i];
        for (const std::uint8_t sample : {pixel.red, pixel.green, pixel.blue})
            rows += static_cast<char>(sample);
    }
    return rows;
}

std::string compressed(const std::string& data) {
    uLongf size = ::compressBound(data.size());
    std::string out(size, 0);
    if (::compress(reinterpret_cast<Bytef*>(out.data()), &size, as_bytes(data), data.size()) !=
        Z_OK)
        fail("there is no memory for the picture; free some and try again");
    out.resize(size);
    return out;
}

} // namespace

void raster::fill(std::size_t left, std::size_t top, std::size_t side, rgb colour) {
    for (std::size_t y = top; y < top + side; y++)
        for (std::size_t x = left; x < left + side; x++)
            pixels.at(y * width + x) = colour;
}

std::string png_of(const raster& picture, std::span<const png_text> texts) {
    std::string png(signature);
    png += chunk("IHDR", big_endian(picture.width) + big_endian(picture.height) +
                             std::string(pixel_format));
    for (const png_text& one : texts)
        png += chunk("tEXt", one.keyword + '\0' + one.text);
    return png + chunk("IDAT", compressed(rows_of(picture))) + chunk("IEND", {});
}

} // namespace tiered
