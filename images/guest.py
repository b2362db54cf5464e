# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest: a read-only root image, the initrd's programs and modules, and what the checkout built."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from images import distribution, module, modules, unpack
from images.apt import Apt
from images.cpio import Archive
from images.distribution import Distribution
from images.host import (BUILD, CHECKOUT, cache_dir, digest, fingerprint, locked, make_directory, read_stamp,
                         remove_tree, run, say, write_file)
from images.kernels import Kernel
from images.variants import VARIANTS, Variant

RECIPE = 1
OVERLAY_RECIPE = 3
FOLDERS = ("dev", "proc", "sys", "run", "tmp", "mnt/share", "mnt/lower", "root", "var/tmp", "var/log",
           "var/lib", "etc")

# What the checkout builds for the guest, where it was built.
PROGRAMS = (BUILD / "userspace" / "tierctl", BUILD / "userspace" / "powercut" / "powercut-mark",
            BUILD / "userspace" / "memory" / "memory-probe",
            BUILD / "userspace" / "examples" / "visits", BUILD / "userspace" / "examples" / "large_map")

# What of the checkout a machine with systemd needs to open volumes when it boots.
SYSTEM = CHECKOUT / "userspace" / "system"

# The lists that modprobe reads and a further module changes.
LISTS = ("modules.dep.bin", "modules.alias.bin", "modules.softdep")


@dataclass(frozen=True)
class GuestImage:
    """The parts of a guest that do not depend on what the checkout builds."""
    root: Path
    initrd: Path


def image_folder(kernel: Kernel, init: str) -> Path:
    """Where a kernel's image lies, or would lie, for a guest with this first process."""
    return cache_dir() / "guest" / f"image-{kernel.name}{VARIANTS[init].suffix}"


def _tree(variant: Variant) -> Path:
    return cache_dir() / "guest" / f"tree{variant.suffix}"


def base(kernel: Kernel, init: str = "agent") -> GuestImage:
    """The guest's root image and initrd for a kernel and a first process; made when missing."""
    variant = VARIANTS[init]
    land = _make_tree(variant)
    directory = image_folder(kernel, init)
    key = digest(land["key"], land["packages"], kernel.key, variant.modules)
    make_directory(directory, key, lambda path: _fill_image(kernel, variant, path))
    return GuestImage(directory / "root.squashfs", directory / "initrd.cpio")


def user_land(init: str) -> Path:
    """The tree of a guest's packages; made when missing."""
    _make_tree(VARIANTS[init])
    return _tree(VARIANTS[init])


def _make_tree(variant: Variant) -> dict[str, str]:
    host = distribution.host()
    key = digest(RECIPE, host.name, host.arch, variant.packages(host), variant.dropped, variant.files,
                 variant.links)
    return make_directory(_tree(variant), key, lambda path: _fill_tree(host, variant, path))


def versions() -> list[str]:
    """The newest packages of the user land, by the host's mirrors."""
    return _versions(VARIANTS["agent"])


def _versions(variant: Variant) -> list[str]:
    host = distribution.host()
    apt = Apt(host, host.suites)
    apt.update()
    return apt.versions(variant.packages(host))


def refresh() -> None:
    """Forget the guests' user lands when there are newer packages, so that they are made anew."""
    for variant in VARIANTS.values():
        tree = _tree(variant)
        if tree.exists() and read_stamp(tree).get("packages") != digest(_versions(variant)):
            with locked(f"guest-{tree.name}"):
                remove_tree(tree)


def _fill_tree(host: Distribution, variant: Variant, root: Path) -> dict[str, str]:
    apt = Apt(host, host.suites)
    apt.update()
    archives = apt.closure(variant.packages(host))
    say(f"unpacking the guest's user land ({len(archives)} packages)")
    unpack.unpack(archives, root)
    for name in variant.dropped:
        remove_tree(root / name)
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in variant.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for name, target in variant.links.items():
        remove_tree(root / name)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    for archive in archives:
        archive.unlink()
    return {"packages": digest(sorted(path.name for path in archives))}


def _fill_image(kernel: Kernel, variant: Variant, directory: Path) -> dict[str, str]:
    say(f"packing the guest's root for kernel {kernel.name}{variant.suffix}")
    tree = _tree(variant)
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
    write_file(directory / "initrd.cpio", _initrd(kernel, variant))
    remove_tree(staging)
    return {"release": kernel.release}


def _initrd(kernel: Kernel, variant: Variant) -> bytes:
    """What is needed to mount the root: busybox and some modules with their lists."""
    tree = _tree(variant)
    archive = Archive()
    for name in ("dev", "proc", "sys", "root", "mnt", "tmp"):
        archive.folder(name)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    archive.copy(tree / "bin/busybox", "bin/busybox")
    archive.link("bin/sh", "busybox")
    place = f"lib/modules/{kernel.release}"
    needs = modules.needs(kernel.modules, variant.modules)
    for path in needs:
        archive.copy(kernel.modules / path, f"{place}/{path}")
    lines = [" ".join([f"{path}:", *before]) + "\n" for path, before in needs.items()]
    archive.file(f"{place}/modules.dep", "".join(lines).encode())
    for name in ("modules.builtin", "modules.order"):
        archive.copy(kernel.modules / name, f"{place}/{name}")
    return archive.bytes()


def overlay(kernel: Kernel, init: str = "agent") -> Path:
    """An archive to append to the initrd, with what the checkout built: the driver's module (where its source
    is, as in an installed testbed it is not), those of PROGRAMS that are there and, for systemd, what SYSTEM
    installs. The initrd's init copies its /overlay over the root."""
    variant = VARIANTS[init]
    drivers = [module.build(kernel)] if module.SOURCE.is_dir() else []
    programs = [path for path in PROGRAMS if path.is_file()]
    system = sorted(path for path in SYSTEM.rglob("*") if path.is_file()) if variant.systemd else []
    parts = [*drivers, *programs, *system]
    directory = BUILD / "guest" / f"{kernel.name}{variant.suffix}"
    target = directory / "overlay.cpio"
    key = digest(OVERLAY_RECIPE, kernel.key, fingerprint(parts))
    with locked(f"overlay-{directory.name}", BUILD):
        if not target.is_file() or read_stamp(directory).get("key") != key:
            scratch = directory / "scratch"
            remove_tree(scratch)
            scratch.mkdir(parents=True)
            archive = Archive()
            for program in programs:
                archive.copy(_stripped(program, scratch), f"overlay/usr/sbin/{program.name}")
            if system:
                _add_system(archive, scratch / "system")
            for driver in drivers:
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


def _add_system(archive: Archive, scratch: Path) -> None:
    """Add units, udev's rules and hooks of the initramfs, installed as on any machine."""
    run(["env", f"DESTDIR={scratch}", "cmake", "--install", BUILD / "userspace", "--prefix", "/usr",
         "--component", "system"])
    for path in sorted(scratch.rglob("*")):
        name = f"overlay/{path.relative_to(scratch)}"
        if path.is_symlink():
            archive.link(name, str(path.readlink()))
        elif path.is_file():
            archive.copy(path, name)


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
