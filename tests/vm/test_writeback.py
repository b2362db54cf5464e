# SPDX-License-Identifier: GPL-2.0-or-later
"""Write-back: in order, to its end, and in the way of nobody."""
from __future__ import annotations

import time

import pytest
from qemu import VM

from tests.harness import fio, lower, volume
from tests.harness.volume import PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
SLOW = pytest.mark.vm(nvdimm="16M", disks="96M,iops=200")
FLUSH_LOOP = "while dmsetup message v0 0 flush; do :; done"
DIRECT = "oflag=direct status=none"


@MACHINE
def test_overwritten_pages_go_home_in_order(vm: VM) -> None:
    v = volume.make(vm)
    # The kernel warns when a batch holds a page twice: one that was overwritten while the batch was made.
    load = fio.start(vm, v.path, rw="randwrite", bs="4k", size="256k", iodepth=8, time_based=True, runtime=8)
    flushes = vm.spawn(FLUSH_LOOP)
    fio.end(load)
    assert flushes.poll() is None
    vm.run("pkill -f 'dmsetup message v0 0 flush'", check=False)
    v.flush()
    assert v.sha256() == v.sha256(v.capacity)
    v.close()
    v.check()


@SLOW
def test_flush_ends_while_pages_are_written(vm: VM) -> None:
    v = volume.make(vm)
    v.set_options("admission all dirty_high 95 dirty_low 90")
    vm.run(f"dd if=/dev/urandom of={v.path} bs=64K count=64 {DIRECT}")
    load = fio.start(vm, v.path, rw="randwrite", bs="4k", size="4M", iodepth=4, time_based=True, runtime=600)
    v.wait_for("write_hits", 2000)
    result = vm.run(f"tierctl flush {v.name}", timeout=60)
    assert "every page" in result.stdout
    assert load.poll() is None, "the load ended"
    assert v.counters()["flush_left_pages"] == 0
    vm.run("pkill fio")
    load.wait(timeout=30, check=False)
    v.close()


@MACHINE
def test_flush_shows_what_is_left_and_can_be_stopped(vm: VM) -> None:
    v = Volume(vm).format()
    below = lower.below(v)
    below.open(v, "admission all")
    below.hold()
    # More than a batch, so that something is left when the batch on its way has ended.
    vm.run(f"dd if=/dev/urandom of={v.path} bs={PAGE} count=600 {DIRECT}")
    v.message("flush")
    assert v.counters()["flush_left_pages"] == 600
    stopping = vm.spawn(f"tierctl flush {v.name} --stop")
    below.work()
    stopping.wait(timeout=30)
    # Whatever an idle disk takes after that, no flush is under way.
    assert v.counters()["flush_left_pages"] == 0
    v.flush()
    vm.run(f"dmsetup remove {v.name}")
    below.remove()
    v.check()


@SLOW
def test_bypassing_writes_do_not_keep_write_back_out(vm: VM) -> None:
    v = volume.make(vm)
    v.set_options("admission small dirty_high 95 dirty_low 90")
    # Dirty pages here and there, and large writes over all the rest: each of these touches every stripe, and
    # with so many on their way to a slow disk there is no moment without one.
    fio.run(vm, v.path, rw="randwrite", bs="4k", size="8M", io_size="1M", iodepth=1, ioengine="psync")
    options = {"offset": "16M", "size": "64M", "iodepth": 16, "time_based": True, "runtime": 600}
    stream = fio.start(vm, v.path, rw="write", bs="1m", **options)
    v.wait_for("write_bypass", 1000)
    before = v.counters()
    vm.run(f"tierctl flush {v.name}", timeout=60)
    after = v.counters()
    assert after["write_bypass"] > before["write_bypass"] and stream.poll() is None
    assert after["frames_dirty"] == 0
    vm.run("pkill fio")
    stream.wait(timeout=30, check=False)
    v.close()
    v.check()


@MACHINE
def test_idle_disk_takes_all_that_is_dirty(vm: VM) -> None:
    v = volume.make(vm)
    v.set_options("admission all dirty_high 95 dirty_low 90")
    vm.run(f"dd if=/dev/urandom of={v.path} bs=64K count=160 {DIRECT}")
    deadline = time.monotonic() + 5 * vm.factor
    while v.counters()["frames_dirty"]:
        assert time.monotonic() < deadline, "an idle disk is left idle"
        time.sleep(0.2)
    assert v.counters()["writeback_bytes"] == 160 * 16 * PAGE
    v.close()
