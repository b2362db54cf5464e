# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that fails: errors are reported, nothing dirty is lost, and when it is back everything is right."""
from __future__ import annotations

import pytest
from qemu import VM

from tests.harness import lower, volume
from tests.harness.lower import Lower
from tests.harness.volume import MIB, PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
DIRECT = "oflag=direct status=none"


def _open(vm: VM, options: str = "") -> tuple[Volume, Lower]:
    v = Volume(vm).format()
    below = lower.below(v)
    below.open(v, options)
    return v, below


def _write_data(v: Volume, block: str, count: int) -> None:
    """Random data at the front of the volume, and in /tmp/data."""
    v.vm.run(f"dd if=/dev/urandom of=/tmp/data bs={block} count={count} status=none")
    v.vm.run(f"dd if=/tmp/data of={v.path} bs={block} {DIRECT}")


def _close(v: Volume, below: Lower) -> None:
    v.vm.run(f"dmsetup remove {v.name}")
    below.remove()


def _fails(vm: VM, command: str) -> None:
    result = vm.run(command, check=False)
    assert result.status != 0, f"no error: {command}"
    assert "nput/output error" in result.stderr, result.stderr


def _same(vm: VM, device: str, other: str, count: int, offset: int = 0) -> None:
    vm.run(f"blockdev --flushbufs {device}; cmp -n {count} -i {offset}:0 {device} {other}")


@MACHINE
def test_write_error_around_the_fast_tier_is_reported(vm: VM) -> None:
    v, below = _open(vm, "admission none")
    _write_data(v, "64K", 16)
    below.fail_writes()
    _fails(vm, f"dd if=/dev/zero of={v.path} bs=64K count=1 {DIRECT}")
    _same(vm, v.path, "/tmp/data", MIB)
    below.work()
    vm.run(f"dd if=/dev/zero of={v.path} bs=64K count=1 conv=fsync {DIRECT}")
    _same(vm, v.path, "/dev/zero", 65536)
    _close(v, below)
    v.check()


@MACHINE
def test_read_error_is_passed_on_and_resident_pages_are_served(vm: VM) -> None:
    v, below = _open(vm, "admission all")
    _write_data(v, "4K", 64)
    v.flush()  # or it goes home while the disk fails, if that takes a second
    below.fail()
    _fails(vm, f"dd if={v.path} of=/dev/null bs=4K skip=4096 count=1 iflag=direct status=none")
    _same(vm, v.path, "/tmp/data", 64 * PAGE)
    # Half resident, half not: the error is not hidden by the half that is there.
    _fails(vm, f"dd if={v.path} of=/dev/null bs=64K skip=3 count=2 iflag=direct status=none")
    below.work()
    vm.run(f"dd if={v.path} of=/dev/null bs=64K skip=3 count=2 iflag=direct status=none")
    assert v.state() == "rw"
    _close(v, below)
    v.check()


@MACHINE
def test_flush_of_our_own_that_failed_is_told_to_the_next_sync(vm: VM) -> None:
    """The disk tells once that it dropped what it had cached: the next sync must not succeed for that."""
    v, below = _open(vm)
    _write_data(v, "1M", 1)  # around the fast tier; nobody has synced it
    vm.run(f"dd if=/dev/zero of={v.path} bs=4K seek=9999 count=1 {DIRECT}")
    below.fail_writes()
    v.message("flush")
    until = f"until dmsetup status {v.name} | grep -q degraded; do sleep 0.1; done"
    vm.run(f"timeout 20 sh -c '{until}'", timeout=30)
    below.work()
    v.flush()
    assert v.state() == "degraded"
    _fails(vm, f"sync {v.path}")
    vm.run(f"sync {v.path}")
    assert v.state() == "rw"
    vm.run(f"dd if=/dev/zero of={v.path} bs=4K count=1 conv=fsync {DIRECT}")
    _close(v, below)


@MACHINE
def test_flush_is_not_over_while_a_page_cannot_go_home(vm: VM) -> None:
    v, below = _open(vm, "admission all")
    below.hold()
    _write_data(v, "4K", 512)
    below.fail_page(200)
    v.message("flush")
    v.wait_for("writeback_bytes", 511 * PAGE)
    vm.run("sleep 2.5")
    assert v.counters()["flush_left_pages"] > 0 and v.counters()["frames_dirty"] == 1
    assert v.state() == "degraded"
    below.work()
    v.flush()
    assert v.state() == "rw" and v.counters()["flush_left_pages"] == 0
    _close(v, below)
    _same(vm, v.capacity, "/tmp/data", 512 * PAGE)
    v.check()


