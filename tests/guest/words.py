# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints where a fast tier keeps things, as JSON: words.py DEVICE

By page: the frame, its state, and the 512-byte sectors of its data, its word and its shadow word. Reads the
device past the page cache; offsets and the layout of a word as in driver/core/format.h and claim.h. Checks no
checksums: the volume has to be whole.
"""
from __future__ import annotations

import json
import mmap
import os
import struct
import sys

SUPERBLOCK_BYTES = 4096
GENERATION_OFFSET = 24
GEOMETRY_OFFSET = 168
SECTOR_BYTES = 512
FRAME_BYTES = 4096
STATES = ("free", "clean", "dirty", "lost", "retired")


def _read(fd: int, offset: int, count: int) -> bytes:
    with mmap.mmap(-1, count) as buffer:
        os.preadv(fd, [buffer], offset)
        return bytes(buffer)


def _superblock(fd: int) -> bytes:
    """The newer of the two."""
    copies = [_read(fd, slot * SUPERBLOCK_BYTES, SUPERBLOCK_BYTES) for slot in range(2)]
    return max(copies, key=lambda copy: int(struct.unpack_from("<Q", copy, GENERATION_OFFSET)[0]))


def main(device: str) -> None:
    """Print one object, by page."""
    fd = os.open(device, os.O_RDONLY | os.O_DIRECT)
    frames, words_at, shadow_at, data_at = struct.unpack_from("<4Q", _superblock(fd), GEOMETRY_OFFSET)
    length = (frames * 8 + FRAME_BYTES - 1) // FRAME_BYTES * FRAME_BYTES
    words = struct.unpack_from(f"<{frames}Q", _read(fd, words_at, length))
    pages = {}
    for frame, word in enumerate(words):
        state = STATES[word >> 40 & 7]
        if state not in ("free", "retired"):
            pages[word & (1 << 40) - 1] = {
                "frame": frame,
                "state": state,
                "data": (data_at + frame * FRAME_BYTES) // SECTOR_BYTES,
                "word": (words_at + frame * 8) // SECTOR_BYTES,
                "shadow": (shadow_at + frame * 8) // SECTOR_BYTES,
            }
    print(json.dumps(pages))


if __name__ == "__main__":
    main(*sys.argv[1:])
