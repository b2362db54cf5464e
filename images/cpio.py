# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes cpio archives in the format the kernel reads ("newc"), all owned by root and without dates."""
from __future__ import annotations

import stat
from pathlib import Path


class Archive:
    """An archive under construction; folders above an entry are added by themselves."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._known: set[str] = set()

    def _entry(self, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        path = name.encode() + b"\0"
        numbers = (len(self._blocks) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % number for number in numbers)
        self._blocks.append(_padded(header + path) + _padded(data))

    def folder(self, name: str, mode: int = 0o755) -> None:
        """Add a folder and those above it."""
        name = name.strip("/")
        if not name or name in self._known:
            return
        parent = name.rpartition("/")[0]
        self.folder(parent)
        self._known.add(name)
        self._entry(name, stat.S_IFDIR | mode, b"")

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        name = name.strip("/")
        self.folder(name.rpartition("/")[0])
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        name = name.strip("/")
        self.folder(name.rpartition("/")[0])
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, major: int, minor: int) -> None:
        """Add a character device."""
        name = name.strip("/")
        self.folder(name.rpartition("/")[0])
        self._entry(name, stat.S_IFCHR | 0o600, b"", (major, minor))

    def copy(self, source: Path, name: str) -> None:
        """Add a file of the host, executable when it is so there."""
        executable = source.stat().st_mode & 0o111
        self.file(name, source.read_bytes(), 0o755 if executable else 0o644)

    def bytes(self) -> bytes:
        """The finished archive."""
        end = Archive()
        end._entry("TRAILER!!!", 0, b"")
        whole = b"".join(self._blocks + end._blocks)
        # Archives are appended to each other at four-byte boundaries; the kernel skips zeros between them.
        return whole + bytes(-len(whole) % 512)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
