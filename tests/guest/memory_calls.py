# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of the kernel on a volume that is memory: each does what is documented, or ends with that errno.

    memory_calls.py ends DEVICE PAGES
        reads, writes and seeks at the end of a volume of so many whole pages
    memory_calls.py halfway DEVICE
        the user's memory ends before the call does
    memory_calls.py requests DEVICE
        ioctls with every kind of range
    memory_calls.py refusals DEVICE BLOCK_DEVICE
        what a mapping cannot be used for
    memory_calls.py debug DEVICE
        a debugger reads and writes mappings of its child
    memory_calls.py debug-suspended DEVICE NAME
        the same while the volume is suspended
    memory_calls.py core DEVICE
        what the core dump of a program with a mapping has
    memory_calls.py gone DEVICE ERRNO
        prints a line; for each further one that it reads, every call ends with the error of that name
"""
from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Callable

from memory import (  # type: ignore[import]
    NUMBER, PAGE, TIERED_IOC_COLD, TIERED_IOC_DISCARD, mapped, number_at, put_number,
)

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
for name in ("pread", "pwrite"):
    getattr(LIBC, name).restype = ctypes.c_ssize_t
    getattr(LIBC, name).argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long)
LIBC.process_vm_readv.restype = ctypes.c_ssize_t
LIBC.ptrace.restype = ctypes.c_long
LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
SYS_FUTEX = 202
FUTEX_WAKE, FUTEX_WAKE_PRIVATE = 1, 129
MADV_POPULATE_READ, MADV_DODUMP = 22, 17
PTRACE_PEEKDATA, PTRACE_ATTACH, PTRACE_DETACH = 2, 16, 17
CORE = "/tmp/core"


def expect(wanted: int, what: str, call: Callable[..., object], *arguments: object) -> None:
    """The call fails with this errno."""
    try:
        result = call(*arguments)
    except OSError as error:
        assert error.errno == wanted, f"{what}: {errno.errorcode[error.errno or 0]}"
        return
    raise AssertionError(f"{what}: went well ({result!r}), and {errno.errorcode[wanted]} was to come")


def libc(function: str, *arguments: object) -> int:
    """Call the C library; its errors are raised. A number that is not a ctypes object is an int of C."""
    result: int = getattr(LIBC, function)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def address_of(memory: mmap.mmap, at: int = 0) -> int:
    """Where it is mapped."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory, at))


def _ends(device: str, pages: str) -> None:
    fd, end = os.open(device, os.O_RDWR), int(pages) * PAGE
    assert os.lseek(fd, 0, os.SEEK_END) == end
    assert os.read(fd, 1) == b""
    expect(errno.ENOSPC, "write at the end", os.write, fd, b"x")
    assert os.lseek(fd, -6, os.SEEK_END) == end - 6
    assert os.write(fd, b"0123456789") == 6
    assert os.pread(fd, 100, end - 8)[2:] == b"012345"
    assert os.lseek(fd, 0, os.SEEK_CUR) == end
    assert os.pread(fd, PAGE, end + PAGE) == b""
    assert os.pwrite(fd, b"", end + PAGE) == 0
    expect(errno.ENOSPC, "write beyond the end", os.pwrite, fd, b"x", end + PAGE)
    expect(errno.EINVAL, "seek beyond the end", os.lseek, fd, end + 1, os.SEEK_SET)
    expect(errno.EINVAL, "seek for data", os.lseek, fd, 0, os.SEEK_DATA)
    # Across pages, at any place.
    for at in (1, PAGE - 3, 3 * PAGE - 1):
        data = os.urandom(2 * PAGE + 5)
        assert os.pwrite(fd, data, at) == len(data) and os.pread(fd, len(data), at) == data, at
    with_sync = os.open(device, os.O_RDWR | os.O_SYNC)
    assert os.pwrite(with_sync, b"synced", PAGE) == 6 and os.pread(fd, 6, PAGE) == b"synced"
    os.fdatasync(with_sync)
    to_read = os.open(device, os.O_RDONLY)
    expect(errno.EBADF, "write without permission", os.pwrite, to_read, b"x", 0)
    to_append = os.open(device, os.O_RDWR | os.O_APPEND)
    assert os.write(to_append, b"front") == 5 and os.pread(fd, 5, 0) == b"front"


