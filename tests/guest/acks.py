# SPDX-License-Identifier: GPL-2.0-or-later
"""Acknowledged writes: what a program was told is durable must be there after a power cut.

    acks.py write DEVICE SEED     runs until it is killed; prints "WRITER BATCH" when a batch was acknowledged
    acks.py verify DEVICE SEED ACKED...   looks at the device; ACKED is each writer's last batch acknowledged

Each writer has a region of its own and issues batches of writes and discards, one after the other. Batch n of
a writer is a function of the seed, so the verifier knows all that was ever written. A sector says which
writer and batch wrote it. A batch is acknowledged after fdatasync, or, when it is a single O_DSYNC write, by
its completion.
"""
from __future__ import annotations

import fcntl
import mmap
import os
import random
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import Process, RawArray
from typing import Any

SECTOR = 512
PAGE = 4096
SECTORS_PER_PAGE = PAGE // SECTOR
WRITERS = 4
REGION = 10 << 20
REGION_SECTORS = REGION // SECTOR
SIZES = (512, 1024, 4096, 4096, 4096, 8192, 12288 + 512, 65536, 1 << 20)
BLKDISCARD = 0x1277
HEADER = struct.Struct("<8sIIQQ")
MAGIC = b"tiered!!"
# A discard leaves no number behind; this many batches after the last known one may have been under way.
UNHEARD = 200
ZEROES = bytes(SECTOR)


@dataclass(frozen=True)
class Step:
    """A write or a discard of some sectors of the region."""

    first: int
    count: int
    discard: bool

    @property
    def end(self) -> int:
        """The sector behind the last one."""
        return self.first + self.count


@dataclass(frozen=True)
class Batch:
    """What is acknowledged together; sectors are written once at most."""

    steps: tuple[Step, ...]
    dsync: bool


