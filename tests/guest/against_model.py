# SPDX-License-Identifier: GPL-2.0-or-later
"""Random requests against a model in memory: against_model.py DEVICE SEED COUNT MEGABYTES

Reads and writes of 512 bytes to 256 KiB at any sector, with and without O_DSYNC, and discards of whole pages;
each read is compared with the model, and everything once more at the end.
"""
from __future__ import annotations

import fcntl
import mmap
import os
import random
import struct
import sys

SECTOR = 512
PAGE = 4096
LARGEST = 256 << 10
SIZES = (512, 512, 1024, 3584, 4096, 4096, 4096, 4608, 8192, 16384, 20480, 65536, 65536 + 512, LARGEST)
BLKDISCARD = 0x1277


class Target:
    """The device and its model."""

    def __init__(self, device: str, size: int) -> None:
        self.plain = os.open(device, os.O_RDWR | os.O_DIRECT)
        self.dsync = os.open(device, os.O_RDWR | os.O_DIRECT | os.O_DSYNC)
        self.buffer = mmap.mmap(-1, LARGEST)
        self.model = bytearray(size)

    def write(self, offset: int, data: bytes, durable: bool) -> None:
        """Write, and remember."""
        self.buffer[: len(data)] = data
        done = os.pwrite(self.dsync if durable else self.plain, memoryview(self.buffer)[: len(data)], offset)
        assert done == len(data), f"wrote {done} of {len(data)} bytes at {offset}"
        self.model[offset:offset + len(data)] = data

    def read(self, offset: int, length: int) -> None:
        """Read, and compare."""
        done = os.preadv(self.plain, [memoryview(self.buffer)[:length]], offset)
        assert done == length, f"read {done} of {length} bytes at {offset}"
        if self.buffer[:length] != self.model[offset:offset + length]:
            wrong = next(at for at in range(length) if self.buffer[at] != self.model[offset + at])
            raise SystemExit(
                f"byte {offset + wrong} is {self.buffer[wrong]}, written was {self.model[offset + wrong]} "
                f"(read of {length} bytes at {offset})"
            )

    def discard(self, offset: int, length: int) -> None:
        """Discard whole pages, which then read as zeroes."""
        fcntl.ioctl(self.plain, BLKDISCARD, struct.pack("<QQ", offset, length))
        self.model[offset:offset + length] = bytes(length)


def _place(rng: random.Random, size: int, length: int) -> int:
    # Half of the requests in an eighth of the space, so that many meet a resident page.
    span = size // 8 if rng.random() < 0.5 else size
    offset = rng.randrange(0, span - length, SECTOR)
    return offset - offset % PAGE if rng.random() < 0.4 else offset


def main(device: str, seed: int, count: int, size: int) -> None:
    """The requests."""
    rng = random.Random(seed)
    target = Target(device, size)
    for _ in range(count):
        length = rng.choice(SIZES)
        offset = _place(rng, size, length)
        kind = rng.random()
        if kind < 0.48:
            target.write(offset, rng.randbytes(length), rng.random() < 0.2)
        elif kind < 0.96:
            target.read(offset, length)
        else:
            target.discard(offset - offset % PAGE, max(PAGE, length - length % PAGE))
    for offset in range(0, size, LARGEST):
        target.read(offset, LARGEST)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) << 20)
