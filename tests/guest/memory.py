# SPDX-License-Identifier: GPL-2.0-or-later
"""The volume as memory, from programs, beside the same volume as a block device.

    memory.py same DEVICE BLOCK_DEVICE
        the mapping shows what the block device has, all of it
    memory.py agree DEVICE BLOCK_DEVICE SEED OPERATIONS
        workers use both at once and find what they put there
    memory.py write DEVICE SEED
        stores and msync, until it is killed; prints what is durable
    memory.py verify BLOCK_DEVICE SEED ACKED...
        what was durable is there, as a block device shows it
    memory.py poke DEVICE PAGE...
        for one page after the other: store a number, and load it
    memory.py put|get DEVICE PAGE...
        for one page after the other: write it, or read what was put there, by calls
    memory.py need|touch|cool|cold DEVICE PAGES
        say that the first pages will be needed, load from them, say that they will not be needed any more, by
        advice or by ioctl
    memory.py keep DEVICE PAGES
        does that with the first pages, again and again

A page has two numbers of 8 bytes, at its beginning and at its end. Each page belongs to one worker, so that
it knows what it must find.
"""
from __future__ import annotations

import fcntl
import mmap
import os
import random
import struct
import sys
from collections.abc import Callable, Iterator

PAGE = 4096
SECTOR = 512
NUMBER = 8
ENDS = (0, PAGE - NUMBER)
WORKERS = 8
WRITERS = 4
WRITER_PAGES = 512
BLKDISCARD = 0x1277
# driver/core/ioctl.h
TIERED_IOC_COLD, TIERED_IOC_DISCARD = 0x4010e701, 0x4010e702


def mapped(device: str) -> mmap.mmap:
    """All whole pages of a volume as memory."""
    fd = os.open(device, os.O_RDWR)
    memory = mmap.mmap(fd, os.lseek(fd, 0, os.SEEK_END), mmap.MAP_SHARED)
    os.close(fd)
    return memory


def number_at(data: mmap.mmap, at: int) -> int:
    """The number at a byte offset."""
    return int.from_bytes(data[at:at + NUMBER], "little")


def put_number(data: mmap.mmap, at: int, number: int) -> None:
    """Store it."""
    data[at:at + NUMBER] = number.to_bytes(NUMBER, "little")


