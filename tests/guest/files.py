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


def verify(folder: Path, seed: str, acked: int) -> None:
    """Compare the folder with what was acknowledged."""
    found = {name: _number_in(folder / name) for name in (f"file{i:03}" for i in range(NAMES))}
    last = max((number for number in found.values() if number), default=0)
    # An operation is begun when the one before it was durable.
    acked = max(acked, last - 1)
    expected: dict[str, int | None] = dict.fromkeys(found)
    later: dict[str, list[int | None]] = {name: [] for name in found}
    for number, operation in enumerate(operations(seed), 1):
        if number > acked + UNHEARD:
            break
        value = number if operation.size is not None else None
        if number <= acked:
            expected[operation.name] = value
        elif value is None or number == acked + 1:
            # A file that is written in place, not replaced, may also be there in part.
            later[operation.name] += [value] if operation.replace or value is None else [value, 0]
    for name, want in expected.items():
        have = found[name]
        if have != want and have not in later[name]:
            raise SystemExit(
                f"{name} is of operation {have}, but operation {want} was durable (in all {acked})"
            )
    print(f"{acked} operations durable, {sum(number is not None for number in found.values())} files right")


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), sys.argv[3])
    else:
        verify(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