@MACHINE
def test_failed_flush_stays_failed_until_one_succeeds(vm: VM) -> None:
    v, below = _open(vm, "admission none")
    vm.run(f"dd if=/dev/urandom of={v.path} bs=4K count=1 {DIRECT}")
    below.fail_writes()
    _fails(vm, f"dd if=/dev/null of={v.path} conv=fsync,notrunc count=0 status=none")
    # dm sends the data of a PREFLUSH write again after the flush before it failed. So, although the disk
    # works again, no write is taken before a flush was.
    below.work()
    _fails(vm, f"dd if=/dev/urandom of={v.path} bs=4K count=1 seek=9 {DIRECT}")
    vm.run(f"dd if=/dev/null of={v.path} conv=fsync,notrunc count=0 status=none")
    vm.run(f"dd if=/dev/urandom of={v.path} bs=4K count=1 seek=9 conv=fsync,notrunc {DIRECT}")
    _close(v, below)
    v.check()


@MACHINE
@pytest.mark.parametrize("way", ["fail", "fail_writes"])
def test_dirty_pages_wait_for_the_disk(vm: VM, way: str) -> None:
    v, below = _open(vm, "admission all")
    below.hold()
    _write_data(v, "4K", 512)
    getattr(below, way)()
    v.message("flush")
    mark = vm.log_mark()
    vm.run("sleep 3")
    counters = v.counters()
    assert counters["frames_dirty"] == 512 and counters["writeback_bytes"] == 0, counters
    _same(vm, v.path, "/tmp/data", 512 * PAGE)
    assert "takes no write-back; dirty pages stay in the fast tier" in vm.log_since(mark) + vm.kernel_log()
    below.work()
    v.flush()
    _same(vm, v.path, "/tmp/data", 512 * PAGE)
    _close(v, below)
    _same(vm, v.capacity, "/tmp/data", 512 * PAGE)
    v.check()


def _fill_with_dirty(v: Volume, below: Lower) -> None:
    """What can go neither to a frame nor to the disk is an error, not a wait for ever."""
    vm = v.vm
    below.hold()
    _write_data(v, "4K", 2000)
    below.fail_writes()
    failed = vm.run(
        f"dd if=/dev/zero of={v.path} bs=4K seek=3000 count=5000 {DIRECT}", check=False, timeout=30
    )
    assert failed.status != 0
    _same(vm, v.path, "/tmp/data", 2000 * PAGE)
    below.work()
    v.flush()
    vm.run(f"dd if=/dev/zero of={v.path} bs=4K seek=3000 count=5000 conv=fsync {DIRECT}", timeout=60)
    _same(vm, v.path, "/tmp/data", 2000 * PAGE)
    _close(v, below)
    v.check()


@MACHINE
def test_full_of_dirty_without_a_disk_ends_in_errors(vm: VM) -> None:
    _fill_with_dirty(*_open(vm, "admission all"))


@MACHINE
def test_pins_keep_nobody_waiting_for_a_dead_disk(vm: VM) -> None:
    """Clean frames that pins keep are none that anybody gets."""
    v, below = _open(vm, "admission all")
    v.message("pin 16000 1000")
    vm.run(f"tierctl pin {v.name} --wait")
    _fill_with_dirty(v, below)


@MACHINE
def test_discard_on_a_failing_disk_changes_nothing_it_cannot(vm: VM) -> None:
    v, below = _open(vm, "admission all")
    below.hold()
    _write_data(v, "4K", 256)
    below.fail()
    # By force: else it looks first for a file system at the end of the device, which cannot be read.
    result = vm.run(f"blkdiscard -f -o 0 -l {64 * PAGE} {v.path}", check=False)
    assert "BLKDISCARD ioctl failed: Input/output error" in result.stderr, result
    # Old data and zeroes are both right for what a failed discard covered; the rest is untouched.
    vm.run("dd if=/tmp/data of=/tmp/rest bs=4K skip=64 status=none")
    _same(vm, v.path, "/tmp/rest", 192 * PAGE, 64 * PAGE)
    below.work()
    v.flush()
    vm.run(f"blkdiscard -o 0 -l {64 * PAGE} {v.path}")
    _same(vm, v.path, "/dev/zero", 64 * PAGE)
    _close(v, below)
    _same(vm, v.capacity, "/tmp/rest", 192 * PAGE, 64 * PAGE)
    v.check()


@MACHINE
def test_volume_closes_over_a_dead_disk(vm: VM) -> None:
    v, below = _open(vm, "admission all")
    below.hold()
    _write_data(v, "4K", 100)
    below.fail()
    _close(v, below)
    v.check()
    v.open()
    _same(vm, v.path, "/tmp/data", 100 * PAGE)
    v.flush()
    volume.Volume.close(v)
    _same(vm, v.capacity, "/tmp/data", 100 * PAGE)
