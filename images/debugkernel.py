# SPDX-License-Identifier: GPL-2.0-or-later
"""The debug kernel, built from the distribution's kernel source package with debug.config."""
from __future__ import annotations

import os
import re
import subprocess
from collections import deque
from pathlib import Path

from images import unpack
from images.apt import Apt
from images.distribution import Distribution, KernelSource, fields
from images.host import Problem, cache_dir, digest, make_directory, remove_tree, run, say

CONFIG = Path(__file__).with_name("debug.config")
RECIPE = 1
STEPS = 2500


def recipe() -> str:
    """Changes with what is asked of the kernel."""
    return digest(RECIPE, CONFIG.read_text(encoding="utf-8"))


def candidate(host: Distribution, source: KernelSource) -> tuple[str, str]:
    """Package and version of the newest source."""
    apt = Apt(host, source.suites)
    apt.update()
    return source.source, fields(apt.show(source.source)).get("Version", "")


def build(host: Distribution, source: KernelSource, root: Path) -> dict[str, str]:
    """Build the kernel and put into `root` what booting it and building modules for it takes.

    The work is done in a folder that stays when a run is killed, so that the next one goes on there.
    """
    _, version = candidate(host, source)
    work = cache_dir() / "work" / f"debug-{digest(version, recipe())}"
    make_directory(work / "source", version, lambda path: _fetch(host, source, path))
    tree = next((work / "source").glob("linux-source-*"))
    _configure(tree)
    say("building the debug kernel: some 16 minutes of processor time")
    _make(tree)
    release = run(["make", "-C", tree, "-s", "kernelrelease"]).strip()
    run(["make", "-C", tree, "-s", "modules_install", f"INSTALL_MOD_PATH={root}/usr", "DEPMOD=true"])
    (root / "boot").mkdir()
    run(["cp", tree / "arch/x86/boot/bzImage", root / "boot" / f"vmlinuz-{release}"])
    place = root / "usr/src" / f"linux-headers-{release}"
    _keep_headers(tree, place)
    (root / "lib").symlink_to("usr/lib")
    run(["depmod", "-b", root, release])
    remove_tree(work)
    return {"release": release, "version": version, "build": str(place.relative_to(root)),
            "vmlinuz": f"boot/vmlinuz-{release}"}


def _fetch(host: Distribution, source: KernelSource, path: Path) -> dict[str, str]:
    apt = Apt(host, source.suites)
    archives = apt.fetch([source.source])
    unpack.unpack(archives, path)
    archive = next((path / "usr/src").glob(f"{source.source}.tar.*"))
    say("unpacking the kernel's source")
    run(["tar", "-x", "--no-same-owner", "-f", archive, "-C", path])
    remove_tree(path / "usr")
    for package in archives:
        package.unlink()
    return {}


def _configure(tree: Path) -> None:
    """Configure the source, and see that nothing that was asked for got lost on the way."""
    run(["make", "-C", tree, "-s", f"KCONFIG_ALLCONFIG={CONFIG}", "allnoconfig"])
    asked = re.findall(r"(?m)^CONFIG_\w+=.*$", CONFIG.read_text(encoding="utf-8"))
    got = set((tree / ".config").read_text(encoding="utf-8").splitlines())
    lost = [line for line in asked if line not in got]
    if lost:
        raise Problem(f"This kernel source cannot be built as asked: correct {' '.join(lost)} in {CONFIG}.")


def _make(tree: Path) -> None:
    """Build, and tell now and then how far it is. It yields to all else on the machine."""
    command = ["nice", "-n", "19", "make", "-C", str(tree), f"-j{os.cpu_count() or 1}",
               "KBUILD_BUILD_USER=images", "KBUILD_BUILD_HOST=build"]
    tail: deque[str] = deque(maxlen=40)
    with subprocess.Popen([*command, "bzImage", "modules"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          close_fds=False) as process:
        assert process.stdout is not None
        for number, line in enumerate(process.stdout, start=1):
            tail.append(line)
            if number % 300 == 0:
                say(f"{number} of some {STEPS} steps: {line.strip()}")
    if process.returncode != 0:
        raise Problem("The debug kernel does not build; its last lines were:\n" + "".join(tail))


def _keep_headers(tree: Path, place: Path) -> None:
    """Keep of a built tree what modules are built with."""
    place.mkdir(parents=True)
    for name in ("Makefile", ".config", "Module.symvers", "scripts", "include"):
        run(["cp", "-a", tree / name, place / name])
    (place / "arch/x86").mkdir(parents=True)
    for path in (tree / "arch/x86").glob("Makefile*"):
        run(["cp", "-a", path, place / "arch/x86" / path.name])
    run(["cp", "-a", tree / "arch/x86/include", place / "arch/x86/include"])
    (place / "tools/objtool").mkdir(parents=True)
    run(["cp", "-a", tree / "tools/objtool/objtool", place / "tools/objtool/objtool"])
