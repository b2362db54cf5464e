# SPDX-License-Identifier: GPL-2.0-or-later
"""`writethrough`: the disk alone holds every acknowledged write, whenever the fast tier is lost."""
from __future__ import annotations

import random
import time

import pytest
from qemu import VM

from tests.harness import acks, fio, lower, volume
from tests.harness.settings import Settings
from tests.harness.volume import PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
OPTIONS = "writethrough admission all"
DIRECT = "oflag=direct status=none"


def _kill_and_read_the_disk(vm: VM, rng: random.Random) -> int:
    """One round; returns how many batches were acknowledged."""
    v = volume.make(vm, "--force")
    v.set_options(OPTIONS)
    seed = f"{rng.randrange(1 << 40)}"
    vm.run(f"blkdiscard -l {acks.REGIONS} {v.path}")
    writers = vm.spawn(f"python3 /root/tests/acks.py write {v.path} {seed}")
    acks.await_first(vm, writers)
    time.sleep(rng.uniform(0.1, 2.5))
    volume.power_cut(vm)
    acked = acks.acknowledged(acks.lines_of(writers))
    # Without the fast tier: the disk as it is.
    vm.run(f"python3 /root/tests/acks.py verify {v.capacity} {seed} {' '.join(map(str, acked))}", timeout=60)
    return sum(acked)


@MACHINE
@pytest.mark.limit(90)
def test_disk_alone_has_what_was_acknowledged(vm: VM, rng: random.Random, settings: Settings) -> None:
    assert all(_kill_and_read_the_disk(vm, rng) for _ in range(settings.amount(1, 20)))


@MACHINE
def test_nothing_stays_dirty(vm: VM) -> None:
    v = volume.make(vm)
    v.set_options(OPTIONS)
    fio.run(vm, v.path, rw="randrw", bs="512-64k", size="24M", io_size="8M", iodepth=16, verify="crc32c")
    assert v.counters()["frames_dirty"] == 0
    assert v.counters()["write_hits"] and v.counters()["write_fills"]
    assert v.sha256() == v.sha256(v.capacity)
    v.close()
    v.check()


@MACHINE
def test_write_waits_for_its_home(vm: VM) -> None:
    v = Volume(vm).format()
    below = lower.below(v)
    below.open(v, OPTIONS)
    below.hold()
    writer = vm.spawn(f"dd if=/dev/urandom of={v.path} bs={PAGE} count=1 {DIRECT}")
    v.wait_for("write_fills", 1)
    vm.run("sleep 1")
    assert writer.poll() is None, "a write through ended before its home had it"
    below.work()
    assert writer.wait(20).status == 0
    vm.run(f"dmsetup remove {v.name}")
    below.remove()


@MACHINE
def test_switching_under_load(vm: VM) -> None:
    v = volume.make(vm)
    job = fio.start(vm, v.path, **fio.verify_options(4711, "24M", loops=1))
    for number in range(6):
        v.set_options(OPTIONS if number % 2 == 0 else "admission all")
        vm.run("sleep 0.3")
    fio.end(job)
    v.set_options(OPTIONS)
    # What was dirty when it was switched on goes home by itself.
    v.wait_for("flush_left_pages", 0)
    deadline = time.monotonic() + 20 * vm.factor
    while v.counters()["frames_dirty"]:
        assert time.monotonic() < deadline, "what was dirty does not go home"
        time.sleep(0.2)
    assert v.sha256() == v.sha256(v.capacity)
    v.close()
    v.check()


@MACHINE
def test_failing_disk_is_reported_and_nothing_is_dropped(vm: VM) -> None:
    v = Volume(vm).format()
    below = lower.below(v)
    below.open(v, OPTIONS)
    vm.run(f"dd if=/dev/urandom of=/tmp/data bs={PAGE} count=64 status=none")
    vm.run(f"dd if=/tmp/data of={v.path} bs={PAGE} count=32 {DIRECT}")
    below.fail_writes()
    result = vm.run(f"dd if=/tmp/data of={v.path} bs={PAGE} skip=32 seek=32 count=1 {DIRECT}", check=False)
    assert result.status and "nput/output error" in result.stderr
    assert v.counters()["frames_dirty"] == 1 and v.state() == "degraded"
    below.work()
    vm.run(f"sync {v.path}")  # a failed flush stays failed until one succeeds
    vm.run(f"dd if=/tmp/data of={v.path} bs={PAGE} skip=32 seek=32 count=32 {DIRECT}")
    assert v.counters()["frames_dirty"] == 0 and v.state() == "rw"
    vm.run(f"blockdev --flushbufs {v.capacity}; cmp -n {64 * PAGE} /tmp/data {v.capacity}")
    vm.run(f"dmsetup remove {v.name}")
    below.remove()
