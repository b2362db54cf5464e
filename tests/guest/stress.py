# SPDX-License-Identifier: GPL-2.0-or-later
"""A load on a file system in the manner of fsstress: processes that do everything to the same few names.

    stress.py FOLDER SEED     runs until it is killed; prints the number of operations done now and then

Nothing is promised about these files: what counts is that the file system is whole afterwards.
"""
from __future__ import annotations

import ctypes
import mmap
import os
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Process
from pathlib import Path

PROCESSES = 4
NAMES = 40
FILE_MAX = 1 << 20
WRITE_MAX = 128 << 10
REPORT_EVERY = 50
FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2
FALLOC_FL_ZERO_RANGE = 16

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class Stress:
    """One process: what it does next is a function of its seed."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.operations: list[Callable[[], None]] = [
            self.write,
            self.write,
            self.write_and_sync,
            self.write_mapped,
            self.truncate,
            self.allocate,
            self.punch,
            self.rename,
            self.link,
            self.symlink,
            self.unlink,
            self.make_folder,
            self.set_attribute,
            self.sync_folder,
        ]

    def run(self) -> None:
        """Operations until the machine dies. That a name is not there, or is a folder, is part of it."""
        done = 0
        while True:
            with suppress(OSError):
                self.rng.choice(self.operations)()
            done += 1
            if not done % REPORT_EVERY:
                os.write(1, f"{REPORT_EVERY}\n".encode())

    def name(self) -> Path:
        """A name at the top or in one of the folders."""
        name = f"n{self.rng.randrange(NAMES)}"
        folder = self.folder if self.rng.random() < 0.5 else self.folder / f"d{self.rng.randrange(4)}"
        return folder / name

    def _range(self) -> tuple[int, int]:
        return self.rng.randrange(FILE_MAX - WRITE_MAX), self.rng.randrange(1, WRITE_MAX)

    def _with_file(self, use: Callable[[int], object]) -> None:
        fd = os.open(self.name(), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            use(fd)
        finally:
            os.close(fd)

    def _write_to(self, fd: int) -> None:
        at, count = self._range()
        os.pwrite(fd, self.rng.randbytes(count), at)

    def write(self) -> None:
        self._with_file(self._write_to)

    def write_and_sync(self) -> None:
        def use(fd: int) -> None:
            self._write_to(fd)
            os.fsync(fd)

        self._with_file(use)

    def write_mapped(self) -> None:
        def use(fd: int) -> None:
            at, count = self._range()
            # Written through the mapping, a hole in a full file system is a bus error.
            os.posix_fallocate(fd, at, count)
            with mmap.mmap(fd, 0) as memory:
                memory[slice(at, at + count)] = self.rng.randbytes(count)
                if self.rng.random() < 0.3:
                    memory.flush()

        # Nobody else's: it would be one, too, if the file was cut off meanwhile.
        fd = os.open(self.folder / f"mapped{os.getpid()}", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            use(fd)
        finally:
            os.close(fd)

    def truncate(self) -> None:
        self._with_file(lambda fd: os.ftruncate(fd, self._range()[0]))

    def allocate(self) -> None:
        mode = self.rng.choice((0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE))
        self._with_file(lambda fd: libc.fallocate(fd, mode, *self._range()))

    def punch(self) -> None:
        mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
        self._with_file(lambda fd: libc.fallocate(fd, mode, *self._range()))

    def rename(self) -> None:
        self.name().rename(self.name())

    def link(self) -> None:
        os.link(self.name(), self.name())

    def symlink(self) -> None:
        os.symlink(self.name(), self.name())

    def unlink(self) -> None:
        self.name().unlink()

    def make_folder(self) -> None:
        folder = self.folder / f"d{self.rng.randrange(4)}"
        if self.rng.random() < 0.8:
            folder.mkdir()
        else:
            folder.rename(self.folder / f"d{self.rng.randrange(4)}")

    def set_attribute(self) -> None:
        os.setxattr(self.name(), "user.stress", self.rng.randbytes(self.rng.randrange(1, 200)))

    def sync_folder(self) -> None:
        fd = os.open(self.folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def main() -> None:
    """All processes; the first one is this."""
    folder, seed = Path(sys.argv[1]), sys.argv[2]
    for number in range(1, PROCESSES):
        Process(target=Stress(folder, f"{seed}/{number}").run).start()
    Stress(folder, f"{seed}/0").run()


if __name__ == "__main__":
    main()
