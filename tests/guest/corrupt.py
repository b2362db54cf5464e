# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens a volume again and again with one byte of its metadata changed.

    corrupt.py FAST DISK PAGES TRIALS SEED

The first PAGES pages of the closed volume are dirty, their contents in /tmp/data, and their homes hold
zeroes. Each trial must end in a refusal, or in a volume whose pages have their contents or answer errors.
Prints how many were refused, and how many pages answered errors.
"""
from __future__ import annotations

import errno
import mmap
import os
import random
import struct
import subprocess
import sys

PAGE = 4096
FRAMES_OFFSET_AT = 192
NAME = "corrupted"


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_DIRECT)


def _read(fd: int, offset: int, count: int) -> bytes:
    with mmap.mmap(-1, count) as buffer:
        assert os.preadv(fd, [buffer], offset) == count
        return bytes(buffer)


def _write(fd: int, offset: int, data: bytes) -> None:
    with mmap.mmap(-1, len(data)) as buffer:
        buffer[:] = data
        assert os.pwritev(fd, [buffer], offset) == len(data)


def _is_lost(volume: int, page: int, wanted: bytes) -> bool:
    try:
        found = _read(volume, page * PAGE, PAGE)
    except OSError as error:
        assert error.errno == errno.EIO, error
        return True
    assert found == wanted, f"page {page} has other contents in silence"
    return False


def _lost_pages(pages: int, data: bytes) -> int:
    volume = _open(f"/dev/mapper/{NAME}", os.O_RDONLY)
    try:
        return sum(_is_lost(volume, page, data[page * PAGE:][:PAGE]) for page in range(pages))
    finally:
        os.close(volume)


def main(fast: str, disk: str, pages: int, trials: int, seed: str) -> None:
    """Run the trials."""
    rng = random.Random(seed)
    memory, homes = _open(fast, os.O_RDWR), _open(disk, os.O_RDWR)
    sectors = os.lseek(homes, 0, os.SEEK_END) // 512
    (length,) = struct.unpack_from("<Q", _read(memory, 0, PAGE), FRAMES_OFFSET_AT)
    metadata = _read(memory, 0, length)
    with open("/tmp/data", "rb") as file:
        data = file.read()
    table = f"0 {sectors} tiered {fast} 1 {disk} 2 admission none"
    refused = lost = 0
    for _ in range(trials):
        at = rng.randrange(length)
        damaged = bytearray(metadata)
        damaged[at] ^= rng.randrange(1, 256)
        _write(memory, 0, bytes(damaged))
        _write(homes, 0, bytes(pages * PAGE))
        if subprocess.run(["dmsetup", "create", NAME, "--table", table], check=False).returncode:
            refused += 1
            continue
        try:
            lost += _lost_pages(pages, data)
        except AssertionError as error:
            sys.exit(f"byte {at}: {error}")
        finally:
            subprocess.run(["dmsetup", "remove", "--retry", NAME], check=True)
    _write(memory, 0, metadata)
    print(refused, lost)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