def _step(rng: random.Random) -> Step:
    if rng.random() < 0.06:
        pages = rng.choice((1, 2, 16, 256))
        first = rng.randrange(REGION // PAGE - pages + 1)
        return Step(first * SECTORS_PER_PAGE, pages * SECTORS_PER_PAGE, True)
    size = rng.choice(SIZES)
    count = size // SECTOR
    # Mostly a small hot part, so that pages are overwritten while they are dirty, written back or evicted.
    span = REGION_SECTORS if rng.random() < 0.4 else REGION_SECTORS // 8
    first = rng.randrange(max(1, span - count))
    if rng.random() < 0.7:
        first -= first % SECTORS_PER_PAGE
    return Step(first, count, False)


def batches(seed: str, writer: int) -> Iterator[Batch]:
    """All batches of a writer, from number 1 on."""
    rng = random.Random(f"{seed}/{writer}")
    while True:
        if rng.random() < 0.4:
            step = _step(rng)
            yield Batch((step,), not step.discard)
            continue
        steps: list[Step] = []
        for _ in range(rng.randrange(1, 5)):
            step = _step(rng)
            if all(step.end <= other.first or other.end <= step.first for other in steps):
                steps.append(step)
        yield Batch(tuple(steps), False)


def sector_data(writer: int, batch: int, sector: int) -> bytes:
    """What batch number `batch` of a writer puts into a sector of its region."""
    head = HEADER.pack(MAGIC, writer, batch, sector, batch * 0x9E3779B97F4A7C15 + sector & (1 << 64) - 1)
    return head * (SECTOR // len(head))


def batch_of(data: bytes, writer: int, sector: int) -> int:
    """The batch that wrote a sector, 0 when it holds zeroes. ValueError when no batch wrote just this."""
    if data == ZEROES:
        return 0
    magic, found_writer, batch, found_sector, _ = HEADER.unpack_from(data)
    if magic != MAGIC or found_writer != writer or found_sector != sector:
        raise ValueError(
            f"foreign data: writer {found_writer}, batch {batch}, sector {found_sector}, magic {magic!r}"
        )
    if data != sector_data(writer, batch, sector):
        raise ValueError(f"a mix: the head is of batch {batch}")
    return int(batch)


# ---- write ------------------------------------------------------------------------------------


def _discard(fd: int, offset: int, length: int) -> None:
    fcntl.ioctl(fd, BLKDISCARD, struct.pack("<QQ", offset, length))


def write(device: str, seed: str, writer: int, durable: Any) -> None:
    """One writer, until the machine dies. `durable` has, by sector, the batch that is acknowledged there."""
    plain = os.open(device, os.O_RDWR | os.O_DIRECT)
    dsync = os.open(device, os.O_RDWR | os.O_DIRECT | os.O_DSYNC)
    buffer = mmap.mmap(-1, max(SIZES))
    base = writer * REGION
    for number, batch in enumerate(batches(seed, writer), 1):
        for step in batch.steps:
            offset, length = base + step.first * SECTOR, step.count * SECTOR
            if step.discard:
                _discard(plain, offset, length)
                continue
            buffer[:length] = b"".join(
                sector_data(writer, number, sector) for sector in range(step.first, step.end)
            )
            done = os.pwrite(dsync if batch.dsync else plain, memoryview(buffer)[:length], offset)
            assert done == length, f"wrote {done} of {length} bytes"
        if not batch.dsync:
            os.fdatasync(plain)
        for step in batch.steps:
            durable[step.first:step.end] = [0 if step.discard else number] * step.count
        # One write to the pipe: lines of different writers do not mix.
        os.write(1, f"{writer} {number}\n".encode())


def read(device: str, writer: int, durable: Any) -> None:
    """Reads sectors at random while they are written: never a mix, never older than what was acknowledged."""
    fd = os.open(device, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, PAGE)
    rng = random.Random()
    while True:
        sector = rng.randrange(REGION_SECTORS)
        before = durable[sector]
        os.preadv(fd, [memoryview(buffer)[:SECTOR]], writer * REGION + sector * SECTOR)
        try:
            found = batch_of(buffer[:SECTOR], writer, sector)
        except ValueError as error:
            return _complain(f"reader: sector {sector} of writer {writer}: {error}")
        if found >= before:
            continue
        # Zeroes may be a discard that is not acknowledged yet: then it soon is. An old number is never right.
        deadline = time.monotonic() + 20
        while found == 0 and durable[sector] == before and time.monotonic() < deadline:
            time.sleep(0.01)
        if found or durable[sector] == before:
            return _complain(
                f"reader: sector {sector} of writer {writer} is of batch {found}, acknowledged was {before}"
            )


def _complain(text: str) -> None:
    os.write(1, f"error {text}\n".encode())


def run_writers(device: str, seed: str) -> int:
    """All writers, and a reader for two of them; ends only with the machine, or when one of them fails."""
    processes = []
    for writer in range(WRITERS):
        durable = RawArray("I", REGION_SECTORS)
        processes.append(Process(target=write, args=(device, seed, writer, durable)))
        if writer % 2 == 0:
            processes.append(Process(target=read, args=(device, writer, durable)))
    for process in processes:
        process.start()
    while all(process.is_alive() for process in processes):
        time.sleep(0.2)
    _complain("a writer or reader ended")
    return 1


# ---- verify -----------------------------------------------------------------------------------


def _numbers_found(data: bytes, writer: int) -> list[int]:
    numbers = []
    for sector in range(REGION_SECTORS):
        try:
            numbers.append(batch_of(data[sector * SECTOR:(sector + 1) * SECTOR], writer, sector))
        except ValueError as error:
            raise SystemExit(f"sector {sector} of writer {writer}: {error}") from None
    return numbers


@dataclass(frozen=True)
class Later:
    """A batch that was not acknowledged: it may be there in part, page by page."""

    number: int
    step: Step

    @property
    def value(self) -> int:
        """What a sector says when this is there."""
        return 0 if self.step.discard else self.number


def verify_writer(data: bytes, seed: str, writer: int, acked: int) -> tuple[int, int]:
    """Compare a region with what must and what may be there. Returns the last batch found, and how many
    sectors hold data of batches that were not acknowledged."""
    found = _numbers_found(data, writer)
    # A batch is begun when the one before it was acknowledged, whether or not the host heard of it.
    acked = max(acked, max(found) - 1)
    expected = [0] * REGION_SECTORS
    later: list[Later] = []
    for number, batch in enumerate(batches(seed, writer), 1):
        if number > acked + UNHEARD:
            break
        for step in batch.steps:
            if number <= acked:
                expected[step.first:step.end] = [0 if step.discard else number] * step.count
            elif step.discard or number == acked + 1:
                later.append(Later(number, step))
    extra = 0
    for sector, (want, have) in enumerate(zip(expected, found)):
        if have == want:
            continue
        extra += 1
        if not any(one.step.first <= sector < one.step.end and one.value == have for one in later):
            raise SystemExit(
                f"sector {sector} of writer {writer} is of batch {have}, but batch {want} was acknowledged "
                f"there (in all {acked})"
            )
    _check_whole_pages(
        found, expected, [one for one in later if one.number == acked + 1 and not one.step.discard], writer
    )
    return max(found), extra


def _check_whole_pages(found: list[int], expected: list[int], later: list[Later], writer: int) -> None:
    """A write of a whole page is there, or not: never half of it."""
    for one in later:
        first = -(-one.step.first // SECTORS_PER_PAGE) * SECTORS_PER_PAGE
        for at in range(first, one.step.end - SECTORS_PER_PAGE + 1, SECTORS_PER_PAGE):
            new = [found[at + i] == one.number for i in range(SECTORS_PER_PAGE)]
            if any(new) and not all(new):
                raise SystemExit(
                    f"the page at sector {at} of writer {writer} is half of batch {one.number}: "
                    f"{found[at:at + SECTORS_PER_PAGE]}, before {expected[at:at + SECTORS_PER_PAGE]}"
                )


def verify(device: str, seed: str, acked: list[int]) -> None:
    """Compare all regions with what was acknowledged."""
    fd = os.open(device, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, REGION)
    for writer in range(WRITERS):
        done = os.preadv(fd, [buffer], writer * REGION)
        assert done == REGION, f"read {done} of {REGION} bytes"
        last, extra = verify_writer(buffer[:], seed, writer, acked[writer])
        print(
            f"writer {writer}: {acked[writer]} batches acknowledged, {last} found, "
            f"{extra} sectors of later ones"
        )


if __name__ == "__main__":
    if sys.argv[1] == "write":
        sys.exit(run_writers(sys.argv[2], sys.argv[3]))
    verify(sys.argv[2], sys.argv[3], [int(word) for word in sys.argv[4:]])
