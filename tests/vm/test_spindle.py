# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench's disk that turns: 8 ms a seek, 150 MB/s, one request at a time, whoever asks."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from qemu import VM

from tests.bench.rig import Rig, SLOW, TIERS
from tests.harness import fio

SEEK_S = TIERS["hdd"].seek_us / 1e6
BYTES_A_SECOND = TIERS["hdd"].mbps * 1e6
WITHIN = 0.05
pytestmark = pytest.mark.vm(nvdimm="64M", disks="96M", kernel="6.1", icount=True, cpu="max,-erms")


@pytest.fixture(name="disk", autouse=True)
def _disk(vm: VM) -> Iterator[None]:
    rig = Rig(vm, TIERS["hdd"])
    rig.plug()
    yield
    rig.unplug()


def _job(vm: VM, rw: str, **options: Any) -> dict[str, Any]:
    return fio.run(vm, SLOW, rw=rw, randrepeat=1, **options)


def _rate(job: dict[str, Any], unit: str) -> float:
    return float(job["read"][unit] + job["write"][unit])


@pytest.mark.parametrize("rw", ["read", "write"])
def test_it_streams_at_its_rate(vm: VM, rw: str) -> None:
    job = _job(vm, rw, bs="1M", size="128M", iodepth=4)
    assert _rate(job, "bw_bytes") == pytest.approx(BYTES_A_SECOND, rel=WITHIN)


@pytest.mark.parametrize("rw", ["randread", "randwrite"])
@pytest.mark.parametrize("depth, bs", [(1, 4096), (16, 4096), (4, 1 << 20)])
def test_a_seek_takes_its_time_at_any_depth(vm: VM, rw: str, depth: int, bs: int) -> None:
    job = _job(vm, rw, bs=bs, size="4G", io_size=min(256 * bs, 64 << 20), iodepth=depth)
    assert _rate(job, "iops") == pytest.approx(1 / (SEEK_S + bs / BYTES_A_SECOND), rel=WITHIN)


def test_what_lies_between_passes_under_the_head(vm: VM) -> None:
    # 60 KiB are left out after every 4: forwards that is faster than a seek, backwards it is one.
    forwards = _job(vm, "read:60k", bs="4k", size="64M", io_size="2M", iodepth=4)
    assert _rate(forwards, "iops") == pytest.approx(BYTES_A_SECOND / 65536, rel=WITHIN)


def test_two_who_stream_pay_for_the_way_between(vm: VM) -> None:
    options: dict[str, Any] = {"bs": "1M", "size": "64M", "iodepth": 1, "rw": "read"}
    other = fio.start(vm, SLOW, offset="2G", **options)
    job = fio.run(vm, SLOW, **options)
    both = _rate(job, "iops") + _rate(fio.end(other), "iops")
    assert both == pytest.approx(1 / (SEEK_S + (1 << 20) / BYTES_A_SECOND), rel=WITHIN)


def test_what_is_written_by_many_is_read_again(vm: VM) -> None:
    mixed = {"bssplit": "4k/50:16k/30:64k/20"}  # of blocks, which have 4 KiB
    jobs = [
        fio.start(vm, SLOW, **fio.verify_options(number + 1, "2M", offset=f"{number * 8}M", **mixed))
        for number in range(3)
    ]
    for job in jobs:
        fio.end(job, timeout=120)


@pytest.mark.parametrize(
    "arguments, says",
    [
        ("/dev/platters 8000 150", "give a device, the microseconds of a seek"),
        ("/dev/platters 8000 150 -1", "as whole numbers"),
        ("/dev/platters 8000000 150 0", "give at most 1000000 microseconds"),
        ("/dev/none 8000 150 0", "there is no such device"),
    ],
)
def test_a_table_without_sense_is_refused_with_what_is_missing(vm: VM, arguments: str, says: str) -> None:
    mark = vm.log_mark()
    assert vm.run(f"dmsetup create wrong --table '0 8 spindle {arguments}'", check=False).status != 0
    assert says in vm.log_since(mark)
