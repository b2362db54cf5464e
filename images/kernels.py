# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels with their headers, unpacked into the cache out of distribution packages."""
from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from images import debugkernel, distribution, modules, unpack
from images.apt import Apt
from images.distribution import Distribution, KernelPackages, KernelSource
from images.host import Problem, cache_dir, digest, make_directory, read_stamp, remove_tree, run, say

# Raise this when what is made from the packages changes, so that caches are made anew.
RECIPE = 3


@dataclass(frozen=True)
class Kernel:
    """A kernel to boot and to build modules against."""
    name: str
    release: str
    version: str
    root: Path
    modules: Path
    vmlinuz: Path
    build: Path
    toolroot: bool

    @property
    def key(self) -> str:
        """Tells kernels apart that differ in anything."""
        return digest(self.name, self.release, self.version, str(self.root), RECIPE)


def names() -> list[str]:
    """The kernels that can be had on this host."""
    return [source.name for source in distribution.host().kernels]


def get(name: str, *, refresh: bool = False) -> Kernel:
    """The kernel called `name`; fetched when it is missing, or when `refresh` finds a newer one."""
    host = distribution.host()
    source = host.kernel(name)
    if source.toolroot and os.geteuid() != 0:
        raise Problem(f"Modules of kernel {name} are built in a chroot, which takes root: "
                      "run this as root, or choose another kernel.")
    directory = cache_dir() / "kernels" / name
    key = digest(RECIPE, host.name, host.arch, dataclasses.astuple(source),
                 debugkernel.recipe() if source.source else "")
    if refresh and read_stamp(directory).get("key") == key and _outdated(host, source, directory):
        remove_tree(directory)
    stamp = make_directory(directory, key, lambda path: _fill(host, source, path))
    return _kernel(source, directory, stamp)


def installed(name: str) -> Kernel | None:
    """The kernel called `name` when it is in the cache already."""
    source = distribution.host().kernel(name)
    directory = cache_dir() / "kernels" / name
    stamp = read_stamp(directory)
    return _kernel(source, directory, stamp) if stamp else None


def candidate(name: str) -> tuple[str, str]:
    """Release and version of the newest packages of kernel `name`, by the host's mirrors."""
    host = distribution.host()
    source = host.kernel(name)
    if source.source:
        return debugkernel.candidate(host, source)
    apt = Apt(host, source.suites)
    apt.update()
    found = distribution.resolve(source, apt.show)
    return found.release, found.version


def _outdated(host: Distribution, source: KernelSource, directory: Path) -> bool:
    _, version = candidate(source.name)
    if version == read_stamp(directory).get("version"):
        return False
    say(f"kernel {source.name}: {version} replaces {read_stamp(directory).get('version')}")
    return True


def _kernel(source: KernelSource, root: Path, stamp: Mapping[str, str]) -> Kernel:
    release = stamp["release"]
    return Kernel(source.name, release, stamp["version"], root, root / "usr/lib/modules" / release,
                  root / stamp["vmlinuz"], root / stamp["build"], bool(source.toolroot))


def _fill(host: Distribution, source: KernelSource, root: Path) -> dict[str, str]:
    if source.source:
        return debugkernel.build(host, source, root)
    apt = Apt(host, source.suites)
    apt.update()
    found = distribution.resolve(source, apt.show)
    say(f"kernel {source.name} is {found.release} (packages {found.version})")
    archives = apt.fetch(found.packages)
    if source.toolroot:
        say(f"fetching the build tools of kernel {source.name}")
        archives = sorted({*archives, *apt.closure(source.toolroot)})
    unpack.unpack(archives, root)
    if source.toolroot:
        # The links of maintainer scripts that make needs.
        for name, target in (("sh", "dash"), ("awk", "gawk")):
            remove_tree(root / "usr/bin" / name)
            (root / "usr/bin" / name).symlink_to(target)
    build = _headers(root, found)
    modules.make_plain(root / "usr/lib/modules" / found.release)
    run(["depmod", "-b", root, found.release])
    for archive in archives:
        archive.unlink()
    return {"release": found.release, "version": found.version, "build": str(build.relative_to(root)),
            "vmlinuz": str(_image(root, found.release).relative_to(root))}


def _image(root: Path, release: str) -> Path:
    """The bootable image, which newer packages keep beside the modules."""
    for path in (root / "boot" / f"vmlinuz-{release}", root / "usr/lib/modules" / release / "vmlinuz"):
        if path.is_file():
            return path
    raise Problem(f"The packages of kernel {release} hold no vmlinuz: "
                  "report this with the output of 'python3 -m images info'.")


def _headers(root: Path, found: KernelPackages) -> Path:
    """Make the headers work where they are: the packages name each other by absolute paths."""
    build = root / "usr/src" / f"linux-headers-{found.release}"
    makefile = build / "Makefile"
    if not makefile.is_file():
        raise Problem(f"The packages of kernel {found.release} hold no headers in {build}: "
                      "report this with the output of 'python3 -m images info'.")
    here = "$(dir $(abspath $(lastword $(MAKEFILE_LIST))))"
    text = makefile.read_text(encoding="utf-8")
    corrected = re.sub(r"(?m)^include /usr/src/", f"include {here}../", text)
    if corrected != text:
        makefile.write_text(corrected, encoding="utf-8")
    return build
