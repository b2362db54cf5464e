# SPDX-License-Identifier: GPL-2.0-or-later
"""The recorded disk, spoken to as QEMU does: contents, log, and a count that no completion runs ahead of."""
from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from qemu.errors import UsageError
from qemu.recorded_disk import ENTRY, FLUSH, READ, TRIM, WRITE, WRITE_ZEROES, RecordedDisk

SECTOR = 512
GO = 7
STRUCTURED_REPLIES = 8


class Client:
    """A client of one export."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")
        self.greeting = self._stream.read(18)
        self._socket.sendall(struct.pack(">I", 3))

    def option(self, number: int, data: bytes = b"") -> tuple[int, bytes]:
        """The type and data of the first answer to an option."""
        self._socket.sendall(b"IHAVEOPT" + struct.pack(">II", number, len(data)) + data)
        return self._option_answer()

    def _option_answer(self) -> tuple[int, bytes]:
        _, _, kind, length = struct.unpack(">QIII", self._stream.read(20))
        return kind, self._stream.read(length)

    def go(self) -> int:
        """Choose the export; its size."""
        kind, data = self.option(GO, struct.pack(">IH", 0, 0))
        assert kind == 3 and self._option_answer() == (1, b"")
        _, size, _ = struct.unpack(">HQH", data)
        return int(size)

    def request(self, kind: int, offset: int = 0, length: int = 0, data: bytes = b"") -> tuple[int, bytes]:
        """The error and data of the answer."""
        self._socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, kind, 77, offset, length) + data)
        magic, error, handle = struct.unpack(">IIQ", self._stream.read(16))
        assert (magic, handle) == (0x67446698, 77)
        return error, self._stream.read(length) if kind == READ and not error else b""

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._socket.close()


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Iterator[RecordedDisk]:
    with RecordedDisk("1M", tmp_path) as disk:
        yield disk


@pytest.fixture(name="client")
def _client(disk: RecordedDisk) -> Iterator[Client]:
    client = Client(disk.socket)
    assert client.go() == 1 << 20
    yield client
    client.close()


def count(disk: RecordedDisk) -> int:
    return int.from_bytes(disk.counter.read_bytes()[:8], "little")


def test_options_it_does_not_know_are_declined(disk: RecordedDisk) -> None:
    client = Client(disk.socket)
    assert client.greeting.startswith(b"NBDMAGICIHAVEOPT")
    assert client.option(STRUCTURED_REPLIES) == (0x80000001, b"")
    assert client.go() == 1 << 20
    client.close()


def test_what_is_written_is_read(client: Client) -> None:
    assert client.request(READ, 0, SECTOR) == (0, bytes(SECTOR))
    client.request(WRITE, SECTOR, 2 * SECTOR, b"a" * 2 * SECTOR)
    client.request(WRITE_ZEROES, 2 * SECTOR, SECTOR)
    assert client.request(READ, 0, 4 * SECTOR) == (0, bytes(SECTOR) + b"a" * SECTOR + bytes(2 * SECTOR))


def test_a_request_is_counted_before_it_is_completed(disk: RecordedDisk, client: Client) -> None:
    for number in range(1, 50):
        client.request(WRITE, 0, SECTOR, b"x" * SECTOR)
        assert count(disk) == number
    client.request(READ, 0, SECTOR)
    assert count(disk) == 49


def test_beyond_the_end_and_unknown_requests_are_errors(disk: RecordedDisk, client: Client) -> None:
    assert client.request(WRITE, (1 << 20) - SECTOR, 2 * SECTOR, bytes(2 * SECTOR))[0] == 22
    assert client.request(READ, 1 << 20, SECTOR)[0] == 22
    assert client.request(99)[0] == 22
    assert client.request(READ, 0, SECTOR)[0] == 0
    assert count(disk) == 0


def test_the_log_has_every_request_in_order(tmp_path: Path) -> None:
    with RecordedDisk("1M", tmp_path) as disk:
        client = Client(disk.socket)
        client.go()
        client.request(WRITE, 4096, SECTOR, b"a" * SECTOR)
        client.request(FLUSH)
        client.request(TRIM, 0, 4096)
        client.close()
    log = disk.log.read_bytes()
    size = ENTRY.size
    assert ENTRY.unpack_from(log) == (4096, SECTOR, WRITE)
    assert log[size:size + SECTOR] == b"a" * SECTOR
    assert ENTRY.unpack_from(log, size + SECTOR) == (0, 0, FLUSH)
    assert ENTRY.unpack_from(log, 2 * size + SECTOR) == (0, 4096, TRIM)
    assert len(log) == 3 * size + SECTOR


def test_a_long_folder_is_no_trouble(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with RecordedDisk("1M", folder) as disk:
        client = Client(disk.socket)
        assert client.go() == 1 << 20
        client.close()


def test_it_ends_when_nobody_came(tmp_path: Path) -> None:
    with RecordedDisk("1M", tmp_path) as disk:
        pass
    assert not disk.socket.exists()


@pytest.mark.parametrize("size", ["0", "1000"])
def test_sizes_that_cannot_be(size: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="multiple of 512"):
        RecordedDisk(size, tmp_path)
