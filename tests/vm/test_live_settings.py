# SPDX-License-Identifier: GPL-2.0-or-later
"""What is changed while a volume is in use: its options and its size; what is refused changes nothing."""
from __future__ import annotations

import json
import signal

import pytest
from qemu import VM

from tests.harness import lower, memory, volume
from tests.harness.refusal import refused
from tests.harness.volume import MIB, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="300M")
SECTORS = 2048  # in a MiB


def _record(vm: VM) -> str:
    """What the machine remembers of where the newest contents are."""
    return str(json.loads(vm.run("cat /var/lib/tiered/*").stdout)["homes"])


def _size_mib(v: Volume) -> int:
    return int(v.vm.run(f"blockdev --getsize64 {v.path}").stdout) // MIB


@MACHINE
def test_options_change_at_once_or_not_at_all(vm: VM) -> None:
    v = volume.make(vm)
    listed = {o["name"]: o for o in json.loads(vm.run("tierctl set v0 --json").stdout)}
    assert [o["value"] for o in listed.values()] == [o["default"] for o in listed.values()]
    assert "1 to 95 percent" in vm.run("tierctl set v0").stdout
    vm.run(f"mkfs.ext4 -q {v.path} && mount {v.path} /mnt/test && echo kept > /mnt/test/x")
    said = vm.run("tierctl set v0 dirty_high=30 dirty_low=10 admission=all").stdout
    assert said.splitlines() == ["admission: small -> all", "dirty_high: 60 -> 30", "dirty_low: 40 -> 10"]
    table = v.table()
    assert table.endswith(" 6 admission all dirty_high 30 dirty_low 10"), table
    for arguments, words in {
        "dirty_high=10": "dirty_low would be 10 and dirty_high 10.*change both",
        "admission=none dirty_high=96": "dirty_high cannot be '96'; give 1 to 95 percent",
        "admission=some": "admission cannot be 'some'; give small, all, none or thrifty",
        "latency_target_us=-1": "cannot be '-1'",
        "writethrough=maybe": "yes or no",
        "colour=blue": "no option 'colour'.*there are admission, dirty_high",
        "dirty_high": "sets nothing; write it as OPTION=VALUE",
    }.items():
        refused(vm, f"tierctl set v0 {arguments}", words)
        assert v.table() == table, arguments
    answer = json.loads(vm.run("tierctl set v0 --json dirty_low=default dirty_high=default").stdout)
    assert (answer["before"]["dirty_low"], answer["after"]["dirty_low"]) == ("10", "40")
    assert "already" in vm.run("tierctl set v0 admission=all").stdout
    vm.run("grep kept /mnt/test/x && umount /mnt/test")
    refused(vm, "tierctl set v1 admission=all", "'v1' is not open; open it with: tierctl open v1")


@MACHINE
def test_record_follows_writethrough(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"dd if=/dev/urandom of={v.path} bs=4K count=100 oflag=direct status=none")
    assert _record(vm) == "in_use"
    vm.run("tierctl set v0 writethrough=yes && tierctl flush v0")
    assert "writethrough" in v.table() and _record(vm) == "writethrough"
    vm.run("tierctl set v0 writethrough=no")
    assert "writethrough" not in v.table() and _record(vm) == "in_use"


@MACHINE
def test_lost_page_keeps_the_disk_from_being_called_whole(vm: VM) -> None:
    v = Volume(vm).format()
    lower.leave_dirty(v, 9)
    with memory.healed_after(vm):
        memory.spoil(v, memory.places(v)[5].data)
        v.open()
        v.wait_for("frames_lost", 1)
        said = vm.run("tierctl set v0 writethrough=yes").stdout
        assert "1 pages are lost, so that the disk alone does not have everything" in said, said
        vm.run("tierctl flush v0")
        assert v.counters()["frames_dirty"] == 0 and _record(vm) == "in_use"
        vm.run(f"dd if=/dev/urandom of={v.path} bs=4K seek=5 count=1 oflag=direct status=none")
        vm.run("tierctl flush v0")
        assert _record(vm) == "writethrough"
        v.close()


