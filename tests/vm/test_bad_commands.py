# SPDX-License-Identifier: GPL-2.0-or-later
"""What tierctl refuses: status not 0, one plain sentence on stderr, nothing changed."""
from __future__ import annotations

import pytest
from qemu import VM

from tests.harness import lower, volume
from tests.harness.refusal import refused as _refused
from tests.harness.volume import Volume

MACHINE = pytest.mark.vm(nvdimm=["24M", "16M"], disks=["64M", "64M", "96M"])


@MACHINE
def test_format_refuses(vm: VM) -> None:
    fast = "--fast /dev/pmem0"
    for arguments, words in {
        f"{fast} /dev/nothing": "no device /dev/nothing|/dev/nothing.*no such file",
        "--fast /dev/nothing /dev/vda": "no device /dev/nothing",
        f"{fast} /dev/pmem0": "the same device",
        f"{fast} /dev/vda /dev/vdb": "this version serves one",
        "--fast /dev/vdb /dev/vda": "no persistent memory with DAX",
        f"{fast} /root": "not a block device|no block device",
    }.items():
        _refused(vm, f"tierctl format v0 {arguments}", words)
    for name in ("a/b", ".", "''", "x" * 200, "'a b'"):
        _refused(vm, f"tierctl format {name} {fast} /dev/vda", "name")
    assert (
        vm.run("cmp -n 65536 /dev/pmem0 /dev/zero", check=False).status == 0
    ), "a refused format wrote to the fast tier"
    Volume(vm).format().open()


@MACHINE
def test_format_spares_data(vm: VM) -> None:
    vm.run("mkfs.ext4 -q /dev/vda")
    _refused(vm, "tierctl format v0 --fast /dev/pmem0 /dev/vda", "ext4.*--adopt.*--force")
    vm.run("mount /dev/vda /mnt/test")
    _refused(vm, "tierctl format v0 --fast /dev/pmem0 /dev/vda --force", "mounted")
    vm.run("umount /mnt/test && mkfs.ext4 -q /dev/pmem0")
    _refused(vm, "tierctl format v0 --fast /dev/pmem0 /dev/vdb", "ext4.*--force")
    vm.run("mkswap /dev/vdb")
    _refused(vm, "tierctl format v0 --fast /dev/pmem1 /dev/vdb", "swap.*--force")
    vm.run("tierctl format v0 --fast /dev/pmem0 /dev/vda --force")
    assert vm.run("blkid /dev/vda /dev/pmem0 -p -o value -s TYPE", check=False).stdout == ""


@MACHINE
def test_format_spares_volumes(vm: VM) -> None:
    v = volume.make(vm)
    _refused(vm, "tierctl format v1 --fast /dev/pmem0 /dev/vdb --force", "/dev/pmem0.*(used|use|held|open)")
    _refused(vm, "tierctl format v1 --fast /dev/pmem1 /dev/vda --force", "/dev/vda.*(used|use|held|open)")
    _refused(vm, "tierctl format v0 --fast /dev/pmem1 /dev/vdb", "called 'v0' is on /dev/pmem0")
    v.close()
    lower.leave_dirty(v, 9)
    _refused(
        vm,
        "tierctl format v1 --fast /dev/pmem0 /dev/vdb",
        "holds the volume 'v0' .9 of its pages are dirty.*--force",
    )
    _refused(vm, "tierctl format v1 --fast /dev/pmem1 /dev/vda", "capacity disk of the volume 'v0'.*--force")
    result = vm.run("tierctl format v1 --fast /dev/pmem0 /dev/vdb --force")
    assert "9 of its pages are dirty" in result.stderr, result.stderr
    _refused(vm, "tierctl open v0", "no volume called 'v0'")


@MACHINE
def test_open_and_close_refuse(vm: VM) -> None:
    _refused(vm, "tierctl open v0", "no volume called 'v0'")
    v = Volume(vm).format()
    _refused(vm, "tierctl close v0", "not open")
    _refused(vm, "tierctl status v0", "not open")
    _refused(vm, "tierctl flush v0", "not open")
    _refused(vm, "tierctl open v0 --capacity /dev/vdc", "not the capacity disk.*196608")
    _refused(vm, "tierctl open v0 --capacity /dev/vdb", "not the capacity disk.*serial")
    v.open()
    _refused(vm, "tierctl open v0", "open already")
    vm.run(f"mkfs.ext4 -q {v.path} && mount {v.path} /mnt/test")
    _refused(vm, "tierctl close v0", "mounted on /mnt/test")
    vm.run("umount /mnt/test")
    holder = vm.spawn(f"exec sleep 1000 < {v.path}")
    vm.run("until [ $(dmsetup info -c --noheadings -o open v0) = 1 ]; do :; done")
    _refused(vm, "tierctl close v0", "held open")
    assert vm.run("dmsetup remove v0", check=False).status != 0
    assert v.state() == "rw"
    holder.signal()
    holder.wait(10)
    v.close()
    vm.run("dmsetup create v0 --table '0 8 zero'")
    _refused(vm, "tierctl open v0", "exists already")
    _refused(vm, "tierctl close v0", "no volume of dm-tiered")


@MACHINE
def test_no_rights_and_no_verb(vm: VM) -> None:
    volume.make(vm)
    for command in ("format v1 --fast /dev/pmem1 /dev/vdb", "open v0", "close v0", "flush v0"):
        _refused(vm, f"setpriv --reuid 1000 --clear-groups tierctl {command}", "root")
    for command in ("", "frobnicate v0", "open", "open v0 --colour blue"):
        result = vm.run(f"tierctl {command}", check=False)
        assert result.status != 0 and result.stderr, f"was taken: tierctl {command}"


@MACHINE
def test_check_reports(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"dd if=/dev/urandom of={v.path} bs=4K count=64 oflag=direct status=none")
    v.flush()
    v.close()
    v.check(0)
    # A clean page whose home was changed behind the volume's back.
    vm.run("dd if=/dev/urandom of=/dev/vda bs=4K count=1 oflag=direct status=none")
    v.check(1, 2)
    for arguments in (
        "v1",
        "--fast /dev/nothing --capacity /dev/vda",
        "--fast /dev/pmem1 --capacity /dev/vda",
        "--fast /dev/pmem0",
    ):
        result = vm.run(f"tierctl check {arguments}", check=False)
        assert result.status >= 2 and (result.stderr or result.stdout), f"{arguments}: {result}"
