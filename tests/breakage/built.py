# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the module or the command of a copy of the sources that has one fault in it."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import images
from images import kernels, module
from images.host import digest, fingerprint

from tests.breakage.faults import CHECKOUT, Fault, broken

BUILD = CHECKOUT / "build" / "breakage"
TREE = BUILD / "tree"
CXX_ENDINGS = (".cpp", ".hpp", ".txt")
FOLDERS = ("driver", "userspace", "qemu/powercut", "qemu/profile", "tests/bench/memory", "tests/powercut")


class Problem(Exception):
    """A fault that cannot be built."""


def _sources() -> list[Path]:
    return [path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*") if path.is_file()]


def _prepare(fault: Fault) -> None:
    """Make the copy what the checkout is, but for the fault. What is the same is not built again."""
    wanted = set()
    for source in _sources():
        name = source.relative_to(CHECKOUT)
        contents = source.read_bytes()
        if str(name) == fault.file:
            contents = broken(contents.decode(), fault).encode()
        copy = TREE / name
        wanted.add(copy)
        if copy.is_file() and copy.read_bytes() == contents:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(contents)
        copy.chmod(source.stat().st_mode & 0o777)
    for path in TREE.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()


def _module(kernel: str) -> Path:
    # The definition only gives the faulty modules a folder of their own.
    return module.build(kernels.get(kernel), defines=("TIERED_BREAKAGE=1",), source=TREE / "driver")


def _tierctl(log: Path) -> Path:
    folder = BUILD / "userspace"
    options = ["-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DTIERED_UNIT_TESTS=OFF", "-DTIERED_MODEL=OFF"]
    with log.open("wb") as sink:
        for words in (["cmake", "-S", str(TREE / "userspace"), "-B", str(folder), *options],
                      ["cmake", "--build", str(folder), f"-j{os.cpu_count() or 1}", "--target", "tierctl"]):
            if subprocess.run(words, stdout=sink, stderr=sink, check=False).returncode:
                raise Problem(f"the broken tierctl does not build: see {log}")
    return folder / "tierctl"


def _key(fault: Fault, kernel: str) -> str:
    """Of all that the result depends on."""
    files = module.sources(CHECKOUT / "driver")
    if not fault.in_driver:
        files += sorted(path for path in (CHECKOUT / "userspace").rglob("*") if path.suffix in CXX_ENDINGS)
    return digest(kernel, fault.file, fault.find, fault.replacement, fingerprint(files))


def build(fault: Fault, kernel: str) -> Path:
    """The module or the command with the fault, without debug sections. Problem when it does not build."""
    built = BUILD / "built"
    built.mkdir(parents=True, exist_ok=True)
    target, stamp = built / fault.name, built / f"{fault.name}.key"
    key = _key(fault, kernel)
    if target.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == key:
        return target
    stamp.unlink(missing_ok=True)
    _prepare(fault)
    try:
        result = _module(kernel) if fault.in_driver else _tierctl(built / f"{fault.name}.log")
    except images.Problem as problem:
        raise Problem(str(problem)) from None
    shutil.copy(result, target)
    subprocess.run(["strip", "--strip-debug", str(target)], check=True)
    stamp.write_text(key, encoding="utf-8")
    return target
