# SPDX-License-Identifier: GPL-2.0-or-later
"""Damage done on purpose between power cut and checks, to show that the demo can tell. For tests only."""
from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tests.demo.tree import Tree

KINDS = ("file", "filesystem", "order", "database")
NEEDLE_BYTES = 48
CHUNK = 8 << 20
# A page of the database amid the items, which were put in first.
DATABASE_PAGE = 100


def needle(tree: Tree) -> bytes:
    """Bytes at the start of some file that occur once in the tree."""
    with tarfile.open(fileobj=io.BytesIO(tree.archive)) as archive:
        for member in archive:
            found = tree.archive[member.offset_data:member.offset_data + NEEDLE_BYTES]
            if member.size >= NEEDLE_BYTES and tree.archive.count(found) == 1:
                return found
    raise ValueError("the tree has no unique bytes")


def _data(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """The parts of a sparse file that hold data, each with what follows it by less than a needle."""
    at, size = 0, os.fstat(descriptor).st_size
    while at < size:
        try:
            at = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(descriptor, at, os.SEEK_HOLE)
        while at < end:
            yield at, os.pread(descriptor, min(CHUNK, end - at) + NEEDLE_BYTES, at)
            at += min(CHUNK, end - at)


def spoil_image(path: Path, wanted: bytes) -> int:
    """Change the last byte of each occurrence of `wanted` in an image; returns how many there were."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        places = {at + found for at, data in _data(descriptor) for found in _all(data, wanted)}
        for place in places:
            os.pwrite(descriptor, bytes([wanted[-1] ^ 1]), place + len(wanted) - 1)
    finally:
        os.close(descriptor)
    return len(places)


def _all(data: bytes, wanted: bytes) -> Iterator[int]:
    at = data.find(wanted)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)


def spoil_state(state: Path, tree: Tree) -> None:
    """Change a byte of one copied file, wherever the volume's devices hold it."""
    wanted = needle(tree)
    if not sum(spoil_image(state / name, wanted) for name in ("nvdimm0.img", "disk0.img")):
        raise ValueError("the copied file is nowhere on the devices")


def file_system_command(device: str) -> str:
    """Make a link count wrong on a file system that is not mounted."""
    return f"debugfs -w -R 'set_inode_field tree links_count 77' {device}"


def order_command(database: str, number: int) -> str:
    """Make an order disappear."""
    where = f"WHERE number = {number}"
    return f"sqlite3 {database} 'DELETE FROM orders {where}; DELETE FROM lines {where}'"


def database_command(database: str) -> str:
    """Wipe a page of the database."""
    place = f"bs=4096 seek={DATABASE_PAGE} count=1 conv=notrunc,fsync"
    return f"dd if=/dev/zero of={database} {place} status=none"
