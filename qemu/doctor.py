# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu/vm doctor: what VMs need, what was found of it, and what to do about what is missing."""
from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import images
from images import kernels

from qemu import accel, process
from qemu.errors import VMError
from qemu.guest_files import image_of
from qemu.sizes import GIB
from qemu.spec import Spec

# A VM's sparse files and the packages of one kernel fit into this.
ENOUGH = 4 * GIB


@dataclass(frozen=True)
class Finding:
    """One thing that VMs need."""
    good: bool
    text: str


def examine() -> int:
    """Print the findings; 0 when VMs can run."""
    good = True
    for finding in _findings():
        good = good and finding.good
        print(f"{'ok     ' if finding.good else 'MISSING'} {finding.text}", flush=True)
    return 0 if good else 1


def _findings() -> Iterator[Finding]:
    yield _qemu()
    yield _tool("setpriv", "util-linux")
    yield _tool(os.environ.get("CXX", "g++"), "g++")
    yield from _kernels()
    yield _kvm()
    yield _space("cache", images.cache_dir())
    yield _space("temporary files (TMPDIR)", Path(tempfile.gettempdir()))


def _qemu() -> Finding:
    name = Spec().qemu
    try:
        return Finding(True, f"QEMU {process.version(name)} ({process.find(name)})")
    except VMError as error:
        return Finding(False, f"QEMU: {error}")


def _tool(name: str, package: str) -> Finding:
    path = shutil.which(name)
    return Finding(path is not None, f"{name}: {path or f'install the package {package}'}")


def _kernels() -> Iterator[Finding]:
    for name in kernels.names():
        found = kernels.installed(name)
        if found is None:
            yield Finding(True, f"kernel {name}: not in the cache; the first VM with it fetches it, or "
                                f"'python3 -m images fetch --kernel {name}'")
            continue
        image = image_of(found)
        yield Finding(True, f"kernel {name}: {found.release} (packages {found.version}); "
                            + (f"image {image}" if image else "its image is made when a VM first needs it"))


def _kvm() -> Finding:
    if kernels.installed(Spec().kernel) is None:
        return Finding(True, f"accelerator: known when kernel {Spec().kernel} is in the cache")
    try:
        verdict = accel.verdict()
    except (VMError, images.Problem) as error:
        return Finding(False, f"accelerator: {error}")
    slower = "" if verdict.accel == "kvm" else "; VMs run emulated, about six times slower"
    return Finding(True, f"accelerator: {verdict.accel} ({verdict.reason}){slower}")


def _space(what: str, path: Path) -> Finding:
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    advice = "" if free >= ENOUGH else f"; make room: {ENOUGH // GIB} GiB should be free"
    return Finding(free >= ENOUGH, f"{what}: {free / GIB:.1f} GiB free in {existing}{advice}")
