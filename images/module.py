# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the driver's module, or another, against a kernel, outside of its folder."""
from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from images.host import (BUILD, CHECKOUT, Problem, digest, fingerprint, locked, read_stamp, run, say,
                         write_file)
from images.kernels import Kernel

MODULE = "dm-tiered"
SOURCE = CHECKOUT / "driver"
SOURCE_ENDINGS = (".c", ".h", ".S", ".sh", ".mk")
BUILD_FILES = ("Kbuild", "Makefile")


def build(kernel: Kernel, *, defines: Sequence[str] = (), source: Path = SOURCE, name: str = MODULE) -> Path:
    """Build the module `name` for a kernel and return its file; nothing is done when nothing changed."""
    prefix = "" if name == MODULE else f"{name}-"
    suffix = f"-{digest(*defines)[:8]}" if defines else ""
    directory = BUILD / "module" / f"{prefix}{kernel.name}{suffix}"
    result = directory / f"{name}.ko"
    with locked(f"module-{directory.name}", BUILD):
        files = sources(source)
        key = digest(kernel.key, list(defines), fingerprint(files))
        if result.is_file() and read_stamp(directory).get("key") == key:
            return result
        say(f"building {result.name} for kernel {kernel.name}")
        _mirror(source, files, directory)
        result.unlink(missing_ok=True)
        run(_command(kernel, source, directory, defines))
        if not result.is_file():
            raise Problem(f"Building {source} for kernel {kernel.name} left no {result.name}: "
                          "check its Kbuild file.")
        write_file(directory / "stamp.json", f'{{"key": "{key}"}}\n')
    return result


def sources(folder: Path) -> list[Path]:
    """The files of a module that a build can depend on."""
    if not (folder / "Kbuild").is_file():
        raise Problem(f"There is no {folder}/Kbuild to build: is the checkout complete?")
    return sorted(path for path in folder.rglob("*")
                  if path.is_file() and (path.suffix in SOURCE_ENDINGS or path.name in BUILD_FILES))


def _mirror(folder: Path, files: Sequence[Path], directory: Path) -> None:
    """Make `directory` a tree of links to the sources, where the build can leave its objects."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = {directory / path.relative_to(folder): path for path in files}
    for present in directory.rglob("*"):
        if present.is_symlink() and present not in wanted:
            present.unlink()
    for link, path in wanted.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink() or os.readlink(link) != str(path):
            link.unlink(missing_ok=True)
            link.symlink_to(path)


def _command(kernel: Kernel, source: Path, directory: Path, defines: Sequence[str]) -> list[str]:
    build = Path("/") / kernel.build.relative_to(kernel.root) if kernel.toolroot else kernel.build
    words = ["make", "-C", str(build), f"M={directory}", f"-j{min(os.cpu_count() or 1, 8)}",
             # Debian's headers ask for pahole to make BTF of modules; nothing here reads it.
             "CONFIG_DEBUG_INFO_BTF_MODULES="]
    if defines:
        words.append("KCFLAGS=" + " ".join(f"-D{define}" for define in defines))
    words.append("modules")
    return _inside(kernel, (source, directory), words) if kernel.toolroot else words


def _inside(kernel: Kernel, folders: Sequence[Path], words: Sequence[str]) -> list[str]:
    """The command that runs `words` in the kernel's own root with `folders` in their places. The mounts are
    in a namespace of their own, so they are gone when it ends, however it ends."""
    script = ["set -e", f"cd {shlex.quote(str(kernel.root))}", "mkdir -p proc dev",
              "mount -t proc proc proc", "mount --rbind /dev dev"]
    for folder in folders:
        here, there = shlex.quote(str(folder)), shlex.quote("." + str(folder))
        script.append(f"mkdir -p {there}; mount --bind {here} {there}")
    script.append(f"exec chroot . {shlex.join(words)}")
    return ["unshare", "--mount", "sh", "-c", "\n".join(script)]
