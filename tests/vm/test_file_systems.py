# SPDX-License-Identifier: GPL-2.0-or-later
"""File systems on a volume are killed under a stress load, again and again, and stay whole.

One file system goes through all kills, so that it ages. Its files are many times the fast tier.
"""
from __future__ import annotations

import random
import time
from dataclasses import dataclass

import pytest
from qemu import VM

from tests.harness import acks, volume
from tests.harness.settings import Settings
from tests.harness.volume import Volume


@dataclass(frozen=True)
class FileSystem:
    """How to make one and how to look at it, unmounted, without changing it."""

    make: str
    check: str


FILE_SYSTEMS = {
    "ext4": FileSystem("mkfs.ext4 -q -F", "e2fsck -fn"),
    "xfs": FileSystem("mkfs.xfs -q -f", "xfs_repair -n"),
}


def _stress_and_kill(vm: VM, v: Volume, rng: random.Random, number: int) -> tuple[str, str, int]:
    """Returns the seed of the synced files, their last durable operation, and how much the load did."""
    seed = f"{rng.randrange(1 << 40)}"
    vm.run(
        f"mount {v.path} /mnt/test && cd /mnt/test && rm -rf synced* && mkdir -p stress synced{number}"
    )
    stress = vm.spawn(f"python3 /root/tests/stress.py /mnt/test/stress {seed}")
    writer = vm.spawn(f"python3 /root/tests/files.py write /mnt/test/synced{number} {seed}")
    acks.await_first(vm, writer)
    acks.await_first(vm, stress)
    time.sleep(rng.uniform(0.1, 3))
    for running in (stress, writer):
        assert running.poll() is None, f"the load ended: {running.wait(1)}"
    volume.power_cut(vm)
    return seed, acks.lines_of(writer)[-1], sum(map(int, acks.lines_of(stress)))


@pytest.mark.vm(nvdimm="16M", disks="320M")
@pytest.mark.limit(120)
@pytest.mark.parametrize("file_system", FILE_SYSTEMS.values(), ids=FILE_SYSTEMS.keys())
def test_stays_whole_under_stress_and_kills(
    vm: VM, rng: random.Random, settings: Settings, file_system: FileSystem
) -> None:
    v = volume.make(vm)
    vm.run(f"{file_system.make} {v.path}")
    done = 0
    for number in range(settings.amount(2, 50)):
        seed, acked, operations = _stress_and_kill(vm, v, rng, number)
        done += operations
        v.check(0, 1)
        v.open()
        verify = f"python3 /root/tests/files.py verify /mnt/test/synced{number} {seed} {acked}"
        vm.run(f"mount {v.path} /mnt/test && {verify} && umount /mnt/test", timeout=60)
        vm.run(f"{file_system.check} {v.path}", timeout=60)
    v.close()
    v.check()
    print(f"{done} operations of the load were done in all")
