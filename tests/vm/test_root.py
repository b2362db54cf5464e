# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine whose root file system is on a volume, opened by its initramfs, whichever tool made that."""
from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from images import kernels
from images.inside import run_inside
from qemu import VM, BootError, Spec, parse_disk, parse_nvdimm

from tests.harness.settings import Settings
from tests.harness.volume import Volume

DISKS = ("96M", "64M")
# How long a fast tier that is meant to be missing is waited for.
PATIENCE_SECONDS = 3
# What the disks and the line to the host need: all that there is would take longer to pack and to unpack.
MODULES = "virtio_pci virtio_blk virtio_console ext4 crc32c_generic"
# How an initramfs is made by the machine that it is for. None is compressed when it is booted: an emulated
# processor unpacks slower than the host reads. What dracut itself brings for such memory could hide a fault.
MAKERS = {
    "initramfs-tools": f"""
        echo CONFIG_RD_GZIP=y > /boot/config-$release # what the kernel can unpack: no package said so
        echo MODULES=list > /etc/initramfs-tools/conf.d/few
        printf '%s\\n' {MODULES} > /etc/initramfs-tools/modules
        mkinitramfs -c gzip -l 1 -o /tmp/initrd $release
        gzip -dc /tmp/initrd > /mnt/share/initrd
        """,
    "dracut": f"""
        dracut --quiet --kver $release --no-hostonly --drivers '{MODULES}' --no-early-microcode \\
            --omit 'bcache crypt nvdimm overlay-root qemu virtiofs' --no-compress --force /mnt/share/initrd
        """,
}
# By which a machine that cannot boot ends, and asks nobody.
ENDS = {"initramfs-tools": "panic=1", "dracut": "rd.shell=0 rd.emergency=reboot systemd.show_status=no"}
ROOT_FOLDERS = "bin sbin etc dev proc sys run tmp root usr/bin"
CONFIGURATION = {"system.conf": f"name = system\nopen = initramfs\nwait = {PATIENCE_SECONDS}\n",
                 "other.conf": "name = other\n"}
BOOTS = "/root/boots"


def _make_root(vm: VM, device: str) -> str:
    """The UUID of a root file system whose first process is the agent."""
    vm.run(f"mkfs.ext4 -q {device} && mount {device} /mnt && cd /mnt && mkdir -p {ROOT_FOLDERS} && "
           "cp /bin/busybox bin/sh && cp /sbin/tiered-agent sbin/init && cp /etc/os-release etc/ && "
           f"echo made > .{BOOTS} && cd / && umount /mnt")
    return vm.run(f"blkid -p -o value -s UUID {device}").stdout.strip()


def _make_roots(spec: Spec, log: Path, machine: Path) -> tuple[str, str]:
    """The UUIDs of one on a volume, whose disk could be booted alone, and one on a disk; what is known of the
    volume goes to the files of a machine."""
    with VM(spec, log) as vm:
        volume = Volume(vm, name="system").format().open()
        uuids = _make_root(vm, volume.path), _make_root(vm, "/dev/vdb")
        volume.flush()
        volume.close()
        name, _, record = vm.run("cd /var/lib/tiered && echo *.json && cat *.json").stdout.partition("\n")
    for folder, files in (("etc/tiered.d", CONFIGURATION), ("var/lib/tiered", {name: record})):
        (machine / folder).mkdir(parents=True)
        for file, text in files.items():
            (machine / folder / file).write_text(text, encoding="utf-8")
    return uuids


def _make_initramfs(kernel: str, maker: str, share: Path) -> set[str]:
    """share/initrd, for a machine with the files in share/machine; the names of the files in it."""
    (share / "machine").mkdir(parents=True, exist_ok=True)
    own = kernels.get(kernel)
    run_inside(own, f"set -e; release={own.release}; cp -a /mnt/share/machine/. /\n{MAKERS[maker]}", share)
    with (share / "initrd").open("rb") as image:
        listed = subprocess.check_output(["cpio", "--quiet", "-it"], stdin=image, text=True)
    return {name.removeprefix("./") for name in listed.splitlines()}


def _opens_the_volume(files: set[str]) -> None:
    assert {"usr/sbin/tierctl", "etc/tiered.d/system.conf"} <= files, files
    assert "etc/tiered.d/other.conf" not in files
    assert [name for name in files if name.endswith("/dm-tiered.ko")]


def _rooted(spec: Spec, uuid: str, share: Path, end: str) -> Spec:
    return replace(spec, append=f"root=UUID={uuid} rw init=/sbin/init {end}",
                   arguments=("-initrd", str(share / "initrd")))


def _is_the_root(device: str, vm: VM, boots: list[str]) -> None:
    """With all that the boots before this one left there, which leaves something too."""
    mounts = vm.run("while read -r device point rest; do echo $device $point; done < /proc/mounts").stdout
    assert f"{device} /" in mounts.splitlines(), mounts
    left = vm.run(f"while read -r name; do echo $name; done < {BOOTS}; echo {boots[-1]} >> {BOOTS}").stdout
    assert left.split() == boots[:-1]


def _is_missed(spec: Spec, log: Path) -> None:
    """Without its fast tier the disk, which has a file system of the same UUID, does not become the root."""
    lacking = VM(replace(spec, nvdimms=()), log)
    with pytest.raises(BootError), lacking:
        pytest.fail("the disk alone became the root")
    assert "the fast tier of the volume 'system'" in lacking.console()
    assert "must not become the root" in lacking.console()


@pytest.mark.usefixtures("alone")
@pytest.mark.limit(150)
def test_root_is_on_a_volume(settings: Settings, tmp_path: Path) -> None:
    share = tmp_path / "share"
    spec = Spec(kernel=settings.kernel, accel=settings.accel, state=tmp_path / "state",
                nvdimms=(parse_nvdimm("16M"),), disks=tuple(map(parse_disk, DISKS)))
    on_volume, on_disk = _make_roots(spec, settings.logs / "root", share / "machine")
    boots = ["made"]
    for maker, end in ENDS.items():
        _opens_the_volume(_make_initramfs(settings.kernel, maker, share))
        boots.append(maker)
        rooted = _rooted(spec, on_volume, share, end)
        with VM(rooted, settings.logs / maker) as vm:
            _is_the_root("/dev/mapper/system", vm, boots)
        _is_missed(rooted, settings.logs / f"{maker}-without")
    shutil.rmtree(share / "machine")
    for maker in ("dracut", "initramfs-tools"):
        files = _make_initramfs(settings.kernel, maker, share)
        assert not [name for name in files if "tierctl" in name or "tiered.d" in name], maker
    # initramfs-tools puts our script into it all the same.
    with VM(_rooted(spec, on_disk, share, ENDS["initramfs-tools"]), settings.logs / "disk") as vm:
        _is_the_root("/dev/vdb", vm, ["made", "disk"])
