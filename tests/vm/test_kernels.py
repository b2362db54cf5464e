# SPDX-License-Identifier: GPL-2.0-or-later
"""The other kernels: a smoke test on each, so that differences show without the whole suite on all."""
from __future__ import annotations

import os
import random

import images
import pytest
from images import guest, kernels
from qemu import VM

from tests.harness import fio, volume
from tests.harness.settings import DEFAULT_KERNEL

# The debug kernel takes an hour to build and runs only when it is asked for.
OTHERS = [name for name in kernels.names() if name not in (DEFAULT_KERNEL, "debug")]


@pytest.fixture(name="kernel")
def _kernel(request: pytest.FixtureRequest) -> str:
    """Sees to it that the kernel is there before the machine is made."""
    name = str(request.param)
    try:
        kernel = kernels.get(name)
        guest.base(kernel)
    except images.Problem as problem:
        # 7.2 follows a moving release: that it cannot be fetched says nothing about the driver.
        pytest.skip(f"kernel {name} cannot be had here: {problem}")
    if kernel.toolroot and os.geteuid() != 0:
        pytest.skip(f"kernel {name} cannot be had here: building for it takes root, for a chroot")
    return name


def _smoke(vm: VM, rng: random.Random) -> None:
    v = volume.make(vm)
    table = v.table()
    job = fio.verify_options(rng.randrange(1 << 30), "24M")
    fio.run(vm, v.path, **job)
    fio.run(vm, v.path, **fio.verify_options(1, "8M", ioengine="io_uring", offset="32M"))
    vm.run("dmsetup table v0 | dmsetup load v0 && dmsetup resume v0")
    assert v.table() == table
    vm.run(f"blkdiscard -o 48M -l 4M {v.path} && cmp -n 4M -i 48M:0 {v.path} /dev/zero")
    v.set_options("admission all")
    fio.run(vm, v.path, rw="randread", bs="4k", size="16M", iodepth=8)
    fio.run(vm, v.path, rw="randread", bs="4k", size="16M", iodepth=8)
    counters = v.counters()
    assert (
        counters["read_hits"] > 0 and counters["evictions"] > 0 and counters["writeback_bytes"] > 0
    ), counters
    vm.run(
        f"mkfs.ext4 -q -F {v.path} && mount {v.path} /mnt/test && "
        "cp -r /usr/sbin /mnt/test && sync -f /mnt/test"
    )
    volume.power_cut(vm)
    v.check(0, 1)
    v.open()
    vm.run(
        f"mount {v.path} /mnt/test && diff -r /usr/sbin /mnt/test/sbin && "
        f"umount /mnt/test && e2fsck -fn {v.path}"
    )
    v.flush()
    v.close()
    v.check()


@pytest.mark.limit(120)
@pytest.mark.parametrize(
    "kernel",
    [pytest.param(name, marks=pytest.mark.vm(nvdimm="16M", disks="96M", kernel=name)) for name in OTHERS],
    indirect=True,
)
def test_smoke_on_another_kernel(kernel: str, vm: VM, rng: random.Random) -> None:
    assert vm.run("uname -r").stdout.startswith(kernel) or kernel == max(OTHERS)
    _smoke(vm, rng)