def _halfway(device: str) -> None:
    fd = os.open(device, os.O_RDWR)
    anywhere = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    base = LIBC.mmap(None, ctypes.c_size_t(2 * PAGE), 3, anywhere, -1, ctypes.c_long(0))
    LIBC.munmap(ctypes.c_void_p(base + PAGE), ctypes.c_size_t(PAGE))
    os.pwrite(fd, b"." * 4 * PAGE, 0)
    ctypes.memset(base, ord("w"), PAGE)
    assert libc("pwrite", fd, base, 2 * PAGE, 100) == PAGE
    assert os.pread(fd, PAGE + 200, 0) == b"." * 100 + b"w" * PAGE + b"." * 100
    expect(errno.EFAULT, "write from nowhere", libc, "pwrite", fd, base + PAGE, PAGE, 0)
    assert os.pread(fd, 100, 0) == b"." * 100
    ctypes.memset(base, 0, PAGE)
    assert libc("pread", fd, base, 2 * PAGE, 100) == PAGE
    assert ctypes.string_at(base, PAGE) == b"w" * PAGE
    expect(errno.EFAULT, "read to nowhere", libc, "pread", fd, base + PAGE, PAGE, 0)


def request(fd: int, number: int, offset: int, length: int) -> None:
    """An ioctl for a range."""
    fcntl.ioctl(fd, number, struct.pack("QQ", offset, length))


def _requests(device: str) -> None:
    fd, to_read = os.open(device, os.O_RDWR), os.open(device, os.O_RDONLY)
    size, top = os.lseek(fd, 0, os.SEEK_END), 1 << 64
    bad = {
        "of no length": (0, 0), "of no length at the end": (size, 0), "misaligned": (512, PAGE),
        "of part of a page": (0, PAGE - 512), "beyond the end": (size, PAGE),
        "across the end": (size - PAGE, 2 * PAGE), "of more than all": (0, size + PAGE),
        "from the top": (top - PAGE, PAGE), "over the top": (top - PAGE, 2 * PAGE),
        "that wraps to a good one": (2 * PAGE, top - PAGE), "of everything there is": (0, top - PAGE),
        "of the largest number": (0, top - 1), "of a negative length": (PAGE, top - PAGE),
    }
    for number in (TIERED_IOC_COLD, TIERED_IOC_DISCARD):
        for what, (offset, length) in bad.items():
            expect(errno.EINVAL, f"range {what}", request, fd, number, offset, length)
        expect(errno.EFAULT, "range nowhere", libc, "ioctl", fd, ctypes.c_ulong(number), ctypes.c_void_p(8))
    for number in (0, 0x5401, 0x4010e700, 0x4010e703, 0x4008e701, 0x8010e702):
        expect(errno.ENOTTY, f"request {number:#x}", request, fd, number, 0, PAGE)
    expect(errno.EBADF, "discard without permission", request, to_read, TIERED_IOC_DISCARD, 0, PAGE)
    memory = mapped(device)
    for page in range(4):
        put_number(memory, page * PAGE, page + 1)
    request(fd, TIERED_IOC_DISCARD, PAGE, 2 * PAGE)
    assert [number_at(memory, page * PAGE) for page in range(4)] == [1, 0, 0, 4]
    request(to_read, TIERED_IOC_COLD, 0, size)
    assert [number_at(memory, page * PAGE) for page in range(4)] == [1, 0, 0, 4]
    request(fd, TIERED_IOC_DISCARD, 0, size)
    assert not any(memory[:64 * PAGE]) and not any(os.pread(fd, 64 * PAGE, size - 64 * PAGE))


