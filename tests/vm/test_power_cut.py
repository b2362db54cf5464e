# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine is killed at random times; nothing that was acknowledged is lost.

A kill keeps every store that was done: this shows the order of the protocol and the replay, not missing
flushes.
"""
from __future__ import annotations

import random
import time
from dataclasses import dataclass

import pytest
from qemu import VM, Running

from tests.harness import acks, fio, lower, volume
from tests.harness.settings import Settings
from tests.harness.volume import Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
FLUSH_LOOP = "while dmsetup message v0 0 flush; do sleep 0.05; done"


@dataclass(frozen=True)
class Load:
    """What else goes on when the machine is killed."""

    flushing: bool = False  # the message flush again and again: kills fall into write-back
    reading: bool = False  # cold reads: kills fall into fills and evictions
    slow: bool = False  # a slow disk: write-back and bypassing writes are under way most of the time


LOADS = {
    "writes": Load(),
    "flush": Load(flushing=True, slow=True),
    "eviction": Load(reading=True),
    "everything": Load(flushing=True, reading=True, slow=True),
}


def _throttle(vm: VM, iops: int) -> None:
    vm.monitor(
        "block_set_io_throttle", device="disk0", bps=0, bps_rd=0, bps_wr=0, iops=iops, iops_rd=0, iops_wr=0
    )


def _start(vm: VM, load: Load) -> list[Running]:
    others = []
    if load.slow:
        _throttle(vm, 400)
    if load.flushing:
        others.append(vm.spawn(FLUSH_LOOP))
    if load.reading:
        others.append(
            fio.start(
                vm,
                "/dev/mapper/v0",
                rw="randread",
                bs="4k",
                iodepth=4,
                offset="48M",
                size="48M",
                time_based=True,
                runtime=600,
            )
        )
    return others


def _kill_and_verify(vm: VM, v: Volume, rng: random.Random, load: Load) -> int:
    """One round; returns how many batches were acknowledged."""
    seed = f"{rng.randrange(1 << 40)}"
    vm.run(f"blkdiscard -l {acks.REGIONS} {v.path}")
    writers = vm.spawn(f"python3 /root/tests/acks.py write {v.path} {seed}")
    acks.await_first(vm, writers)
    others = _start(vm, load)
    time.sleep(rng.uniform(0.1, 2.5))
    for other in others:
        assert other.poll() is None, f"the load ended: {other.wait(1)}"
    volume.power_cut(vm)
    acked = acks.acknowledged(acks.lines_of(writers))
    v.check(0, 1)
    v.open()
    vm.run(f"python3 /root/tests/acks.py verify {v.path} {seed} {' '.join(map(str, acked))}", timeout=60)
    return sum(acked)


@MACHINE
@pytest.mark.limit(90)
@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS.keys())
def test_nothing_acknowledged_is_lost(vm: VM, rng: random.Random, settings: Settings, load: Load) -> None:
    v = volume.make(vm)
    acknowledged = [_kill_and_verify(vm, v, rng, load) for _ in range(settings.amount(1, 20))]
    assert all(count >= acks.WRITERS for count in acknowledged), acknowledged
    v.close()
    v.check()


@MACHINE
@pytest.mark.limit(90)
def test_synced_files_survive(vm: VM, rng: random.Random, settings: Settings) -> None:
    v = volume.make(vm)
    for _ in range(settings.amount(1, 20)):
        seed = f"{rng.randrange(1 << 40)}"
        vm.run(f"mkfs.ext4 -q -F {v.path} && mount {v.path} /mnt/test")
        writer = vm.spawn(f"python3 /root/tests/files.py write /mnt/test {seed}")
        acks.await_first(vm, writer)
        time.sleep(rng.uniform(0.5, 3))
        volume.power_cut(vm)
        lines = acks.lines_of(writer)
        v.check(0, 1)
        v.open()
        vm.run(
            f"mount {v.path} /mnt/test && python3 /root/tests/files.py verify /mnt/test {seed} {lines[-1]}"
        )
        vm.run(f"umount /mnt/test && e2fsck -fn {v.path}")
    v.close()
    v.check()


@MACHINE
def test_discarded_data_stays_away(vm: VM, rng: random.Random) -> None:
    v = Volume(vm).format()
    lower.leave_dirty(v, 2048)
    v.open()
    first = rng.randrange(0, 2048) * 4096
    vm.run(f"blkdiscard -o {first} -l 4M {v.path}")
    volume.power_cut(vm)
    v.open()
    vm.run(f"cmp -n {4 << 20} -i {first}:0 {v.path} /dev/zero")
    v.flush()
    v.close()
    vm.run(f"cmp -n {4 << 20} -i {first}:0 {v.capacity} /dev/zero")