@MACHINE
def test_interrupted_change_leaves_the_old_options(vm: VM) -> None:
    below = lower.below(Volume(vm))
    v = Volume(vm, capacity=below.path).format().open(f"--capacity {below.path}")
    before = v.table()
    below.hold()
    reader = vm.spawn(f"exec dd if={v.path} of=/dev/null bs=1M count=1 iflag=direct status=none")
    under_way = f"awk '{{exit $9 == 0}}' /sys/dev/block/$(stat -L -c %Hr:%Lr {v.path})/stat"
    vm.run(f"until {under_way}; do sleep 0.1; done")
    change = vm.spawn("exec tierctl set v0 admission=none")
    vm.run("until grep -q dm_suspend /proc/$(pgrep -x tierctl)/stack; do sleep 0.1; done")
    change.signal(signal.SIGINT)
    assert change.wait(60).status != 0
    below.work()
    assert reader.wait(60).status == 0
    assert v.table() == before and v.state() == "rw"
    vm.run("tierctl set v0 admission=none")
    assert v.table().endswith("2 admission none")
    v.close()
    below.remove()


@MACHINE
def test_volume_grows_into_its_disk(vm: VM) -> None:
    below = lower.below(Volume(vm), 64 * SECTORS)
    v = Volume(vm, capacity=below.path).format().open(f"--capacity {below.path}")
    v.set_options("dirty_high 50")
    vm.run(f"mkfs.ext4 -q {v.path} && mount {v.path} /mnt/test && echo kept > /mnt/test/x")
    assert "64.0 MiB already" in vm.run("tierctl resize v0").stdout
    below.hold()
    vm.run(f"dmsetup load lower --table '0 {128 * SECTORS} linear {below.disk} 0' && dmsetup resume lower")
    for arguments, words in {
        "--size 32M": "has 64.0 MiB and cannot shrink to 32.0 MiB: pages beyond the new end",
        "--size 1G": "has 128.0 MiB, less than the 1.0 GiB that were asked for",
        "--size 100000001": "no whole sectors; give a multiple of 512",
    }.items():
        refused(vm, f"tierctl resize v0 {arguments}", words)
    assert _size_mib(v) == 64
    vm.run("tierctl resize v0 --size 96M")
    assert _size_mib(v) == 96
    vm.run("tierctl resize v0 && resize2fs /dev/mapper/v0")
    assert _size_mib(v) == 128 and v.table().endswith("2 dirty_high 50")
    assert json.loads(vm.run("cat /var/lib/tiered/*").stdout)["volume_sectors"] == 128 * SECTORS
    vm.run("grep kept /mnt/test/x && umount /mnt/test")
    vm.run(f"dd if=/dev/urandom of={v.path} bs=1M seek=127 count=1 oflag=direct status=none")
    v.close()
    vm.run(f"tierctl check --fast {v.fast} --capacity {below.path} --verify-clean")
    below.remove()


@MACHINE
def test_refusal_at_the_resume_leaves_the_volume_at_work(vm: VM) -> None:
    below = lower.below(Volume(vm), 64 * SECTORS)
    with memory.healed_after(vm):
        v = Volume(vm, capacity=below.path).format()
        # The second superblock: the new length has to stand in both.
        memory.spoil(v, 8, count=8)
        v.open(f"--capacity {below.path}")
        v.set_options("dirty_high 50")
        below.hold()
        table = f"0 {128 * SECTORS} linear {below.disk} 0"
        vm.run(f"dmsetup load lower --table '{table}' && dmsetup resume lower")
        refused(vm, "tierctl resize v0", "stays as large as it is: .*second superblock cannot be written")
        assert _size_mib(v) == 64 and v.table().endswith("2 dirty_high 50")
        vm.run(f"dd if=/dev/urandom of={v.path} bs=1M seek=32 count=1 oflag=direct status=none")
        v.close()
    below.remove()


@MACHINE
def test_volume_whose_fast_tier_is_gone_is_not_touched(vm: VM) -> None:
    v = volume.make(vm)
    memory.unbind(vm)
    for back in (False, True):
        if back:
            memory.bind(vm)
        for change in ("set v0 admission=all", "set v0 writethrough=yes"):
            refused(vm, f"tierctl {change}", "is gone, and nothing can be changed without it")
        vm.run(f"timeout 60 dd if={v.path} of=/dev/null bs=1M skip=32 count=1 iflag=direct status=none")
        assert v.state() == "degraded"
    v.close()
