# SPDX-License-Identifier: GPL-2.0-or-later
"""Uses more memory than there is, and looks at all of it afterwards.

    hog.py MIB     fails when a page has come back with other contents
"""
from __future__ import annotations

import mmap
import random
import sys

PAGE = 4096
MIB = 1 << 20


def contents(page: int, turn: int) -> bytes:
    """Of a page; no two are alike."""
    return (page << 8 | turn).to_bytes(8, "little") * (PAGE // 8)


def place(page: int) -> slice:
    """Where a page is in the memory."""
    return slice(page * PAGE, (page + 1) * PAGE)


def main() -> None:
    """Fill, change some pages at random, compare all."""
    pages = int(sys.argv[1]) * MIB // PAGE
    memory = mmap.mmap(-1, pages * PAGE)
    turns = bytearray(pages)
    rng = random.Random(1)
    for page in [*range(pages), *(rng.randrange(pages) for _ in range(pages // 32))]:
        turns[page] += 1
        memory[place(page)] = contents(page, turns[page])
    wrong = [p for p in range(pages) if memory[place(p)] != contents(p, turns[p])]
    if wrong:
        raise SystemExit(f"{len(wrong)} pages of {pages} came back wrong, the first is {wrong[0]}")
    print(f"{pages} pages right")


if __name__ == "__main__":
    main()
