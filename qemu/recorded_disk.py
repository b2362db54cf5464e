# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that remembers every request in order, so that what a power cut may leave of it can be made later.

It is a network block device (NBD) that one QEMU uses over a Unix socket. A request is in the log, and
counted, before its completion is sent: what a guest was told is always covered by the count, which the
power-loss plugin puts into its record. QEMU's own blklogwrites will not do: its count may fall behind what it
completed when requests overlap.

Log: for each request that changes something or flushes, ENTRY (offset, length, type) and, for writes, the
data.
"""
from __future__ import annotations

import mmap
import socket
import struct
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from qemu.errors import UsageError
from qemu.sizes import parse_size

ENTRY = struct.Struct("<QQI4x")
READ, WRITE, DISCONNECT, FLUSH, TRIM, WRITE_ZEROES = 0, 1, 2, 3, 4, 6

_OPTION = struct.Struct(">QII")
_OPTION_REPLY = struct.Struct(">QIII")
_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_GREETING = b"NBDMAGIC" + b"IHAVEOPT" + struct.pack(">H", 3)  # fixed newstyle, no zeroes
_OPTION_MAGIC = int.from_bytes(b"IHAVEOPT", "big")
_REPLY_MAGIC = 0x3E889045565A9
_GO = 7
_ABORT = 2
_ACKNOWLEDGED = 1
_INFORMATION = 3
_UNSUPPORTED = 0x80000001
# Has flags, FLUSH, TRIM, WRITE_ZEROES. No FUA: QEMU makes a FLUSH of it.
_EXPORT_FLAGS = 1 | 4 | 32 | 64
_INVALID = 22

Read = Callable[[int], bytes]


class RecordedDisk:
    """A disk of `size`, all zeroes at first; its log and counter are files in `folder`."""

    def __init__(self, size: str, folder: Path) -> None:
        self.bytes = parse_size(size)
        if not self.bytes or self.bytes % 512:
            raise UsageError(f"A disk of {size} cannot be: give a multiple of 512 bytes above zero.")
        # Not in `folder`: the path of a socket may have some hundred bytes at most.
        self._private = tempfile.TemporaryDirectory(prefix="tiered-disk-")
        self.socket = Path(self._private.name) / "socket"
        self.log = folder / "disk.log"
        self.counter = folder / "disk.count"
        self._contents = bytearray(self.bytes)
        self._count = 0
        self.counter.write_bytes(bytes(mmap.PAGESIZE))
        with self.counter.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)
        self._file = self.log.open("wb")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> RecordedDisk:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        # Wakes an accept() that nobody answered, when QEMU never came.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._file.close()
        self._private.cleanup()

    def qemu_arguments(self) -> tuple[str, ...]:
        """What makes it the guest's next virtio disk."""
        path = str(self.socket).replace(",", ",,")
        return ("-drive", f"if=none,id=recorded,format=raw,file.driver=nbd,file.server.type=unix,"
                          f"file.server.path={path},cache=writeback,discard=unmap,werror=report,"
                          "rerror=report",
                "-device", "virtio-blk-pci,drive=recorded,serial=recorded")

    # ---- the protocol -------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as stream:
            if _negotiate(connection, stream.read, self.bytes):
                while self._answer_one(connection, stream.read):
                    pass

    def _answer_one(self, connection: socket.socket, read: Read) -> bool:
        head = read(_REQUEST.size)
        if len(head) < _REQUEST.size:
            return False
        _, _, kind, handle, offset, length = _REQUEST.unpack(head)
        if kind == DISCONNECT:
            return False
        data = read(length) if kind == WRITE else b""
        known = kind in (READ, WRITE, FLUSH, TRIM, WRITE_ZEROES)
        inside = kind == FLUSH or offset + length <= self.bytes
        if not known or not inside or (kind == WRITE and len(data) < length):
            return _send(connection, _REPLY.pack(0x67446698, _INVALID, handle))
        answer = self._do(kind, offset, length, data)
        return _send(connection, _REPLY.pack(0x67446698, 0, handle) + answer)

    def _do(self, kind: int, offset: int, length: int, data: bytes) -> bytes:
        if kind == READ:
            return bytes(self._contents[offset:offset + length])
        if kind == WRITE:
            self._contents[offset:offset + length] = data
        elif kind in (TRIM, WRITE_ZEROES):
            self._contents[offset:offset + length] = bytes(length)
        entry = ENTRY.pack(offset, length, kind)
        self._file.write(entry + data)
        self._count += 1
        self._shared[:8] = self._count.to_bytes(8, "little")
        return b""


def _send(connection: socket.socket, data: bytes) -> bool:
    try:
        connection.sendall(data)
    except OSError:
        return False  # QEMU is gone
    return True


def _negotiate(connection: socket.socket, read: Read, size: int) -> bool:
    """Agree with the client on the one export there is; False when it went away."""
    if not _send(connection, _GREETING) or len(read(4)) < 4:
        return False
    while len(head := read(_OPTION.size)) == _OPTION.size:
        magic, option, length = _OPTION.unpack(head)
        read(length)
        if magic != _OPTION_MAGIC or option == _ABORT:
            return False
        if option == _GO:
            information = struct.pack(">HQH", 0, size, _EXPORT_FLAGS)
            return (_send(connection, _option_reply(option, _INFORMATION, information))
                    and _send(connection, _option_reply(option, _ACKNOWLEDGED)))
        if not _send(connection, _option_reply(option, _UNSUPPORTED)):
            return False
    return False


def _option_reply(option: int, kind: int, data: bytes = b"") -> bytes:
    return _OPTION_REPLY.pack(_REPLY_MAGIC, option, kind, len(data)) + data
