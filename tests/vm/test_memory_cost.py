# SPDX-License-Identifier: GPL-2.0-or-later
"""What the volume costs as memory, in guest instructions, side by side with a page cache on the same volume.

With -icount a nanosecond of the guest's clock is an instruction.
"""
from __future__ import annotations

import json
from typing import Any

import pytest
from qemu import VM

from tests.harness import fio, volume
from tests.harness.volume import PAGE, Volume

MEMORY = "/dev/tiered/v0"
PAGES = 4096
FIRST_TOUCH_INSTRUCTIONS = 4000
AROUND_INSTRUCTIONS = 600
MSYNC_TIMES = 50


def _probe(vm: VM, arguments: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(vm.run(f"memory-probe {arguments}", timeout=60).stdout)
    return said


def _resident(vm: VM) -> Volume:
    v = volume.make(vm)
    v.set_options("admission all")
    fio.run(vm, v.path, rw="write", bs="64k", size=f"{PAGES * PAGE}", iodepth=1)
    v.flush()
    return v


@pytest.mark.vm(nvdimm="64M", disks="96M", icount=True, cpu="max,-erms")
def test_touches_of_resident_pages(vm: VM) -> None:
    v = _resident(vm)
    loads = _probe(vm, f"pass {MEMORY} {PAGES} load")
    stores = _probe(vm, f"pass {MEMORY} {PAGES} store")
    print(f"loads {loads}\nstores {stores}")
    assert v.counters()["memory_fills"] == 0, "not all pages were resident"
    # A few faults are the program's own, for its stack and its output.
    assert loads["second_faults"] <= 4 and stores["second_faults"] <= 4
    assert loads["first_faults"] <= PAGES // 16 + 4, "neighbours have faults of their own"
    assert loads["first_ns"] <= AROUND_INSTRUCTIONS
    assert stores["first_ns"] <= FIRST_TOUCH_INSTRUCTIONS


@pytest.mark.vm(nvdimm="64M", disks="96M", icount=True, cpu="max,-erms")
def test_durable_update_against_msync(vm: VM) -> None:
    v = volume.make(vm)
    durable = _probe(vm, f"durable {MEMORY} 20000")["update_ns"]
    vm.run(f"mkfs.ext4 -q {v.path} && mount {v.path} /mnt/test && truncate -s 1M /mnt/test/file && sync")
    by_msync = _probe(vm, "msync /mnt/test/file 200")["update_ns"]
    # Of the program alone: what the journal's thread does for msync comes on top.
    print(f"64 bytes: {durable:.0f} instructions durable in memory, {by_msync:.0f} by msync of a page cache")
    assert MSYNC_TIMES * durable <= by_msync
