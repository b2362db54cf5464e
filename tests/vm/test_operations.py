# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual page of operations: each of its commands is run where it is meant to help."""
from __future__ import annotations

import re

import pytest
from qemu import VM

from tests.harness import manual, memory
from tests.harness.volume import Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks=["96M", "96M"])
MOUNT = "/srv/data"
# Those of a machine with systemd are run by test_boot.py.
ELSEWHERE = {"boot"}
HERE = {"lost", "renew", "adopt", "lacking", "failing", "replaced", "pages", "full", "slow", "pin", "upgrade"}


def _do(vm: VM, name: str) -> str:
    """Run a block of the page, each line of which has to work."""
    return vm.run(f"set -e\n{manual.operations()[name]}", timeout=120).stdout


def _mounted(vm: VM) -> Volume:
    """A volume with a file system and a file on it."""
    v = Volume(vm, name="data").format().open()
    vm.run(f"mkfs.ext4 -q {v.path} && mkdir -p {MOUNT} && mount {v.path} {MOUNT}")
    vm.run(f"cp /bin/busybox {MOUNT}/tool")
    return v


def _unmount(vm: VM, volume: Volume) -> None:
    vm.run(f"cmp /bin/busybox {MOUNT}/tool && umount {MOUNT}")
    volume.close()


def test_every_block_is_tried() -> None:
    assert set(manual.operations()) == HERE | ELSEWHERE
    assert manual.literal_blocks() == len(HERE | ELSEWHERE), "a block without a name is tried by nobody"


@MACHINE
def test_lost_fast_tier_of_a_whole_disk(vm: VM) -> None:
    v = _mounted(vm)
    vm.run(f"umount {MOUNT}")
    v.flush()
    v.close()
    memory.unbind(vm)
    assert "tool" in _do(vm, "lost")
    _do(vm, "renew")
    memory.bind(vm)
    _do(vm, "adopt")
    vm.run(f"mount {v.path} {MOUNT}")
    _unmount(vm, v)


@MACHINE
def test_lost_fast_tier_of_a_disk_that_lacks_pages(vm: VM) -> None:
    v = _mounted(vm)
    vm.run(f"umount {MOUNT} && dmsetup remove {v.name}")  # nobody closes it properly
    memory.unbind(vm)
    _do(vm, "lacking")
    memory.bind(vm)
    v.open()
    vm.run(f"mount {v.path} {MOUNT}")
    _unmount(vm, v)


@MACHINE
def test_disk_that_is_replaced(vm: VM) -> None:
    v = _mounted(vm)
    assert re.search(r"\b0 dirty.*: clean", _do(vm, "failing"))
    vm.run("dd if=/dev/vda of=/dev/vdb bs=1M oflag=direct status=none")
    vm.run("dd if=/dev/zero of=/dev/vda bs=1M count=1 oflag=direct")
    _do(vm, "replaced")
    vm.run(f"mount {v.path} {MOUNT}")
    _unmount(vm, v)


@MACHINE
def test_looking_at_a_volume_and_upgrading(vm: VM) -> None:
    v = _mounted(vm)
    assert '"frames_lost": 0' in _do(vm, "pages")
    vm.run(f"fsfreeze -f {MOUNT}")  # or the journal's next commit makes pages dirty after the flush
    assert "tiered" in _do(vm, "full") and v.counters()["frames_dirty"] == 0
    vm.run(f"fsfreeze -u {MOUNT}")
    _do(vm, "slow")
    vm.run(f"cp {MOUNT}/tool {MOUNT}/index")
    assert "100.0 %" in _do(vm, "pin")
    _do(vm, "upgrade")
    _unmount(vm, v)
