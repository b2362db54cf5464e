# SPDX-License-Identifier: GPL-2.0-or-later
"""What a read hit costs, in guest instructions: less than dm-linear over the same persistent memory.

With -icount a nanosecond of the guest's clock is an instruction, so fio's latencies count instructions,
whatever the host is doing. Without ERMS in the CPU model, because a single `rep movsb` would count 4,096
for a page.
"""
from __future__ import annotations

from typing import Any

import pytest
from qemu import VM

from tests.harness import fio, volume

WORKING_SET = "16M"
THRIFT_INSTRUCTIONS = {"randread": 60, "randwrite": 80}  # a write does not reach the 60 yet
ENGINES: dict[str, dict[str, Any]] = {
    "psync": {"ioengine": "psync"},
    "io_uring": {"ioengine": "io_uring", "iodepth": 1},
}


def _instructions(vm: VM, device: str, engine: str, of: str = "mean", rw: str = "randread") -> float:
    """The mean cost of a 4 KiB random read, or another statistic, or of a write."""
    job = fio.run(
        vm,
        device,
        rw=rw,
        bs="4k",
        size=WORKING_SET,
        io_size="32M",
        norandommap=True,
        randrepeat=1,
        **ENGINES[engine],
    )
    done = job[rw.removeprefix("rand")]
    assert done["total_ios"] == 8192
    return float(done["lat_ns"][of])


@pytest.mark.vm(nvdimm="64M", disks="96M", icount=True, cpu="max,-erms")
def test_read_hits_cost_less_than_dm_linear(vm: VM) -> None:
    vm.run('dmsetup create linear --table "0 $(blockdev --getsz /dev/pmem0) linear /dev/pmem0 0"')
    linear = {engine: _instructions(vm, "/dev/mapper/linear", engine) for engine in ENGINES}
    vm.run("dmsetup remove linear")
    v = volume.make(vm)
    v.set_options("admission all")
    fio.run(vm, v.path, rw="write", bs="64k", size=WORKING_SET, iodepth=1)
    v.flush()
    before = v.counters()
    tiered = {engine: _instructions(vm, v.path, engine) for engine in ENGINES}
    after = v.counters()
    assert after["read_misses"] == before["read_misses"], "not all reads were hits"
    for engine in ENGINES:
        print(
            f"4 KiB read hit, {engine}: "
            f"tiered {tiered[engine]:.0f}, dm-linear {linear[engine]:.0f} instructions"
        )
    assert all(tiered[engine] < linear[engine] for engine in ENGINES), f"tiered {tiered}, dm-linear {linear}"


@pytest.mark.vm(nvdimm="64M", disks="96M", icount=True, cpu="max,-erms")
@pytest.mark.parametrize("rw", ["randread", "randwrite"])
def test_thrift_costs_little(vm: VM, rw: str) -> None:
    v = volume.make(vm)
    v.set_options("admission all")
    fio.run(vm, v.path, rw="write", bs="64k", size=WORKING_SET, iodepth=1)
    if rw == "randread":
        v.flush()
    cheapest, mean = {}, {}
    for admission in ("all", "thrifty"):
        v.set_options(f"admission {admission}")
        before = v.counters()
        mean[admission] = _instructions(vm, v.path, "psync", "mean", rw)
        cheapest[admission] = _instructions(vm, v.path, "psync", "min", rw)
        after = v.counters()
        assert after["read_misses"] == before["read_misses"], "not all reads were hits"
        assert rw == "randread" or after["write_hits"] > before["write_hits"] + 4096
    added = cheapest["thrifty"] - cheapest["all"]
    print(
        f"thrift, {rw}: {added:.0f} instructions a hit of one page ({cheapest['all']:.0f} without), "
        f"with what its worker does {mean['thrifty'] - mean['all']:.0f}"
    )
    assert added <= THRIFT_INSTRUCTIONS[rw]
