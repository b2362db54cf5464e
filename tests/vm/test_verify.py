# SPDX-License-Identifier: GPL-2.0-or-later
"""Every byte comes back: fio verifies mixed sizes over four times the fast tier, across close and open."""
from __future__ import annotations

import random
import time

import pytest
from qemu import VM

from tests.harness import fio, volume
from tests.harness.settings import Settings

SOAK_SECONDS = 600


@pytest.mark.vm(nvdimm="16M", disks="96M")
@pytest.mark.limit(120)
@pytest.mark.parametrize("admission", ["small", "thrifty"])
def test_mixed_sizes_verify(vm: VM, rng: random.Random, settings: Settings, admission: str) -> None:
    v = volume.make(vm)
    v.set_options(f"admission {admission}")
    began = time.monotonic()
    while True:
        job = fio.verify_options(rng.randrange(1 << 30), "64M")
        fio.run(vm, v.path, **job)
        if not settings.soak or time.monotonic() - began > SOAK_SECONDS:
            break
    counters = v.counters()
    # Thrift takes too little that is dirty for write-back to begin.
    busy = ["write_fills", "write_bypass", "evictions"] + ["writeback_bytes"] * (admission == "small")
    assert all(counters[name] > 0 for name in busy), counters
    v.close()
    v.check()
    v.open()
    fio.run(vm, v.path, **job, verify_only=True)
    v.close()


@pytest.mark.vm(nvdimm="16M", disks="96M")
@pytest.mark.parametrize("admission", ["all", "none", "thrifty"])
def test_mixed_reads_and_writes_verify(vm: VM, rng: random.Random, admission: str) -> None:
    v = volume.make(vm)
    v.set_options(f"admission {admission}")
    fio.run(
        vm,
        v.path,
        **fio.verify_options(
            rng.randrange(1 << 30), "32M", rw="randrw", numjobs=1, verify_backlog=64, fdatasync=50
        ),
    )
    counters = v.counters()
    assert (counters["write_fills"] > 0) == (admission != "none"), counters
    v.close()
    v.check()