def _refusals(device: str, block_device: str) -> None:
    fd = os.open(device, os.O_RDWR)
    memory = mapped(device)
    put_number(memory, 0, 7)
    expect(errno.EINVAL, "O_DIRECT", os.open, device, os.O_RDWR | os.O_DIRECT)
    expect(errno.EINVAL, "MAP_PRIVATE", mmap.mmap, fd, PAGE, mmap.MAP_PRIVATE)
    direct = os.open(block_device, os.O_RDWR | os.O_DIRECT)
    with memoryview(memory) as view:
        for call in (os.preadv, os.pwritev):
            expect(errno.EFAULT, "direct I/O of a mapping", call, direct, [view[:PAGE]], PAGE)
        # Through the page cache it is copied.
        buffered = os.open(block_device, os.O_RDONLY)
        assert os.preadv(buffered, [view[:PAGE]], 8 * PAGE) == PAGE
    assert number_at(memory, 0) == 0
    here = ctypes.c_void_p(address_of(memory))
    for advice in (mmap.MADV_DONTNEED, MADV_POPULATE_READ, MADV_DODUMP):
        expect(errno.EINVAL, f"advice {advice}", libc, "madvise", here, ctypes.c_size_t(PAGE), advice)
    futex = ("syscall", ctypes.c_long(SYS_FUTEX), here)
    expect(errno.EFAULT, "shared futex", libc, *futex, FUTEX_WAKE, 1, None, None, 0)
    libc(*futex, FUTEX_WAKE_PRIVATE, 1, None, None, 0)
    buffer = ctypes.create_string_buffer(8)
    local, remote = ((ctypes.c_size_t * 2)(at, 8) for at in (ctypes.addressof(buffer), address_of(memory)))
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    reading = ("process_vm_readv", os.getpid(), local, one, remote, one, none)
    expect(errno.EFAULT, "process_vm_readv", libc, *reading)


class Child:
    """A program with a mapping of the first pages, which says what a page has whenever it is asked."""

    def __init__(self, device: str, protection: int) -> None:
        self.end, theirs = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            self.end.close()
            memory = mmap.mmap(os.open(device, os.O_RDWR), 64 * PAGE, mmap.MAP_SHARED, protection)
            theirs.send(b"mapped")
            while page := theirs.recv(NUMBER):
                theirs.send(struct.pack("Q", number_at(memory, int.from_bytes(page, "little") * PAGE)))
            os._exit(0)
        theirs.close()
        assert self.end.recv(6) == b"mapped"
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as maps:
            self.start = int(next(line for line in maps if device in line).split("-")[0], 16)
        self.mem = os.open(f"/proc/{self.pid}/mem", os.O_RDWR)

    def has(self, page: int) -> int:
        """What it loads from a page."""
        self.end.send(struct.pack("Q", page))
        return int.from_bytes(self.end.recv(NUMBER), "little")

    def look(self, page: int) -> int:
        """What a debugger reads there."""
        return int.from_bytes(os.pread(self.mem, NUMBER, self.start + page * PAGE), "little")

    def poke(self, page: int, number: int) -> None:
        """What a debugger does to a variable."""
        os.pwrite(self.mem, number.to_bytes(NUMBER, "little"), self.start + page * PAGE)

    def end_it(self) -> None:
        """Let it end."""
        self.end.close()
        os.close(self.mem)
        assert os.waitpid(self.pid, 0)[1] == 0


