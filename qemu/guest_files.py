# SPDX-License-Identifier: GPL-2.0-or-later
"""What a VM boots from: kernel, root image, and an initrd put together for this very machine."""
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import images
from images import guest as guest_images
from images import kernels
from images.cpio import Archive
from images.variants import VARIANTS

from qemu import bzimage
from qemu.errors import UsageError, VMError
from qemu.made_file import made
from qemu.spec import Spec

HERE = Path(__file__).resolve().parent
GUEST = HERE / "guest"
BUILD = images.BUILD / "qemu"
MODULES = images.BUILD / "module"
AGENT_UNIT = "tiered-agent.service"
COMPILE = ("-std=c++20", "-O2", "-static", "-s")


@dataclass(frozen=True)
class BootFiles:
    """What does not depend on the single machine."""
    kernel: Path
    root: Path
    initrds: tuple[Path, ...]
    release: str
    version: str
    symbols: Path | None
    module: Path | None


def image_of(kernel: kernels.Kernel, init: str = "agent") -> Path | None:
    """A kernel's root image when it has been made."""
    path = guest_images.image_folder(kernel, init) / "root.squashfs"
    return path if path.exists() else None


def prepare(spec: Spec) -> BootFiles:
    """Fetch and build what `spec` boots from; fast when all is there."""
    if spec.kernel not in kernels.names():
        raise UsageError(f"--kernel {spec.kernel} is not known: give one of {', '.join(kernels.names())}.")
    kernel = kernels.get(spec.kernel)
    base = guest_images.base(kernel, spec.init)
    overlay = guest_images.overlay(kernel, spec.init)
    return BootFiles(bzimage.bootable(kernel.vmlinuz, images.cache_dir() / "vmlinux"), base.root,
                     (base.initrd, overlay), kernel.release, kernel.version,
                     _existing(kernel.build / "vmlinux"), _existing(MODULES / kernel.name / "dm-tiered.ko"))


def _existing(path: Path) -> Path | None:
    return path if path.exists() else None


def agent() -> Path:
    """The agent, compiled when its source changed. Static: it must not depend on the guest's libraries."""
    source = GUEST / "agent.cpp"
    compiler = os.environ.get("CXX", "g++")
    key = hashlib.sha256(source.read_bytes() + " ".join((compiler, *COMPILE)).encode()).hexdigest()[:16]
    target = BUILD / f"agent-{key}"
    if target.exists():
        return target
    if shutil.which(compiler) is None:
        raise VMError(f"There is no {compiler} to compile the guest's agent with: install the package g++.")
    with made(target) as own:
        done = subprocess.run([compiler, *COMPILE, str(source), "-o", str(own)], stderr=subprocess.PIPE,
                              check=False, text=True)
        if done.returncode != 0:
            raise VMError(f"The guest's agent does not compile:\n{done.stderr.rstrip()}")
    return target


def configuration(spec: Spec) -> str:
    """The machine as the guest's init needs to know it: a file of shell variables."""
    sizes = " ".join(str(nvdimm.namespace) for nvdimm in spec.nvdimms)
    # Loading is a third of a boot's time under emulation, so what only a shared folder needs waits for one.
    modules = " ".join(name for name in VARIANTS[spec.init].modules
                       if spec.share or not name.startswith("9p"))
    return (f"MODULES='{modules}'\nNVDIMMS='{sizes}'\nSHARE={int(spec.share is not None)}\n"
            f"SYSTEMD={int(spec.init == 'systemd')}\n")


def write_initrd(spec: Spec, boot: BootFiles, target: Path) -> None:
    """The image's initrd and overlay, with this machine's own part appended."""
    own = Archive()
    own.copy(GUEST / "init", "init")
    own.copy(GUEST / "namespaces", "namespaces")
    own.copy(agent(), "agent")
    own.file("machine.conf", configuration(spec).encode())
    if spec.init == "systemd":
        own.copy(GUEST / AGENT_UNIT, f"overlay/etc/systemd/system/{AGENT_UNIT}")
        for reason in ("multi-user", "emergency"):
            own.link(f"overlay/etc/systemd/system/{reason}.target.wants/{AGENT_UNIT}", f"../{AGENT_UNIT}")
    with target.open("wb") as file:
        for part in boot.initrds:
            file.write(part.read_bytes())
        file.write(own.bytes())
