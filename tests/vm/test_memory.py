# SPDX-License-Identifier: GPL-2.0-or-later
"""The volume as memory: /dev/tiered/NAME, mapped by programs."""
from __future__ import annotations

import random
import signal
import time

import pytest
from qemu import VM, Running

from tests.harness import acks, lower, memory, volume
from tests.harness.settings import Settings
from tests.harness.volume import Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
MEMORY = "/dev/tiered/v0"
TOOL = "python3 /root/tests/memory.py"


def _keep(vm: VM, pages: int) -> Running:
    """A program that stores to the first pages all the time."""
    keeper = vm.spawn(f"exec {TOOL} keep {MEMORY} {pages}")
    while not acks.lines_of(keeper):
        assert keeper.poll() is None, keeper.wait(1)
        time.sleep(0.1)
    return keeper


@MACHINE
def test_mapping_shows_the_volume(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"fio --name=fill --filename={v.path} --rw=write --bs=1M --direct=1 --size=96M --minimal")
    vm.run(f"{TOOL} same {MEMORY} {v.path}", timeout=60)
    now = v.counters()
    # The fast tier has a sixth of that.
    assert now["memory_fills"] and now["evictions"] and now["memory_unmaps"], now
    v.close()
    v.check()


@MACHINE
@pytest.mark.limit(120)
@pytest.mark.parametrize("admission", ["small", "thrifty"])
def test_memory_and_blocks_agree(vm: VM, rng: random.Random, settings: Settings, admission: str) -> None:
    v = volume.make(vm)
    v.set_options(f"admission {admission} dirty_high 10 dirty_low 5")
    operations = settings.amount(1500, 20000)
    vm.run(f"{TOOL} agree {MEMORY} {v.path} {rng.randrange(1 << 40)} {operations}", timeout=300)
    now = v.counters()
    assert now["memory_faults"] and now["evictions"] and now["writeback_bytes"] and now["parked"], now
    v.close()
    v.check()


def _kill_and_verify(vm: VM, rng: random.Random) -> int:
    """One power cut; returns how many batches were durable."""
    v = volume.make(vm, "--force")
    seed = f"{rng.randrange(1 << 40)}"
    vm.run(f"blkdiscard {v.path}")
    writers = vm.spawn(f"{TOOL} write {MEMORY} {seed}")
    acks.await_first(vm, writers)
    time.sleep(rng.uniform(0.1, 2.5))
    volume.power_cut(vm)
    acked = acks.acknowledged(acks.lines_of(writers))
    v.check(0, 1)
    v.open()
    vm.run(f"{TOOL} verify {v.path} {seed} {' '.join(map(str, acked))}", timeout=60)
    return sum(acked)


@MACHINE
@pytest.mark.limit(90)
def test_what_msync_made_durable_outlives_a_kill(vm: VM, rng: random.Random, settings: Settings) -> None:
    assert all(_kill_and_verify(vm, rng) for _ in range(settings.amount(1, 20)))


@MACHINE
def test_what_was_stored_is_in_the_volume_when_it_is_closed(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"{TOOL} poke {MEMORY} 0 1 2 77 24575")
    assert v.counters()["frames_dirty"] == 5
    v.close()
    v.check()
    v.open().flush()
    v.close()
    page = f"dd if={v.capacity} bs=4096 skip=77 count=1 iflag=direct status=none"
    assert int(vm.run(f"{page} | od -An -td8 -N8").stdout) == 78


@MACHINE
def test_advice(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"{TOOL} need {MEMORY} 100")
    needed = v.counters()
    assert needed["memory_fills"] == 100 and needed["memory_faults"] == 0, needed
    vm.run(f"{TOOL} touch {MEMORY} 100")
    touched = v.counters()
    assert touched["memory_fills"] == 100 and 1 <= touched["memory_faults"] <= 10, touched
    recent = f"dmsetup message {v.name} 0 heat"
    assert vm.run(recent).stdout.split()[0] == "0:100:0:100"
    for how in ("cool", "cold"):
        vm.run(f"{TOOL} touch {MEMORY} 100 && {TOOL} {how} {MEMORY} 100")
        assert vm.run(recent).stdout.split()[0] == "0:100:0:0", how


