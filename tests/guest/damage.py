# SPDX-License-Identifier: GPL-2.0-or-later
"""Damages the metadata of a closed volume in one way: damage.py FAST KIND [PAGE]

KIND is superblock-a, superblock-b, word, shadow, both (the word and the shadow of the frame that holds PAGE),
twice (another frame claims PAGE as well, five versions on, with other contents) or beyond (a claim of a
page beyond the volume's end). Reads and writes past the page cache; layouts as in driver/core/format.h and
claim.h.
"""
from __future__ import annotations

import mmap
import os
import struct
import sys

SECTOR = 512
FRAME = 4096
GEOMETRY_AT = 168
SEED_AT = 208
SECTORS_AT = 152
STATE_SHIFT, VERSION_SHIFT, MARK_SHIFT, CRC_SHIFT = 40, 43, 47, 56
PAGE_MASK = (1 << 40) - 1
FREE, DIRTY = 0, 2
CRC_POLYNOMIAL = 0x2F


class Fast:
    """The fast tier, by sectors."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_DIRECT)
        block = max((self.read(0, FRAME), self.read(FRAME, FRAME)), key=lambda one: one[24:32][::-1])
        geometry = struct.unpack_from("<4Q", block, GEOMETRY_AT)
        self.frames, self.words_at, self.shadow_at, self.data_at = geometry
        self.seed = block[SEED_AT]
        self.pages = int(struct.unpack_from("<Q", block, SECTORS_AT)[0]) // (FRAME // SECTOR)

    def read(self, offset: int, count: int) -> bytes:
        """Whole sectors."""
        with mmap.mmap(-1, count) as buffer:
            assert os.preadv(self.fd, [buffer], offset) == count
            return bytes(buffer)

    def write(self, offset: int, data: bytes) -> None:
        """Whole sectors."""
        with mmap.mmap(-1, len(data)) as buffer:
            buffer[:] = data
            assert os.pwritev(self.fd, [buffer], offset) == len(data)

    def word(self, frame: int) -> int:
        """The word of a frame."""
        at = self.words_at + frame * 8
        sector = self.read(at // SECTOR * SECTOR, SECTOR)
        return int(struct.unpack_from("<Q", sector, at % SECTOR)[0])

    def put(self, table: int, frame: int, word: int) -> None:
        """Store a frame's word in one table."""
        at = table + frame * 8
        sector = bytearray(self.read(at // SECTOR * SECTOR, SECTOR))
        struct.pack_into("<Q", sector, at % SECTOR, word)
        self.write(at // SECTOR * SECTOR, bytes(sector))

    def state(self, frame: int) -> int:
        """The state in the word of a frame."""
        return self.word(frame) >> STATE_SHIFT & 7

    def holder(self, page: int) -> int:
        """The frame whose word claims a page."""
        return next(f for f in range(self.frames) if self.state(f) and self.word(f) & PAGE_MASK == page)

    def claim(self, page: int, version: int) -> None:
        """A dirty claim of a page by a frame that was free, over random contents."""
        frame = next(f for f in reversed(range(self.frames)) if self.state(f) == FREE)
        self.write(self.data_at + frame * FRAME, os.urandom(FRAME))
        payload = page | DIRTY << STATE_SHIFT | version << VERSION_SHIFT | 1 << MARK_SHIFT
        crc = crc8(crc8(self.seed, frame.to_bytes(4, "little")), payload.to_bytes(7, "little"))
        for table in (self.words_at, self.shadow_at):
            self.put(table, frame, payload | crc << CRC_SHIFT)


def crc8(crc: int, data: bytes) -> int:
    """The checksum of words."""
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (CRC_POLYNOMIAL if crc & 0x80 else 0)) & 0xFF
    return crc


def main(path: str, kind: str, page: int) -> None:
    """Do it."""
    fast = Fast(path)
    if kind.startswith("superblock-"):
        fast.write(FRAME * "ab".index(kind[-1]), os.urandom(SECTOR))
    elif kind == "beyond":
        fast.claim(fast.pages + 7, 3)
    elif kind == "twice":
        fast.claim(page, (fast.word(fast.holder(page)) >> VERSION_SHIFT) + 5 & 15)
    else:
        frame = fast.holder(page)
        for table, hit in ((fast.words_at, ("word", "both")), (fast.shadow_at, ("shadow", "both"))):
            if kind in hit:
                fast.put(table, frame, (1 << 64) - 1)
    os.fsync(fast.fd)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int((*sys.argv, "0")[3]))
