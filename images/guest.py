# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest: a read-only root image, the initrd's programs and modules, and what the checkout built."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from images import distribution, module, modules, unpack
from images.apt import Apt
from images.cpio import Archive
from images.distribution import Distribution
from images.host import (BUILD, cache_dir, digest, fingerprint, locked, make_directory, read_stamp,
                         remove_tree, run, say, write_file)
from images.kernels import Kernel

RECIPE = 1
OVERLAY_RECIPE = 3
# The modules of the initrd: those that the root image, the host's channels and the emulated devices need.
MODULES = ("virtio_pci", "virtio_scsi", "sd_mod", "squashfs", "overlay", "virtio_console", "virtio_blk",
           "virtio_rng", "9p", "9pnet_virtio", "nfit", "nd_pmem", "device_dax", "dm_mod")
DROPPED = ("usr/share/doc", "usr/share/doc-base", "usr/share/man", "usr/share/info", "usr/share/locale",
           "usr/share/lintian", "usr/share/bug", "usr/share/bash-completion", "usr/share/zsh",
           "usr/share/applications", "usr/share/pixmaps", "usr/share/icons", "usr/share/menu",
           "usr/lib/systemd", "usr/lib/udev", "etc/init.d", "etc/systemd", "etc/modprobe.d",
           "usr/lib/modprobe.d", "usr/lib/python3.11/test", "usr/lib/python3.12/test")
FOLDERS = ("dev", "proc", "sys", "run", "tmp", "mnt/share", "mnt/lower", "root", "var/tmp", "var/log",
           "var/lib", "etc")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\ndisk:x:6:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/hosts": "127.0.0.1 localhost tiered\n::1 localhost\n",
    "etc/hostname": "tiered\n",
    "etc/fstab": "",
    "etc/profile": "PS1='vm# '\n",
}
# What maintainer scripts would have linked.
LINKS = {"usr/bin/sh": "dash", "etc/mtab": "/proc/self/mounts", "usr/bin/awk": "gawk", "var/run": "/run",
         "usr/bin/vi": "busybox", "usr/bin/less": "busybox"}

# What the checkout builds for the guest, where it was built.
PROGRAMS = (BUILD / "userspace" / "tierctl", BUILD / "userspace" / "powercut" / "powercut-mark")

# The lists that modprobe reads and a further module changes.
LISTS = ("modules.dep.bin", "modules.alias.bin", "modules.softdep")


@dataclass(frozen=True)
class GuestImage:
    """The parts of a guest that do not depend on what the checkout builds."""
    root: Path
    initrd: Path


def base(kernel: Kernel) -> GuestImage:
    """The guest's root image and initrd for a kernel; made when missing."""
    host = distribution.host()
    tree = cache_dir() / "guest" / "tree"
    tree_key = digest(RECIPE, host.name, host.arch, host.guest, DROPPED, FILES, LINKS)
    directory = cache_dir() / "guest" / f"image-{kernel.name}"
    packages = make_directory(tree, tree_key, lambda path: _fill_tree(host, path))["packages"]
    key = digest(tree_key, packages, kernel.key, MODULES)
    make_directory(directory, key, lambda path: _fill_image(kernel, tree, path))
    return GuestImage(directory / "root.squashfs", directory / "initrd.cpio")


def versions() -> list[str]:
    """The newest packages of the user land, by the host's mirrors."""
    host = distribution.host()
    apt = Apt(host, host.suites)
    apt.update()
    return apt.versions(host.guest)


def refresh() -> None:
    """Forget the guest's user land when there are newer packages, so that it is made anew."""
    tree = cache_dir() / "guest" / "tree"
    if read_stamp(tree).get("packages") != digest(versions()):
        with locked("guest-tree"):
            remove_tree(tree)


def _fill_tree(host: Distribution, root: Path) -> dict[str, str]:
    apt = Apt(host, host.suites)
    apt.update()
    archives = apt.closure(host.guest)
    say(f"unpacking the guest's user land ({len(archives)} packages)")
    unpack.unpack(archives, root)
    for name in DROPPED:
        remove_tree(root / name)
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (root / name).write_text(text, encoding="utf-8")
    for name, target in LINKS.items():
        remove_tree(root / name)
        (root / name).symlink_to(target)
    for archive in archives:
        archive.unlink()
    return {"packages": digest(sorted(path.name for path in archives))}


