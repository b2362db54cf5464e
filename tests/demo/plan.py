# SPDX-License-Identifier: GPL-2.0-or-later
"""How much the demo does, and on which machine."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qemu import Disk, Nvdimm, Spec


@dataclass(frozen=True)
class Plan:
    """The amounts of one run."""
    files: int
    items: int
    orders: int
    # The power goes when this many orders of the interrupted round are acknowledged.
    acknowledged: int
    # Whether it is long enough to be held to being faster than the bare disk.
    fast: bool


FULL = Plan(files=5000, items=10_000, orders=150, acknowledged=100, fast=True)
# For tests of the demo itself.
QUICK = Plan(files=300, items=2_000, orders=20, acknowledged=20, fast=False)

FAST = "/dev/pmem0"
CAPACITY = "/dev/vda"
# As large and as slow as the capacity tier, and without a volume: what the volume is compared with.
BARE = "/dev/vdb"
IOPS = 2000


def machine(kernel: str, accel: str, state: Path) -> Spec:
    """The machine of the demo, with its NVDIMM and disks kept in `state`."""
    return Spec(kernel=kernel, accel=accel, state=state, nvdimms=(Nvdimm("512M"),),
                disks=(Disk("4G", iops=IOPS), Disk("4G", iops=IOPS)))