def _debug(device: str) -> None:
    memory = mapped(device)
    put_number(memory, 0, 11)
    os.pwrite(os.open(device, os.O_RDWR), (12).to_bytes(NUMBER, "little"), PAGE)
    child = Child(device, mmap.PROT_READ | mmap.PROT_WRITE)
    # Page 2 was touched by nobody, and comes in for the debugger.
    assert [child.look(page) for page in range(3)] == [11, 12, 0]
    child.poke(0, 21)
    child.poke(2, 23)
    assert [child.has(page) for page in range(3)] == [21, 12, 23]
    assert [number_at(memory, page * PAGE) for page in range(3)] == [21, 12, 23]
    data = os.urandom(3 * PAGE)
    assert os.pwrite(child.mem, data, child.start + PAGE // 2) == len(data)
    assert os.pread(child.mem, len(data), child.start + PAGE // 2) == data == memory[PAGE // 2:][:len(data)]
    put_number(memory, 0, 31)
    libc("ptrace", PTRACE_ATTACH, child.pid, None, None)
    os.waitpid(child.pid, 0)
    assert libc("ptrace", PTRACE_PEEKDATA, child.pid, child.start, None) == 31
    libc("ptrace", PTRACE_DETACH, child.pid, None, None)
    child.end_it()
    reader = Child(device, mmap.PROT_READ)
    assert reader.look(0) == 31
    expect(errno.EIO, "a write to a mapping for reading", reader.poke, 0, 1)
    assert number_at(memory, 0) == 31
    reader.end_it()


def _debug_suspended(device: str, volume: str) -> None:
    child = Child(device, mmap.PROT_READ | mmap.PROT_WRITE)
    assert child.look(20) == child.has(20) == 0
    subprocess.run(("dmsetup", "suspend", volume), check=True)
    try:
        expect(errno.EIO, "a debugger of a suspended volume", child.look, 20)
        expect(errno.EIO, "a debugger of a suspended volume", child.poke, 20, 1)
    finally:
        subprocess.run(("dmsetup", "resume", volume), check=True)
    child.poke(20, 6)
    assert child.look(20) == child.has(20) == 6
    child.end_it()


def segments(core: bytes) -> dict[int, tuple[int, int]]:
    """Of a core dump: bytes in the file and in memory by address."""
    offset, = struct.unpack_from("<Q", core, 32)
    size, count = struct.unpack_from("<HH", core, 54)
    found = {}
    for at in range(offset, offset + size * count, size):
        address, _, in_file, in_memory = struct.unpack_from("<QQQQ", core, at + 16)
        found[address] = (in_file, in_memory)
    return found


def _core(device: str) -> None:
    with open("/proc/sys/kernel/core_pattern", "r+", encoding="ascii") as pattern:
        before = pattern.read()
        pattern.seek(0)
        pattern.write(f"{CORE}\n")
    try:
        memory, plain = mapped(device), mmap.mmap(-1, 8 * PAGE)
        put_number(memory, 0, 1)
        plain[:] = b"p" * len(plain)
        if not os.fork():
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
            os.abort()
        assert os.WCOREDUMP(os.wait()[1]), "no core was dumped"
    finally:
        with open("/proc/sys/kernel/core_pattern", "w", encoding="ascii") as pattern:
            pattern.write(before)
    with open(CORE, "rb") as file:
        core = file.read()
    os.unlink(CORE)
    assert b"p" * len(plain) in core
    assert segments(core)[address_of(memory)] == (0, len(memory))


def _gone(device: str, wanted: str) -> None:
    fd = os.open(device, os.O_RDWR)
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: os.pread(fd, PAGE, 0),
        "write": lambda: os.pwrite(fd, b"x", 0),
        "discard": lambda: request(fd, TIERED_IOC_DISCARD, 0, PAGE),
        "cold": lambda: request(fd, TIERED_IOC_COLD, 0, PAGE),
    }
    for call in calls.values():
        call()
    print("open", flush=True)
    for _ in sys.stdin:
        for what, call in calls.items():
            expect(getattr(errno, wanted), what, call)
        print("all as it was to be", flush=True)


if __name__ == "__main__":
    COMMANDS: dict[str, Callable[..., None]] = {
        "ends": _ends, "halfway": _halfway, "requests": _requests, "refusals": _refusals, "debug": _debug,
        "debug-suspended": _debug_suspended, "core": _core, "gone": _gone,
    }
    COMMANDS[sys.argv[1]](*sys.argv[2:])
