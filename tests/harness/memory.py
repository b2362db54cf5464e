# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad blocks in the memory of a fast tier, as the kernel learns of them, and the namespace taken away."""
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from qemu import VM

from tests.harness.volume import Volume

# The first namespace as its driver knows it: pfn0.0 or another, as the boot had it; in UNBOUND while away.
DEVICE = "basename $(readlink -f /sys/block/pmem0/device)"
UNBOUND = "/tmp/unbound"
DRIVER = "/sys/bus/nd/drivers/nd_pmem"


@dataclass(frozen=True)
class Place:
    """Where the fast tier keeps a page; places are sectors of the device."""

    frame: int
    state: str
    data: int
    word: int
    shadow: int


def places(v: Volume) -> dict[int, Place]:
    """The resident pages of a volume, by page."""
    text = v.vm.run(f"python3 /root/tests/words.py {v.fast}").stdout
    return {int(page): Place(**where) for page, where in json.loads(text).items()}


def spoil(v: Volume, *sectors: int, count: int = 1) -> None:
    """Have the kernel know `count` (up to 512) sectors of the fast tier from each of `sectors` on as bad.

    Emulated memory cannot be poisoned for real.
    """
    device = v.fast.rpartition("/")[2]
    for sector in sectors:
        v.vm.run(f"echo {sector} {count} > /sys/block/{device}/badblocks")


def unbind(vm: VM) -> None:
    """Take the first namespace away from its driver, whoever uses it."""
    vm.run(f"{DEVICE} > {UNBOUND} && cat {UNBOUND} > {DRIVER}/unbind")


def bind(vm: VM) -> None:
    """Give it back."""
    vm.run(f"cat {UNBOUND} > {DRIVER}/bind && test -b /dev/pmem0")


def forget_bad_blocks(vm: VM) -> None:
    """Bind the namespace anew: its list of bad blocks starts from what the hardware says: nothing."""
    unbind(vm)
    bind(vm)


@contextmanager
def healed_after(vm: VM) -> Iterator[None]:
    """Leaves the machine to the next test without bad blocks."""
    yield
    forget_bad_blocks(vm)