def _fill_image(kernel: Kernel, tree: Path, directory: Path) -> dict[str, str]:
    say(f"packing the guest's root for kernel {kernel.name}")
    staging = directory / "staging"
    run(["cp", "-al", tree, staging])
    (staging / "stamp.json").unlink()
    target = staging / "usr/lib/modules" / kernel.release
    target.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "-al", kernel.modules, target])
    for name in ("build", "source", "vmlinuz", "System.map"):
        remove_tree(target / name)
    # Not compressed: an emulated processor unpacks slower than the host reads.
    run(["mksquashfs", staging, directory / "root.squashfs", "-all-root", "-noI", "-noD", "-noF", "-noX",
         "-no-xattrs", "-no-progress", "-quiet", "-mkfs-time", "0", "-all-time", "0"])
    write_file(directory / "initrd.cpio", _initrd(kernel, tree))
    remove_tree(staging)
    return {"release": kernel.release}


def _initrd(kernel: Kernel, tree: Path) -> bytes:
    """What is needed to mount the root: busybox and some modules with their lists."""
    archive = Archive()
    for name in ("dev", "proc", "sys", "root", "mnt", "tmp"):
        archive.folder(name)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    archive.copy(tree / "bin/busybox", "bin/busybox")
    archive.link("bin/sh", "busybox")
    place = f"lib/modules/{kernel.release}"
    needs = modules.needs(kernel.modules, MODULES)
    for path in needs:
        archive.copy(kernel.modules / path, f"{place}/{path}")
    lines = [" ".join([f"{path}:", *before]) + "\n" for path, before in needs.items()]
    archive.file(f"{place}/modules.dep", "".join(lines).encode())
    for name in ("modules.builtin", "modules.order"):
        archive.copy(kernel.modules / name, f"{place}/{name}")
    return archive.bytes()


def overlay(kernel: Kernel) -> Path:
    """An archive to append to the initrd, with what the checkout built: the driver's module, and those of
    PROGRAMS that are there. The initrd's init copies its /overlay over the root."""
    driver = module.build(kernel)
    programs = [path for path in PROGRAMS if path.is_file()]
    parts = [driver, *programs]
    directory = BUILD / "guest" / kernel.name
    target = directory / "overlay.cpio"
    key = digest(OVERLAY_RECIPE, kernel.key, fingerprint(parts))
    with locked(f"overlay-{digest(str(directory))}"):
        if not target.is_file() or read_stamp(directory).get("key") != key:
            scratch = directory / "scratch"
            remove_tree(scratch)
            scratch.mkdir(parents=True)
            archive = Archive()
            for program in programs:
                archive.copy(_stripped(program, scratch), f"overlay/usr/sbin/{program.name}")
            _add_module(archive, kernel, _stripped(driver, scratch), scratch)
            write_file(target, archive.bytes())
            remove_tree(scratch)
            write_file(directory / "stamp.json", f'{{"key": "{key}"}}\n')
    return target


def _stripped(path: Path, scratch: Path) -> Path:
    """A copy without debug sections: debuggers read the original on the host, the guest has little memory."""
    copy = scratch / path.name
    run(["strip", "--strip-debug", "-o", copy, path])
    return copy


def _add_module(archive: Archive, kernel: Kernel, driver: Path, scratch: Path) -> None:
    """Add the module with the kernel's module lists written anew, so that modprobe finds it."""
    target = scratch / "lib" / "modules" / kernel.release
    target.parent.mkdir(parents=True)
    run(["cp", "-as", kernel.modules, target])
    extra = target / "extra"
    extra.mkdir()
    driver.rename(extra / driver.name)
    for stale in target.glob("modules.*"):
        if stale.name not in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            stale.unlink()
    run(["depmod", "-b", scratch, kernel.release])
    place = f"overlay/usr/lib/modules/{kernel.release}"
    archive.copy(extra / driver.name, f"{place}/extra/{driver.name}")
    for name in LISTS:
        archive.copy(target / name, f"{place}/{name}")
