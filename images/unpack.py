# SPDX-License-Identifier: GPL-2.0-or-later
"""Unpacks packages into a tree without running anything of theirs."""
from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from images.host import Problem, say

MERGED = ("bin", "lib", "lib64", "sbin")


def unpack(archives: Sequence[Path], root: Path) -> None:
    """Unpack archives one over the other. The links of a merged /usr come first, or packages that still
    put files into /bin would make folders of them."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        link = root / name
        if not link.is_symlink():
            link.symlink_to(f"usr/{name}")
    for number, archive in enumerate(archives, start=1):
        if archive.stat().st_size > 20 << 20 or (number % 25 == 0 and sys.stderr.isatty()):
            say(f"unpacking {number}/{len(archives)}: {archive.name}")
        _extract(archive, root)


def _extract(archive: Path, root: Path) -> None:
    """Like dpkg-deb -x, which would replace those links by folders."""
    command = ["tar", "-x", "-p", "--no-same-owner", "--keep-directory-symlink", "--warning=no-timestamp",
               "-C", str(root)]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE,
                          close_fds=False) as package:
        done = subprocess.run(command, stdin=package.stdout, check=False, close_fds=False)
    if package.returncode != 0 or done.returncode != 0:
        raise Problem(f"The package {archive} could not be unpacked: remove it and run this again.")
