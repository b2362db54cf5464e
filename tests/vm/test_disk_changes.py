# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that has grown makes the volume grow when asked; one that was exchanged or written to is refused."""
from __future__ import annotations

import pytest
from qemu import VM

from tests.harness import lower, memory, volume
from tests.harness.volume import MIB, PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm=["16M", "16M"], disks=["96M", "97M"])
DIRECT = "oflag=direct status=none"
SMALL = 64 * 2048 - 8  # sectors; the last page of a volume need not be at a round place
LARGE = 96 * 2048


def _write(v: Volume, seek: int, count: int) -> None:
    v.vm.run(f"dd if=/dev/urandom of=/tmp/data bs={PAGE} count={count} status=none")
    v.vm.run(f"dd if=/tmp/data of={v.path} bs={PAGE} seek={seek} {DIRECT}")


def _same(v: Volume, skip: int, count: int) -> None:
    v.vm.run(f"dd if={v.path} of=/tmp/read bs={PAGE} skip={skip} count={count} iflag=direct status=none")
    v.vm.run("cmp /tmp/read /tmp/data")


def _refused(v: Volume, words: str) -> None:
    mark = v.vm.log_mark()
    assert v.vm.run(f"tierctl open {v.name}", check=False).status
    assert words in v.vm.log_since(mark)


@MACHINE
@pytest.mark.parametrize("odd_sectors", [0, 3])
def test_volume_grows_with_its_disk(vm: VM, odd_sectors: int) -> None:
    size = SMALL + odd_sectors
    below = lower.below(Volume(vm), size)
    v = Volume(vm, capacity=below.path).format().open()
    v.set_options("admission all")
    _write(v, 0, 256)
    table = f"tiered /dev/pmem0 1 {below.path} 2 admission all"
    load = vm.spawn(
        f"fio --name=load --filename={v.path} --rw=randrw --bs=4k --offset=32M --size=16M --direct=1 "
        "--ioengine=libaio --iodepth=8 --verify=crc32c --io_size=8M"
    )
    below.grown(LARGE)
    vm.run(f"dmsetup reload {v.name} --table '0 {LARGE} {table}' && dmsetup resume {v.name}")
    load.wait(timeout=60)
    assert int(vm.run(f"blockdev --getsz {v.path}").stdout) == LARGE
    _same(v, 0, 256)
    # Around the old end and up to the new one.
    _write(v, SMALL // 8 - 2, 16)
    _same(v, SMALL // 8 - 2, 16)
    fills = v.counters()["write_fills"]
    _write(v, LARGE // 8 - 64, 64)
    _same(v, LARGE // 8 - 64, 64)
    assert v.counters()["write_fills"] == fills + 64, "what was gained goes around the fast tier"
    assert (
        vm.run(f"dmsetup reload {v.name} --table '0 {size} {table}'", check=False).status != 0
    ), "a volume was made smaller"
    checksum = vm.run("sha256sum < /tmp/data").stdout
    volume.power_cut(vm)
    v = Volume(vm).open("--capacity /dev/vda")
    assert int(vm.run(f"blockdev --getsz {v.path}").stdout) == LARGE
    tail = f"dd if={v.path} bs={PAGE} skip={LARGE // 8 - 64} iflag=direct status=none"
    assert vm.run(f"{tail} | sha256sum").stdout == checksum
    v.close()
    v.check()


@MACHINE
def test_either_superblock_knows_a_grown_volume(vm: VM) -> None:
    below = lower.below(Volume(vm), SMALL)
    v = Volume(vm, capacity=below.path).format().open()
    below = below.grown(LARGE)
    v.message("flush")
    table = f"0 {LARGE} tiered {v.fast} 1 {below.path} 2 admission all"
    vm.run(f"dmsetup reload {v.name} --table '{table}' && dmsetup resume {v.name}")
    _write(v, LARGE // 8 - 64, 64)
    v.close()
    with memory.healed_after(vm):
        for sector in (0, 8):
            memory.spoil(v, sector)
            v.open(f"--read-only --capacity {below.path}")
            _same(v, LARGE // 8 - 64, 64)
            v.close()
            memory.forget_bad_blocks(vm)
    below.remove()


@MACHINE
def test_disk_that_takes_no_flush_lets_no_volume_grow(vm: VM) -> None:
    below = lower.below(Volume(vm), SMALL + 3)
    v = Volume(vm, capacity=below.path).format().open()
    below = below.grown(LARGE)
    below.fail_writes()
    mark = vm.log_mark()
    reload = f"dmsetup reload {v.name} --table '0 {LARGE} tiered {v.fast} 1 {below.path}'"
    assert vm.run(f"{reload} && dmsetup resume {v.name}", check=False).status
    assert "cannot grow: the capacity device cannot be flushed" in vm.log_since(mark)
    below.work()
    vm.run(f"dmsetup resume {v.name}")
    assert int(vm.run(f"blockdev --getsz {v.path}").stdout) == LARGE and v.state() == "rw"
    v.close()
    below.remove()


@MACHINE
def test_disk_that_grew_while_the_volume_was_closed_is_known(vm: VM) -> None:
    below = lower.below(Volume(vm), SMALL)
    v = Volume(vm, capacity=below.path).format().open()
    v.set_options("admission all")
    _write(v, 0, 64)
    v.flush()
    v.close()
    below.remove()
    below = lower.below(Volume(vm))
    vm.run(f"tierctl check --fast {v.fast} --capacity {below.path} --verify-clean")
    v.open(f"--capacity {below.path}")
    _same(v, 0, 64)
    assert int(vm.run(f"blockdev --getsz {v.path}").stdout) == SMALL
    v.close()
    below.remove()


@MACHINE
def test_disk_written_without_the_volume_is_refused(vm: VM) -> None:
    v = volume.make(vm)
    v.set_options("admission all")
    _write(v, 0, 512)
    v.flush()
    v.close()
    vm.run(f"dd if=/dev/urandom of={v.capacity} bs={MIB} count=2 {DIRECT}")
    _refused(v, "does not hold what the volume left there")
    vm.run(f"dd if=/tmp/data of={v.capacity} bs={MIB} count=2 {DIRECT}")
    v.open()
    _same(v, 0, 512)
    v.close()


@MACHINE
def test_copy_of_the_fast_tier_is_refused_while_the_volume_is_open(vm: VM) -> None:
    v = Volume(vm).format()
    vm.run(f"dd if={v.fast} of=/dev/pmem1 bs={MIB} iflag=direct {DIRECT}")
    vm.run(f"dmsetup create {v.name} --table '0 {LARGE} tiered /dev/pmem0 1 /dev/vda'")
    mark = vm.log_mark()
    table = f"0 {LARGE} tiered /dev/pmem1 1 /dev/vdb"
    assert vm.run(f"dmsetup create copy --table '{table}'", check=False).status
    assert "is open already" in vm.log_since(mark)
    vm.run(f"dmsetup remove {v.name}")
    vm.run(f"dmsetup create copy --table '0 {LARGE} tiered /dev/pmem1 1 /dev/vda' && dmsetup remove copy")
    vm.run("wipefs -qa /dev/pmem1; dd if=/dev/zero of=/dev/pmem1 bs=8K count=1 oflag=direct status=none")
