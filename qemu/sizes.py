# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes as people write them: 512, 128K, 256M, 1G, 2T."""
from __future__ import annotations

import re

from qemu.errors import UsageError

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": 1 << 40}


def parse_size(text: str) -> int:
    """The number of bytes that `text` means."""
    match = re.fullmatch(r"([0-9]+)([KMGT]?)(?:iB)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"'{text}' is not a size: write a whole number with K, M, G or T, such as 256M.")
    return int(match[1]) * UNITS[match[2].upper()]


def format_size(size: int) -> str:
    """The shortest exact way to write a size."""
    for unit in ("T", "G", "M", "K"):
        if size and size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return str(size)


def round_up(size: int, unit: int) -> int:
    """`size`, or the next multiple of `unit` above it."""
    return -(-size // unit) * unit
