# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a kernel's own module lists: which modules there are, and what each needs loaded before it."""
from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from images.host import Problem, run, say

# Commands that replace files with their decompressed content, by the files' ending.
UNPACKERS = {".xz": ("xz", "-d"), ".zst": ("zstd", "-d", "-q", "--rm"), ".gz": ("gzip", "-d")}


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


def make_plain(folder: Path) -> None:
    """Decompress all modules of a kernel: an emulated processor is slow at it, and so is depmod."""
    for ending, unpacker in UNPACKERS.items():
        packed = list(map(str, folder.rglob(f"*.ko{ending}")))
        if packed:
            say(f"decompressing {len(packed)} modules")
        batches = [packed[start:start + 500] for start in range(0, len(packed), 500)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda batch: run([*unpacker, *batch]), batches))
