# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine with systemd and udev: volumes are opened when it boots, their devices shown to nobody else."""
from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from qemu import VM, Spec, parse_disk, parse_nvdimm

from tests.harness import manual
from tests.harness.settings import Settings
from tests.harness.volume import Volume

FAST = "16M"
DISKS = ("96M", "64M")
# How long devices that are meant to be missing are waited for; a mount by itself would wait 90 seconds.
PATIENCE_SECONDS = 3


@contextmanager
def _machine(settings: Settings, state: Path, fast: bool = True) -> Iterator[VM]:
    """A boot on what the boots before it left."""
    spec = Spec(kernel=settings.kernel, accel=settings.accel, init="systemd", state=state,
                nvdimms=(parse_nvdimm(FAST),) if fast else (), disks=tuple(map(parse_disk, DISKS)))
    with VM(spec, settings.logs / "systemd") as vm:
        yield vm


def _configure(vm: VM, name: str, text: str, mount: str = "") -> None:
    vm.run(f"mkdir -p /etc/tiered.d /srv/{name}; cat > /etc/tiered.d/{name}.conf", input=text.encode())
    if mount:
        vm.run(f"echo '{mount}' >> /etc/fstab")


def _properties(vm: VM, device: str) -> dict[str, str]:
    lines = vm.run(f"udevadm settle && udevadm info --query=property {device}").stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)


def _journal(vm: VM, unit: str) -> str:
    return vm.run(f"journalctl -b -o cat -u {unit}").stdout


@pytest.mark.usefixtures("alone")
@pytest.mark.limit(400)
def test_volume_is_mounted_at_the_second_boot(settings: Settings, tmp_path: Path) -> None:
    with _machine(settings, tmp_path) as vm:
        v = Volume(vm, name="my-data").format().open()
        vm.run(f"mkfs.ext4 -q -L wares {v.path}")
        uuid = vm.run(f"blkid -p -o value -s UUID {v.path}").stdout.strip()
        _configure(vm, "my-data", "# The shop's.\nname = my-data\nopen = boot\nwait = 60\n",
                   f"{v.path} /srv/my-data ext4 defaults 0 2")
        _members_are_hidden(vm, v, uuid)
        vm.run(f"mount {v.path} /srv/my-data && cp /bin/busybox /srv/my-data/")
        vm.run("ls -l /run/systemd/generator; systemctl daemon-reload")
        # Closed by the machine's own way down.
    with _machine(settings, tmp_path) as vm:
        assert vm.run("systemctl is-system-running --wait", check=False).stdout.strip() == "running", \
            vm.run("systemctl list-units --failed; journalctl -b -p warning").stdout
        v = Volume(vm, name="my-data")
        vm.run("cmp /bin/busybox /srv/my-data/busybox && mountpoint /srv/my-data")
        assert v.state() == "rw"
        _members_are_hidden(vm, v, uuid)
        assert vm.run("readlink -f /dev/disk/by-label/wares").stdout == vm.run(f"readlink -f {v.path}").stdout
        commands = manual.operations()["boot"].replace("tiered@data", "'tiered@my\\x2ddata'")
        vm.run(f"set -e\n{commands}")
        found = vm.run(f"findfs UUID={uuid}").stdout
        assert vm.run(f"readlink -f {found}").stdout == vm.run(f"readlink -f {v.path}").stdout
        vm.run("touch /srv/my-data/second")
        assert '"homes": "in_use"' in vm.run("cat /var/lib/tiered/*.json").stdout
    with _machine(settings, tmp_path) as vm:
        vm.run("test -e /srv/my-data/second")
        vm.run("systemctl stop srv-my\\\\x2ddata.mount 'tiered@my\\x2ddata.service'")
        assert vm.run("cat /var/lib/tiered/*.json").stdout.count('"homes": "in_use"') == 0
        vm.run("tierctl check my-data --verify-clean", timeout=120)
        _members_are_hidden(vm, v, uuid)
        vm.run("echo EVALUATE=udev > /etc/blkid.conf")
        assert vm.run(f"findfs UUID={uuid}", check=False).status, "nobody mounts the disk by its UUID"


def _members_are_hidden(vm: VM, volume: Volume, uuid: str) -> None:
    for device in (volume.capacity, volume.fast):
        shown = _properties(vm, device)
        assert shown["SYSTEMD_READY"] == "0" and shown["UDISKS_IGNORE"] == "1", shown
        assert shown["ID_FS_TYPE"] == "tiered_member" and "ID_FS_UUID" not in shown, shown
        assert shown["TIERED_VOLUME"] == volume.name
    links = _properties(vm, volume.capacity)["DEVLINKS"].split()
    assert any("/by-id/" in link for link in links), "there is a name left for it"
    assert not [link for link in links if "/by-uuid/" in link or "/by-label/" in link], links
    assert vm.run(f"lsblk -dno UUID {volume.capacity}").stdout.strip() == ""
    other = _properties(vm, "/dev/vdb")
    assert "TIERED_MEMBER" not in other and "SYSTEMD_READY" not in other, other


