# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the guest: the checksum of every file below a folder, or why it could not be read."""
from __future__ import annotations

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor

DIGEST_BYTES = 32
# More than processors: while one waits for the disk, another computes.
THREADS = 4


def files(root: str) -> list[str]:
    """Paths below `root`, relative to it."""
    return sorted(os.path.relpath(os.path.join(folder, name), root)
                  for folder, _, names in os.walk(root) for name in names)


def checksum(path: str) -> str:
    """The same as tree.checksum() on the host."""
    try:
        with open(path, "rb") as file:
            return hashlib.blake2b(file.read(), digest_size=DIGEST_BYTES).hexdigest()
    except OSError as error:
        return f"unreadable ({error.strerror})"


def main() -> None:
    """Print a line for each file."""
    os.chdir(sys.argv[1])
    names = files(".")
    with ThreadPoolExecutor(THREADS) as pool:
        for name, digest in zip(names, pool.map(checksum, names)):
            print(f"{digest}  {name}")


main()
