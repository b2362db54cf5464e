# SPDX-License-Identifier: GPL-2.0-or-later
"""What the volume says of itself to the block layer, and what memory it does not take."""
from __future__ import annotations

import pytest
from qemu import VM, Nvdimm, Spec, parse_disk

from tests.harness import pool, volume
from tests.harness.settings import Settings
from tests.harness.volume import MIB, PAGE, Volume

DISCARD_MIB = 256
LIMITS = {
    "logical_block_size": 512,
    "physical_block_size": PAGE,
    "minimum_io_size": PAGE,
    "discard_granularity": PAGE,
    "discard_max_bytes": DISCARD_MIB * MIB,
    "discard_max_hw_bytes": DISCARD_MIB * MIB,
    "io_poll": 0,
    "dax": 0,
}


def _limit(vm: VM, name: str) -> int:
    device = vm.run("dmsetup info -c --noheadings -o blkdevname v0").stdout.strip()
    return int(vm.run(f"cat /sys/block/{device}/queue/{name}").stdout)


@pytest.mark.vm(nvdimm="16M", disks="600M")
def test_limits_are_those_of_pages(vm: VM) -> None:
    v = volume.make(vm)
    assert {name: _limit(vm, name) for name in LIMITS} == LIMITS
    zeroes = _limit(vm, "write_zeroes_max_bytes")
    assert 0 < zeroes <= DISCARD_MIB * MIB and zeroes % PAGE == 0
    # A discard of more than one may cover comes in pieces, and all of them are done.
    places = (0, DISCARD_MIB - 1, DISCARD_MIB, 2 * DISCARD_MIB, 599)
    for place in places:
        vm.run(f"dd if=/dev/urandom of={v.path} bs=1M count=1 seek={place} oflag=direct status=none")
    vm.run(f"blkdiscard {v.path}", timeout=60)
    for place in places:
        vm.run(f"blockdev --flushbufs {v.path}; cmp -n {MIB} -i {place * MIB}:0 {v.path} /dev/zero")
    v.close()
    v.check()


def _asynchronous_memory(settings: Settings) -> Spec:
    """A machine with an NVDIMM, and with memory whose flushes are requests to the host (virtio-pmem)."""
    return Spec(
        kernel=settings.kernel,
        accel=settings.accel,
        nvdimms=(Nvdimm("16M"),),
        disks=(parse_disk("64M"),),
        arguments=(
            *("-object", "memory-backend-ram,id=virtual,size=32M"),
            *("-device", "virtio-pmem-pci,memdev=virtual,id=asynchronous"),
        ),
    )


@pytest.mark.usefixtures("alone")
@pytest.mark.not_on_debug("virtio_pmem is not built for it")
def test_memory_that_needs_the_host_to_flush_is_refused(settings: Settings) -> None:
    with VM(_asynchronous_memory(settings)) as vm:
        pool.prepare(vm)
        vm.run("modprobe virtio_pmem && timeout 20 sh -c 'until [ -b /dev/pmem1 ]; do sleep 0.1; done'")
        # A copy of a good one: nothing is wrong with it but what it is.
        v = Volume(vm).format()
        vm.run("dd if=/dev/pmem0 of=/dev/pmem1 bs=1M iflag=direct oflag=direct status=none")
        mark = vm.log_mark()
        sectors = 64 * 2048
        created = vm.run(f"dmsetup create v0 --table '0 {sectors} tiered /dev/pmem1 1 /dev/vda'", check=False)
        assert created.status
        said = "needs a request to the host for each flush (virtio-pmem); use an NVDIMM"
        assert said in vm.log_since(mark)
        vm.run("dd if=/dev/zero of=/dev/pmem1 bs=8K count=1 oflag=direct status=none")
        v.open()
        v.close()
