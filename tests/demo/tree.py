# SPDX-License-Identifier: GPL-2.0-or-later
"""The file tree that is copied in: headers of the kernel, with checksums taken on the host beforehand."""
from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DIGEST_BYTES = 32


@dataclass(frozen=True)
class Tree:
    """Files by their path: an archive to send, and what must come out again."""
    archive: bytes
    sums: dict[str, str]
    bytes: int


def checksum(content: bytes) -> str:
    """BLAKE2b: several times faster than SHA-256 on an emulated processor. `b2sum -l 256` prints the same."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


def _files(root: Path) -> Iterator[Path]:
    """Files that are worth copying, in a fixed order."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size > 0 and str(path).isprintable():
            yield path


def pack(root: Path, limit: int) -> Tree:
    """The first `limit` files below `root`."""
    sums: dict[str, str] = {}
    total = 0
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in _files(root):
            name, content = str(path.relative_to(root)), path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
            sums[name] = checksum(content)
            total += len(content)
            if len(sums) == limit:
                break
    return Tree(buffer.getvalue(), sums, total)


def write_manifest(tree: Tree, path: Path) -> None:
    """The checksums as `b2sum -l 256 --check` reads them."""
    path.write_text("".join(f"{digest}  {name}\n" for name, digest in tree.sums.items()), encoding="utf-8")


def read_sums(text: str) -> dict[str, str]:
    """The lines that guest/sums.py prints."""
    sums = {}
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    return sums
