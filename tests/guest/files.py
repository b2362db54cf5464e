# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that were fsync'd must be there after a power cut.

    files.py write FOLDER SEED           runs until it is killed; prints the number of each durable operation
    files.py verify FOLDER SEED ACKED    looks at the folder; ACKED is the last operation acknowledged

Operation n writes, replaces or removes one file and is durable after fsync of the file and of the folder. It
is a function of the seed, and the contents of a file begin with the number of the operation that wrote it.
"""
from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAMES = 150
SIZES = (100, 4096, 5000, 40000, 300000)
# Operations that may have been acknowledged without the host's hearing of it.
UNHEARD = 200


@dataclass(frozen=True)
class Operation:
    """What happens to a file; no size: it is removed."""

    name: str
    size: int | None
    replace: bool


def operations(seed: str) -> Iterator[Operation]:
    """All operations, from number 1 on."""
    rng = random.Random(seed)
    while True:
        name = f"file{rng.randrange(NAMES):03}"
        removed = rng.random() < 0.1
        yield Operation(name, None if removed else rng.choice(SIZES), rng.random() < 0.5)


def contents(number: int, size: int) -> bytes:
    """What operation `number` puts into its file."""
    head = f"{number}\n".encode()
    return head + random.Random(number).randbytes(size - len(head))


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _write_file(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def perform(folder: Path, number: int, operation: Operation) -> None:
    """Carry an operation out, durably."""
    path = folder / operation.name
    if operation.size is None:
        path.unlink(missing_ok=True)
    elif operation.replace or path.exists():
        temporary = folder / f"{operation.name}.new"
        _write_file(temporary, contents(number, operation.size))
        temporary.rename(path)
    else:
        _write_file(path, contents(number, operation.size))
    _sync_folder(folder)


def write(folder: Path, seed: str) -> None:
    """Operations until the machine dies."""
    for number, operation in enumerate(operations(seed), 1):
        perform(folder, number, operation)
        os.write(1, f"{number}\n".encode())


def _number_in(path: Path) -> int | None:
    """The operation whose contents a file has; 0 when it is unlike any, None when there is no file."""
    if not path.exists():
        return None
    data = path.read_bytes()
    head = data.partition(b"\n")[0]
    number = int(head) if head.isdigit() else 0
    return number if data and number and data == contents(number, len(data)) else 0


def _may_be(before: int | None, number: int, operation: Operation) -> set[int | None]:
    """What a file may be when the machine died in an operation on it."""
    new = number if operation.size is not None else None
    # What is not there yet is written in place, and so may be there in part.
    in_place = new is not None and before is None and not operation.replace
    return {before, new, 0} if in_place else {before, new}


def _wrong(
    found: dict[str, int | None], durable: dict[str, int | None], number: int, operation: Operation
) -> list[str]:
    """The files that cannot be so when operation `number` was under way."""
    may_be = {name: {have} for name, have in durable.items()}
    may_be[operation.name] = _may_be(durable[operation.name], number, operation)
    return [name for name, have in found.items() if have not in may_be[name]]


def verify(folder: Path, seed: str, acked: int) -> None:
    """Compare the folder with what was acknowledged: it must be that of a moment at or after the last
    acknowledgement that was heard, in which one operation is under way and all before it are durable."""
    found = {name: _number_in(folder / name) for name in (f"file{i:03}" for i in range(NAMES))}
    durable: dict[str, int | None] = dict.fromkeys(found)
    nearest: list[str] = []
    for number, operation in enumerate(operations(seed), 1):
        if number > acked + UNHEARD:
            raise SystemExit("\n".join(nearest))
        if number > acked:
            wrong = _wrong(found, durable, number, operation)
            if not wrong:
                there = sum(have is not None for have in found.values())
                print(f"{number - 1} operations durable, {there} files right")
                return
            if not nearest or len(wrong) < len(nearest):
                nearest = [
                    f"{name} is of operation {found[name]}, but operation {durable[name]} was durable "
                    f"(in all {number - 1}, of which {acked} were heard of)"
                    for name in wrong
                ]
        durable[operation.name] = number if operation.size is not None else None


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), sys.argv[3])
    else:
        verify(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
