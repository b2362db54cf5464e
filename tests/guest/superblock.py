# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes a field of a fast tier's superblocks and seals them again: superblock.py DEVICE FIELD VALUE [older]

Of both, or only of the one that does not stand.

For refusals that a flipped bit cannot provoke, because the checksum would be wrong first. Offsets as in
driver/core/format.h.
"""
from __future__ import annotations

import mmap
import os
import struct
import sys

BYTES = 4096
CRC_OFFSET = 16
TIERS_OFFSET = 1024
FIELDS = {
    "version": (20, "<I"),
    "generation": (24, "<Q"),
    "incompat": (32, "<I"),
    "ro_compat": (36, "<I"),
    "flags": (44, "<I"),
    "volume_sectors": (152, "<Q"),
    "fast_bytes": (160, "<Q"),
    "frames_total": (168, "<Q"),
    "words_offset": (176, "<Q"),
    "shadow_offset": (184, "<Q"),
    "frames_offset": (192, "<Q"),
    "frame_bytes": (200, "<I"),
    "tiers_count": (209, "<B"),
    "tier_sectors": (TIERS_OFFSET + 16, "<Q"),
}


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


TABLE = [_table_entry(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    """CRC32C with seed ~0 and no final inversion."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc


def change(block: bytearray, field: str, value: int) -> None:
    """Set a field of one superblock, and its checksum."""
    offset, form = FIELDS[field]
    struct.pack_into("<I", block, CRC_OFFSET, 0)
    struct.pack_into(form, block, offset, value)
    struct.pack_into("<I", block, CRC_OFFSET, crc32c(block))


def _read(fd: int, offset: int) -> bytearray:
    with mmap.mmap(-1, BYTES) as buffer:
        assert os.preadv(fd, [buffer], offset) == BYTES
        return bytearray(buffer[:])


def _generation(block: bytearray) -> int:
    offset, form = FIELDS["generation"]
    return int(struct.unpack_from(form, block, offset)[0])


def main(device: str, field: str, value: int, which: str = "both") -> None:
    """Change the superblocks, past the page cache."""
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    buffer = mmap.mmap(-1, BYTES)
    offsets = [0, BYTES]
    if which == "older":
        # As the driver has it: of two with one generation, the first stands.
        offsets = [BYTES if _generation(_read(fd, 0)) >= _generation(_read(fd, BYTES)) else 0]
    for offset in offsets:
        block = _read(fd, offset)
        before = struct.unpack_from("<I", block, CRC_OFFSET)[0]
        struct.pack_into("<I", block, CRC_OFFSET, 0)
        assert crc32c(block) == before, f"superblock at {offset} did not check before"
        change(block, field, value)
        buffer[:] = bytes(block)
        assert os.pwritev(fd, [buffer], offset) == BYTES
    os.fsync(fd)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3], 0), *sys.argv[4:])
