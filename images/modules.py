# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a kernel's own module lists: which modules there are, and what each needs loaded before it."""
from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from images.host import Problem

# Decompressors by the ending of a module's file: the small loader of the initrd takes plain modules only.
UNPACKERS = {".xz": ["xz", "-dc"], ".zst": ["zstd", "-dcq"], ".gz": ["gzip", "-dc"]}


def name_of(path: str) -> str:
    """The module's name for the path of its file."""
    return Path(path).name.partition(".ko")[0].replace("-", "_")


def needs(folder: Path, wanted: Iterable[str]) -> dict[str, list[str]]:
    """The files of modules `wanted` and of those that they need, each with its own needs as in modules.dep.

    The lists of the guest's kernel are read directly: modprobe would consult the host's configuration
    and skip what the host's kernel has built in.
    """
    known: dict[str, list[str]] = {}
    for line in (folder / "modules.dep").read_text(encoding="utf-8").splitlines():
        path, _, before = line.partition(":")
        known[path] = before.split()
    paths = {name_of(path): path for path in known}
    builtin = set(map(name_of, (folder / "modules.builtin").read_text(encoding="utf-8").splitlines()))
    found: dict[str, list[str]] = {}
    for name in wanted:
        if name in paths:
            for path in [paths[name], *known[paths[name]]]:
                found[path] = known[path]
        elif name not in builtin:
            raise Problem(f"The kernel in {folder} has no module {name}, which a guest needs: "
                          "take another kernel.")
    return found


def plain_name(path: str) -> str:
    """The path of a module once it is decompressed."""
    return path.partition(".ko")[0] + ".ko"


def read_plain(path: Path) -> bytes:
    """A module's content, decompressed."""
    unpacker = UNPACKERS.get(path.suffix)
    if unpacker is None:
        return path.read_bytes()
    return subprocess.run([*unpacker, str(path)], check=True, stdout=subprocess.PIPE).stdout
