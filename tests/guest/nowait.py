# SPDX-License-Identifier: GPL-2.0-or-later
"""RWF_NOWAIT on a device: nowait.py DEVICE read|write; prints how many were done, how many said EAGAIN.

Whatever is done must be right: it is compared with what an ordinary request reads.
"""
from __future__ import annotations

import mmap
import os
import random
import sys

PAGE = 4096
REQUESTS = 600
# Resident pages at the front, and as many places again beyond them.
PAGES = 1024


def main(device: str, kind: str) -> None:
    """Requests at random places."""
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    buffer, check = mmap.mmap(-1, PAGE), mmap.mmap(-1, PAGE)
    rng = random.Random(1)
    done = again = 0
    for _ in range(REQUESTS):
        offset = rng.randrange(PAGES) * PAGE
        try:
            if kind == "write":
                buffer[:] = rng.randbytes(PAGE)
                assert os.pwritev(fd, [buffer], offset, os.RWF_NOWAIT) == PAGE
            else:
                assert os.preadv(fd, [buffer], offset, os.RWF_NOWAIT) == PAGE
        except BlockingIOError:
            again += 1
            continue
        done += 1
        assert os.preadv(fd, [check], offset) == PAGE
        assert buffer[:] == check[:], f"a {kind} with NOWAIT at {offset} was not what it said"
    print(done, again)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