@MACHINE
def test_volume_is_in_use_while_its_memory_is(vm: VM) -> None:
    v = volume.make(vm)
    holder = vm.spawn(f"exec sleep 1000 <{MEMORY}")
    while not vm.run(f"fuser {MEMORY} || ls -l /proc/*/fd/0 2>/dev/null | grep {MEMORY}", check=False).stdout:
        time.sleep(0.1)
    refused = vm.run(f"tierctl close {v.name}", check=False)
    assert refused.status and "held open once by programs" in refused.stderr, refused
    holder.signal()
    holder.wait(10)
    v.close()
    assert vm.run(f"test -e {MEMORY}", check=False).status, "the device outlived its volume"


@MACHINE
def test_faults_wait_for_a_suspended_volume(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"{TOOL} poke {MEMORY} 3 4")
    vm.run(f"dmsetup suspend {v.name}")
    poker = vm.spawn(f"{TOOL} poke {MEMORY} 3 4 5")
    time.sleep(1)
    assert poker.poll() is None and not acks.lines_of(poker)
    vm.run(f"dmsetup resume {v.name}")
    assert poker.wait(20, check=True).stdout.split() == ["3", "4", "5"]


@MACHINE
def test_mappings_end_when_the_target_goes(vm: VM) -> None:
    """`dmsetup remove --force` exchanges the table for one that only knows errors."""
    v: Volume = volume.make(vm)
    keeper = _keep(vm, 200)
    # It is in use, so dmsetup leaves a device of errors behind.
    vm.run(f"dmsetup remove --force {v.name}", check=False, timeout=30)
    assert keeper.wait(20).status == 128 + signal.SIGBUS
    vm.run(f"dmsetup remove --retry {v.name}", check=False, timeout=30)
    v.open()
    vm.run(f"{TOOL} poke {MEMORY} 0 1 2")


@MACHINE
def test_mappings_end_when_the_namespace_goes(vm: VM) -> None:
    v = volume.make(vm)
    keeper = _keep(vm, 200)
    memory.unbind(vm)
    assert keeper.wait(20).status == 128 + signal.SIGBUS
    refused = vm.run(f"{TOOL} poke {MEMORY} 0", check=False)
    assert refused.status and "Read-only file system" in refused.stderr, refused
    vm.run(f"dmsetup remove {v.name}")
    memory.bind(vm)
    v.check(0, 1)
    v.open()
    vm.run(f"{TOOL} poke {MEMORY} 0 1 2")


@MACHINE
def test_bad_memory_under_a_mapping(vm: VM) -> None:
    v = volume.make(vm)
    with memory.healed_after(vm):
        vm.run(f"{TOOL} poke {MEMORY} 5 6")
        keeper = _keep(vm, 3)
        sector = memory.places(v)[1].data
        memory.spoil(v, sector)
        # Whoever reads it next finds that out, and the page is lost: nobody else has what was stored.
        read = vm.run(f"dd if={v.path} bs=4096 skip=1 count=1 iflag=direct status=none", check=False)
        assert read.status and "nput/output error" in read.stderr, read
        assert keeper.wait(20).status == 128 + signal.SIGBUS
        assert v.counters()["frames_lost"] == 1
        vm.run(f"{TOOL} poke {MEMORY} 0 2 5 6")
        # A block write of the whole page heals it.
        vm.run(f"dd if=/dev/zero of={v.path} bs=4096 seek=1 count=1 oflag=direct status=none")
        vm.run(f"{TOOL} poke {MEMORY} 1")
        v.close()


@MACHINE
def test_home_that_cannot_be_read(vm: VM) -> None:
    v = Volume(vm).format()
    below = lower.below(v)
    below.open(v)
    vm.run(f"{TOOL} poke {MEMORY} 0")
    below.fail()
    failed = vm.run(f"{TOOL} poke {MEMORY} 1000", check=False, timeout=20)
    assert failed.status == 128 + signal.SIGBUS, failed
    # What is resident does not need the disk.
    vm.run(f"{TOOL} poke {MEMORY} 0")
    below.work()
    vm.run(f"{TOOL} poke {MEMORY} 1000")
    v.close()
    below.remove()


@MACHINE
@pytest.mark.parametrize("options", ["read_only", "writethrough"])
def test_no_memory_where_a_page_cannot_be_stored_to(vm: VM, options: str) -> None:
    v = volume.make(vm)
    vm.run(f"{TOOL} poke {MEMORY} 0")
    v.set_options(options)
    refused = vm.run(f"{TOOL} poke {MEMORY} 0", check=False)
    assert refused.status and "Read-only file system" in refused.stderr, refused
    v.set_options("")
    vm.run(f"{TOOL} poke {MEMORY} 0")