class Worker:
    """Uses its pages as memory and as blocks, and knows what is in them."""

    def __init__(self, device: str, block_device: str, seed: str, number: int) -> None:
        self.memory = mapped(device)
        self.fd = os.open(block_device, os.O_RDWR | os.O_DIRECT)
        self.file = os.open(device, os.O_RDWR)
        self.buffer = mmap.mmap(-1, PAGE)
        self.rng = random.Random(f"{seed}-{number}")
        pages = len(self.memory) // PAGE
        # Many pages, of which some are used much: they are stored to while others make them go home or leave.
        self.pages = [page for page in range(number, pages, WORKERS)]
        self.hot = self.rng.sample(self.pages, 40)
        self.known: dict[int, list[int]] = {}
        self.last = 0

    def page(self) -> int:
        return self.rng.choice(self.hot if self.rng.random() < 0.4 else self.pages)

    def _expect(self, page: int, have: list[int], how: str) -> None:
        want = self.known.get(page, [0, 0])
        if have != want:
            raise SystemExit(f"page {page} has {have} {how}, but {want} was put there")

    def load(self, page: int) -> None:
        self._expect(page, [number_at(self.memory, page * PAGE + at) for at in ENDS], "in memory")

    def store(self, page: int) -> None:
        self.last += 1
        end = self.rng.randrange(2)
        put_number(self.memory, page * PAGE + ENDS[end], self.last)
        self.known.setdefault(page, [0, 0])[end] = self.last

    def read(self, page: int) -> None:
        os.preadv(self.fd, [self.buffer], page * PAGE)
        self._expect(page, [number_at(self.buffer, at) for at in ENDS], "as a block")

    def write(self, page: int) -> None:
        self.last += 1
        for at in ENDS:
            put_number(self.buffer, at, self.last)
        os.pwritev(self.fd, [self.buffer], page * PAGE)
        self.known[page] = [self.last, self.last]

    def write_sector(self, page: int) -> None:
        self.last += 1
        put_number(self.buffer, 0, self.last)
        os.pwritev(self.fd, [memoryview(self.buffer)[:SECTOR]], page * PAGE)
        self.known.setdefault(page, [0, 0])[0] = self.last

    def discard(self, page: int) -> None:
        fcntl.ioctl(self.fd, BLKDISCARD, struct.pack("QQ", page * PAGE, PAGE))
        self.known.pop(page, None)

    def sync(self, page: int) -> None:
        self.memory.flush(page * PAGE, PAGE)

    def call_read(self, page: int) -> None:
        os.preadv(self.file, [self.buffer], page * PAGE)
        self._expect(page, [number_at(self.buffer, at) for at in ENDS], "by read()")

    def call_write(self, page: int) -> None:
        self.last += 1
        for at in ENDS:
            put_number(self.buffer, at, self.last)
        os.pwritev(self.file, [self.buffer], page * PAGE)
        self.known[page] = [self.last, self.last]

    def call_write_part(self, page: int) -> None:
        self.last += 1
        end = self.rng.randrange(2)
        os.pwrite(self.file, self.last.to_bytes(NUMBER, "little"), page * PAGE + ENDS[end])
        self.known.setdefault(page, [0, 0])[end] = self.last

    def call_with_a_mapping(self, page: int) -> None:
        """The buffer is the page itself, and another page: the kernel has to touch it for the call."""
        other = self.page()
        with memoryview(self.memory) as view:
            for call in (os.pwritev, os.preadv):
                call(self.file, [view[page * PAGE:(page + 1) * PAGE]], page * PAGE)
            os.pwritev(self.file, [view[other * PAGE:(other + 1) * PAGE]], page * PAGE)
        self.known[page] = list(self.known.get(other, [0, 0]))

    def cool(self, page: int) -> None:
        fcntl.ioctl(self.file, TIERED_IOC_COLD, struct.pack("QQ", page * PAGE, PAGE))

    def call_discard(self, page: int) -> None:
        fcntl.ioctl(self.file, TIERED_IOC_DISCARD, struct.pack("QQ", page * PAGE, PAGE))
        self.known.pop(page, None)

    def fork(self, page: int) -> None:
        """A child sees what its parent has stored, and stores what its parent sees."""
        child = os.fork()
        if not child:
            try:
                self.load(page)
                self.store(page)
                os._exit(0)
            except SystemExit as error:
                print(error, file=sys.stderr, flush=True)
                os._exit(1)
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"a child of the one who has page {page} failed")
        # The generator is in the state in which the child got it: this is the child's store once more.
        self.store(page)
        self.load(page)

    def run(self, operations: int) -> None:
        kinds = {self.store: 30, self.load: 25, self.read: 15, self.write: 10, self.write_sector: 8,
                 self.sync: 8, self.discard: 2, self.fork: 1, self.call_read: 12, self.call_write: 6,
                 self.call_write_part: 12, self.call_with_a_mapping: 6, self.cool: 4, self.call_discard: 1}
        for operation in self.rng.choices(list(kinds), list(kinds.values()), k=operations):
            operation(self.page())
        for page in self.known:
            self.load(page)
            self.read(page)
            self.call_read(page)


def _same(device: str, block_device: str) -> None:
    memory = mapped(device)
    fd = os.open(block_device, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, 16 * PAGE)
    for at in range(0, len(memory), len(buffer)):
        done = os.preadv(fd, [buffer], at)
        if memory[at:at + done] != buffer[:done]:
            raise SystemExit(f"the mapping and {block_device} differ between bytes {at} and {at + done}")
    print(f"{len(memory)} bytes are the same")


def _in_children(count: int, work: Callable[[int], None]) -> None:
    children = []
    for number in range(count):
        child = os.fork()
        if not child:
            work(number)
            os._exit(0)
        children.append(child)
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if failed:
        raise SystemExit(f"{len(failed)} of {count} workers failed")