@pytest.mark.usefixtures("alone")
@pytest.mark.limit(300)
def test_missing_fast_tier_holds_up_no_boot(settings: Settings, tmp_path: Path) -> None:
    with _machine(settings, tmp_path) as vm:
        v = Volume(vm).format().open()
        vm.run(f"mkfs.ext4 -q {v.path}")
        v.flush()  # or the disk alone might lack pages, and would rightly not be opened
        _configure(vm, "v0", f"name = v0\nwait = {PATIENCE_SECONDS}\n",
                   f"{v.path} /srv/v0 ext4 nofail 0 2")
        _configure(vm, "broken", "name = other\nopen = perhaps\n")
    with _machine(settings, tmp_path, fast=False) as vm:
        running = vm.run("systemctl is-system-running --wait", check=False).stdout.strip()
        assert running == "degraded", running  # up, and it says that something is missing
        said = _journal(vm, "tiered@v0.service")
        assert "the fast tier of the volume 'v0' (/dev/pmem0) is missing" in said, said
        assert vm.run("findmnt /srv/v0", check=False).status == 1
        # The mount did not wait for its device until that's time was up: it failed with the volume.
        mount = vm.run("systemctl show -p Result -p SubState srv-v0.mount").stdout
        assert "SubState=dead" in mount, mount
        assert "Dependency failed" in vm.run("journalctl -b -o cat").stdout
        log = vm.run("journalctl -b -o cat; dmesg").stdout
        assert "broken.conf, line 2: 'open' cannot be 'perhaps'" in log
        _alone_where_that_is_allowed(vm)


def _alone_where_that_is_allowed(vm: VM) -> None:
    """The volume was closed whole by the way down, so its disk may serve alone."""
    _configure(vm, "v0", f"name = v0\nwait = {PATIENCE_SECONDS}\noptions = without_fast read_only\n")
    began = time.monotonic()
    result = vm.run("tierctl open --all", check=False)
    assert time.monotonic() - began >= PATIENCE_SECONDS
    assert result.status == 1 and "perhaps" in result.stderr, result.stderr
    assert Volume(vm).state() == "degraded"
    vm.run("tierctl close --all; ! test -e /dev/mapper/v0")


@pytest.mark.usefixtures("alone")
@pytest.mark.limit(200)
def test_records_stay_true_when_dmsetup_opens(settings: Settings, tmp_path: Path) -> None:
    with _machine(settings, tmp_path) as vm:
        v = Volume(vm).format()
        record = "cat /var/lib/tiered/*.json"
        assert '"homes": "whole"' in vm.run(record).stdout
        vm.run(f"dmsetup create v0 --table '0 {96 * 2048} tiered {v.fast} 1 {v.capacity}'")
        assert '"homes": "in_use"' in vm.run(record).stdout
        assert "is the disk of the volume 'v0', which is open" in vm.run("tierctl recognise /dev/vda").stdout
        vm.run("dmsetup remove v0")
        v.open("--writethrough")
        vm.run("dmsetup suspend v0 && dmsetup resume v0 && udevadm settle")
        assert '"homes": "writethrough"' in vm.run(record).stdout
        v.close()
        result = vm.run("tierctl recognise /dev/vdb", check=False)
        assert result.status == 1 and "belongs to no volume" in result.stderr
        _mapped_disk_is_hidden(vm)
        _adopted_disk_is_hidden(vm)
        v.format("--force")
        vm.run("rm /var/lib/tiered/*")
        vm.run(f"dmsetup create v0 --table '0 {96 * 2048} tiered {v.fast} 1 {v.capacity}'")
        assert '"homes": "in_use"' in vm.run(record).stdout
        vm.run("tierctl close --all")
        assert '"homes": "whole"' in vm.run(record).stdout


def _mapped_disk_is_hidden(vm: VM) -> None:
    """As long as it belongs to a volume."""
    vm.run("mkfs.ext4 -q /dev/vdb && dmsetup create lower -u TEST-one --table '0 131072 linear /dev/vdb 0'")
    assert "ID_FS_UUID" in _properties(vm, "/dev/mapper/lower")
    vm.run("tierctl format v2 --fast /dev/pmem0 /dev/mapper/lower --adopt --force")
    for command in ("true", "dmsetup suspend lower && dmsetup resume lower", "tierctl open v2"):
        vm.run(command)
        shown = _properties(vm, "/dev/mapper/lower")
        assert shown["TIERED_VOLUME"] == "v2" and shown["SYSTEMD_READY"] == "0", f"{command}: {shown}"
        assert "ID_FS_UUID" not in shown and shown["DM_UDEV_DISABLE_DISK_RULES_FLAG"] == "1", shown
    assert "ID_FS_UUID" in _properties(vm, "/dev/mapper/v2")
    vm.run("tierctl detach v2")
    shown = _properties(vm, "/dev/mapper/lower")
    assert "TIERED_MEMBER" not in shown and "ID_FS_UUID" in shown, shown
    vm.run("dmsetup remove lower")


def _adopted_disk_is_hidden(vm: VM) -> None:
    """Although nothing was written to it; and the disk of the volume that was there before is free again."""
    vm.run("mkfs.ext4 -q -L adopted /dev/vdb && udevadm settle && test -e /dev/disk/by-label/adopted")
    vm.run("tierctl format v1 --fast /dev/pmem0 /dev/vdb --adopt --force")
    assert _properties(vm, "/dev/vdb")["TIERED_VOLUME"] == "v1"
    vm.run("! test -e /dev/disk/by-label/adopted")
    vm.run("udevadm trigger --settle /dev/vda")
    assert "TIERED_MEMBER" not in _properties(vm, "/dev/vda")
