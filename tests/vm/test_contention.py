# SPDX-License-Identifier: GPL-2.0-or-later
"""Hits take no lock of the driver, and writes of different pages hardly meet on one.

By the kernel's lock statistics, which only the debug kernel keeps.
"""
from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest
from qemu import VM

from tests.harness import fio, volume

# As the driver names its locks when it makes them.
STRIPE = "&frames->stripe[i].lock"
OURS = (STRIPE, "&frames->pool_lock", "&parking->lock", "&zeroing->lock", "&throughs->lock")
ON = "echo 0 > /proc/lock_stat; echo 1 > /proc/sys/kernel/lock_stat"
OFF = "echo 0 > /proc/sys/kernel/lock_stat; cat /proc/lock_stat"
REGION = 4  # MiB, for each job


class Use(NamedTuple):
    """How often a lock was taken, and how often somebody had to wait for it."""

    taken: int
    contended: int


def _uses(text: str) -> dict[str, Use]:
    """The driver's locks in /proc/lock_stat (Documentation/locking/lockstat.rst)."""
    uses = {}
    for name, numbers in re.findall(r"^ *(\S+): +([\d. ]+)$", text, re.MULTILINE):
        columns = numbers.split()
        if name in OURS:
            uses[name] = Use(taken=int(columns[7]), contended=int(columns[1]))
    return uses


def _while(vm: VM, path: str, rw: str) -> dict[str, Use]:
    """What locks were used for while each CPU had a region of its own to itself."""
    cpus = int(vm.run("nproc").stdout)
    regions: dict[str, Any] = {"size": f"{REGION}M", "offset_increment": f"{REGION}M", "numjobs": cpus}
    vm.run(ON)
    fio.run(vm, path, rw=rw, bs="4k", ioengine="psync", io_size="2M", **regions)
    uses = _uses(vm.run(OFF).stdout)
    print(f"{cpus} CPUs, {rw}: {uses}")
    return uses


@pytest.mark.limit(240)
@pytest.mark.parametrize(
    "cpus",
    [
        pytest.param(4, marks=pytest.mark.vm(nvdimm="64M", disks="96M", kernel="debug", smp=4)),
        pytest.param(8, marks=pytest.mark.vm(nvdimm="64M", disks="96M", kernel="debug", smp=8)),
    ],
)
def test_cpus_do_not_wait_for_each_other(vm: VM, cpus: int) -> None:
    v = volume.make(vm)
    v.set_options("admission all")
    writes = _while(vm, v.path, "randwrite")
    assert writes[STRIPE].taken > 512 * cpus, "the statistics do not see the driver"
    # Pages of one stripe in a thousand or so, and a stock of frames that is filled up now and then.
    assert sum(use.contended for use in writes.values()) <= 0.01 * sum(use.taken for use in writes.values())
    fio.run(vm, v.path, rw="write", bs="64k", size=f"{REGION * cpus}M", iodepth=1)
    v.flush()
    before = v.counters()["read_misses"]
    reads = _while(vm, v.path, "randread")
    assert v.counters()["read_misses"] == before, "not all reads were hits"
    assert not any(use.taken for use in reads.values()), reads
    v.close()
