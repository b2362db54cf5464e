# SPDX-License-Identifier: GPL-2.0-or-later
"""An empty label area of an NVDIMM, as `ndctl init-labels` leaves it.

Written here because the guest would first have to take the NVDIMM's region offline to do it; with it, the
kernel finds an NVDIMM with labels and no namespace, and the guest only makes the namespace. Format: the
"NVDIMM Namespace Specification", version 1.1; of two index blocks the one with the higher sequence counts.
"""
from __future__ import annotations

import struct

SIGNATURE = b"NAMESPACE_INDEX\0"
INDEX_UNIT = 256
LABEL_SIZE = 128
FIELDS = struct.Struct("<16s3sBIQQQQIHHQ")
SEQUENCES = (3, 2)


def fletcher64(data: bytes) -> int:
    """The checksum of index blocks."""
    low = high = 0
    for (word,) in struct.iter_unpack("<I", data):
        low = (low + word) & 0xFFFFFFFF
        high = (high + low) & 0xFFFFFFFF
    return high << 32 | low


def geometry(area: int) -> tuple[int, int]:
    """The bytes of an index block and the number of label slots in an area of `area` bytes."""
    index = INDEX_UNIT
    while True:
        slots = (area - 2 * index) // LABEL_SIZE
        needed = -(-(FIELDS.size + -(-slots // 64) * 8) // INDEX_UNIT) * INDEX_UNIT
        if needed <= index:
            return index, slots
        index = needed


def empty_area(area: int) -> bytes:
    """The two index blocks that start an empty label area of `area` bytes."""
    index, slots = geometry(area)
    return b"".join(_block(number, index, slots) for number in range(2))


def _block(number: int, index: int, slots: int) -> bytes:
    other = index * (1 - number)
    fields = (SIGNATURE, b"\0\0\0", 0, SEQUENCES[number], index * number, index, other, 2 * index, slots)
    free = b"\xff" * (-(-slots // 64) * 8)

    def block(checksum: int) -> bytes:
        packed = FIELDS.pack(*fields, 1, 1, checksum)
        return (packed + free).ljust(index, b"\0")
    return block(fletcher64(block(0)))