def _agree(device: str, block_device: str, seed: str, operations: str) -> None:
    def work(number: int) -> None:
        try:
            Worker(device, block_device, seed, number).run(int(operations))
        except SystemExit as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)

    _in_children(WORKERS, work)
    print(f"{WORKERS} workers agree")


def batches(seed: str, writer: int) -> Iterator[list[int]]:
    """The pages that each batch of a writer stores to, from batch 1 on."""
    rng = random.Random(f"{seed}-{writer}")
    while True:
        yield [writer * WRITER_PAGES + rng.randrange(WRITER_PAGES) for _ in range(rng.randint(1, 6))]


def _write(device: str, seed: str) -> None:
    def work(writer: int) -> None:
        memory = mapped(device)
        for number, pages in enumerate(batches(seed, writer), 1):
            for page in pages:
                for at in ENDS:
                    put_number(memory, page * PAGE + at, number)
            for page in pages:
                memory.flush(page * PAGE, PAGE)
            os.write(1, f"{writer} {number}\n".encode())

    _in_children(WRITERS, work)


def _verify(block_device: str, seed: str, *acked: str) -> None:
    fd = os.open(block_device, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, WRITER_PAGES * PAGE)
    for writer, durable in enumerate(map(int, acked)):
        os.preadv(fd, [buffer], writer * WRITER_PAGES * PAGE)
        least = dict.fromkeys(range(WRITER_PAGES), 0)
        for number, pages in zip(range(1, durable + 1), batches(seed, writer)):
            for page in pages:
                least[page - writer * WRITER_PAGES] = number
        for page, want in least.items():
            have = [number_at(buffer, page * PAGE + at) for at in ENDS]
            if min(have) < want:
                raise SystemExit(
                    f"page {page} of writer {writer} has {have}, but {want} was durable (of {durable})"
                )
        print(f"writer {writer}: {durable} batches durable")


def _poke(device: str, *pages: str) -> None:
    memory = mapped(device)
    for page in map(int, pages):
        put_number(memory, page * PAGE, page + 1)
        assert number_at(memory, page * PAGE) == page + 1
        print(page, flush=True)


def _put(device: str, *pages: str) -> None:
    fd = os.open(device, os.O_RDWR)
    for page in map(int, pages):
        assert os.pwrite(fd, (page + 1).to_bytes(NUMBER, "little") * (PAGE // NUMBER), page * PAGE) == PAGE


def _get(device: str, *pages: str) -> None:
    fd = os.open(device, os.O_RDONLY)
    for page in map(int, pages):
        have = os.pread(fd, PAGE, page * PAGE)
        assert have == (page + 1).to_bytes(NUMBER, "little") * (PAGE // NUMBER), (page, have[:NUMBER])


def _need(device: str, pages: str) -> None:
    mapped(device).madvise(mmap.MADV_WILLNEED, 0, int(pages) * PAGE)


def _touch(device: str, pages: str) -> None:
    memory = mapped(device)
    for page in range(int(pages)):
        number_at(memory, page * PAGE)


def _cool(device: str, pages: str) -> None:
    fd = os.open(device, os.O_RDWR)
    os.posix_fadvise(fd, 0, int(pages) * PAGE, os.POSIX_FADV_DONTNEED)


def _cold(device: str, pages: str) -> None:
    fd = os.open(device, os.O_RDONLY)
    fcntl.ioctl(fd, TIERED_IOC_COLD, struct.pack("QQ", 0, int(pages) * PAGE))


def _keep(device: str, pages: str) -> None:
    memory = mapped(device)
    while True:
        for page in range(int(pages)):
            put_number(memory, page * PAGE, page + 1)
            number_at(memory, page * PAGE)
        print("round", flush=True)


if __name__ == "__main__":
    COMMANDS: dict[str, Callable[..., None]] = {
        "same": _same, "agree": _agree, "write": _write, "verify": _verify, "poke": _poke, "put": _put,
        "get": _get, "keep": _keep, "need": _need, "touch": _touch, "cool": _cool, "cold": _cold,
    }
    COMMANDS[sys.argv[1]](*sys.argv[2:])
