# SPDX-License-Identifier: GPL-2.0-or-later
"""The volume as memory by calls: read, write, hints, debuggers, and what cannot be done with it."""
from __future__ import annotations

import signal
import time

import pytest
from qemu import VM, Running

from tests.harness import acks, lower, memory, volume
from tests.harness.volume import Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
MEMORY = "/dev/tiered/v0"
TOOL = "python3 /root/tests/memory.py"
CALLS = "python3 /root/tests/memory_calls.py"
PAGES = 96 * 256


@MACHINE
def test_ends_of_the_volume(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"{CALLS} ends {MEMORY} {PAGES}")
    v.close()
    v.check()


@MACHINE
def test_tail_of_less_than_a_page_is_no_memory(vm: VM) -> None:
    below = lower.Lower(vm, "/dev/vda", PAGES * 8 - 3)
    vm.run(f"dmsetup create {lower.NAME} --table '0 {below.sectors} linear {below.disk} 0'")
    v = volume.make(vm, capacity=below.path)
    assert int(vm.run(f"blockdev --getsz {v.path}").stdout) == below.sectors
    vm.run(f"{CALLS} ends {MEMORY} {PAGES - 1}")
    v.close()
    below.remove()


@MACHINE
@pytest.mark.parametrize("what", ["halfway", "requests", "debug", "core"])
def test_calls(vm: VM, what: str) -> None:
    v = volume.make(vm)
    vm.run(f"{CALLS} {what} {MEMORY}")
    v.close()
    v.check()


@MACHINE
def test_refusals(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"{CALLS} refusals {MEMORY} {v.path}")


@MACHINE
def test_what_was_written_is_dirty_and_stays(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"dd if=/dev/zero of={v.path} bs=64K count=10 oflag=direct status=none")
    v.flush()
    before = v.counters()["writeback_bytes"]
    # Resident and clean, missing and written whole: all are dirty now, and none was resident otherwise.
    vm.run(f"{TOOL} put {MEMORY} 0 1 7 1000 24575")
    v.flush()
    now = v.counters()
    assert now["memory_fills"] == 2 and now["writeback_bytes"] - before == 5 * 4096, (before, now)
    # Nobody has a page mapped: what is overwritten as a block need not wait.
    vm.run(f"dd if=/dev/zero of={v.path} bs=4K count=1 seek=7 oflag=direct status=none")
    now = v.counters()
    assert now["parked"] == 0 and now["memory_unmaps"] == 0, now
    v.close()
    v.check()
    v.open()
    vm.run(f"{TOOL} get {MEMORY} 0 1 1000 24575")
    vm.run(f"! {TOOL} get {MEMORY} 7 2>/dev/null")


@MACHINE
def test_whole_pages_are_written_without_their_homes(vm: VM) -> None:
    v = Volume(vm).format()
    below = lower.below(v)
    below.open(v)
    below.fail()
    vm.run(f"{TOOL} put {MEMORY} 1000 && {TOOL} get {MEMORY} 1000")
    failed = vm.run(f"{TOOL} get {MEMORY} 1001", check=False, timeout=20)
    assert "Input/output error" in failed.stderr, failed
    below.work()
    vm.run(f"{TOOL} put {MEMORY} 1001 && {TOOL} get {MEMORY} 1001")
    v.close()
    below.remove()


@MACHINE
def test_lost_page(vm: VM) -> None:
    v = volume.make(vm)
    with memory.healed_after(vm):
        # Stored to all the time, it is not at home when it goes bad.
        keeper = vm.spawn(f"exec {TOOL} keep {MEMORY} 3")
        while not acks.lines_of(keeper):
            assert keeper.poll() is None, keeper.wait(1)
            time.sleep(0.1)
        memory.spoil(v, memory.places(v)[1].data)
        failed = vm.run(f"{TOOL} get {MEMORY} 1", check=False)
        assert "Input/output error" in failed.stderr, failed
        assert v.counters()["frames_lost"] == 1
        refused = vm.run(f"{TOOL} put {MEMORY} 1", check=False)
        assert "Input/output error" in refused.stderr, refused
        assert keeper.wait(20).status == 128 + signal.SIGBUS
        vm.run(f"{TOOL} put {MEMORY} 0 2 && {TOOL} get {MEMORY} 0 2")
        v.close()


def _waits(vm: VM, command: str) -> Running:
    """The command, which does not end."""
    waiting = vm.spawn(f"exec {command}")
    time.sleep(1)
    assert waiting.poll() is None, waiting.wait(1)
    return waiting


@MACHINE
def test_calls_wait_for_a_suspended_volume(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"{TOOL} put {MEMORY} 3 4 5")
    vm.run(f"dmsetup suspend {v.name}")
    waiting = [_waits(vm, f"{TOOL} {what} {MEMORY} {page}") for what, page in (("get", 3), ("put", 9))]
    killed = _waits(vm, f"{TOOL} get {MEMORY} 4")
    killed.signal(signal.SIGKILL)
    assert killed.wait(10).status == 128 + signal.SIGKILL
    vm.run(f"dmsetup resume {v.name}")
    for running in waiting:
        running.wait(20, check=True)
    vm.run(f"{CALLS} debug-suspended {MEMORY} {v.name}")


def _holder(vm: VM, error: str, feed: str) -> Running:
    """A program that makes its calls once more as soon as there is a file `feed`."""
    # Opened for both, the pipe lets nobody wait for the other side.
    vm.run(f"rm -f {feed} && mkfifo {feed}")
    holder = vm.spawn(f"exec {CALLS} gone {MEMORY} {error} 0<>{feed}")
    while not acks.lines_of(holder):
        assert holder.poll() is None, holder.wait(1)
        time.sleep(0.1)
    return holder


def _ask(vm: VM, holder: Running, feed: str) -> None:
    """Have it make its calls, and see that each ended with its error."""
    vm.run(f"echo >{feed}")
    while len(acks.lines_of(holder)) < 2:
        assert holder.poll() is None, holder.wait(1)
        time.sleep(0.1)
    holder.signal(signal.SIGKILL)
    holder.wait(10)


@MACHINE
def test_volume_that_is_gone(vm: VM) -> None:
    feed = "/tmp/feed"
    v = volume.make(vm)
    holder = _holder(vm, "EROFS", feed)
    v.set_options("read_only")
    _ask(vm, holder, feed)
    v.set_options("")
    holder = _holder(vm, "ENODEV", feed)
    vm.run(f"dmsetup remove --force {v.name}", check=False, timeout=30)
    _ask(vm, holder, feed)
    vm.run(f"dmsetup remove --retry {v.name}", check=False, timeout=30)
    v.open()
    holder = _holder(vm, "EROFS", feed)
    memory.unbind(vm)
    _ask(vm, holder, feed)
    vm.run(f"dmsetup remove {v.name}")
    memory.bind(vm)
    v.check(0, 1)


@MACHINE
def test_memory_alone(vm: VM) -> None:
    mark = vm.log_mark()
    v = Volume(vm).format().open("--memory-only")
    table = v.table()
    assert table.endswith(" 1 memory_only"), table
    assert v.status()["memory_only"] and "memory alone" in vm.run(f"tierctl status {v.name}").stdout
    vm.run(f"{TOOL} put {MEMORY} 0 1 && {TOOL} poke {MEMORY} 2 && {CALLS} requests {MEMORY}")
    for command, error in (
        (f"dd if={v.path} of=/dev/null bs=4K count=1", "Input/output error"),
        (f"dd if=/dev/zero of={v.path} bs=4K count=1", "Operation not permitted"),
        (f"blkdiscard {v.path}", ""),
        (f"mount -t ext4 {v.path} /mnt", ""),
    ):
        refused = vm.run(command, check=False)
        assert refused.status and error in refused.stderr, (command, refused)
    assert vm.log_since(mark).count("answers errors because the table says memory_only") == 1
    # The option stays when others change, and when the volume is made anew from its table.
    vm.run(f"tierctl set {v.name} dirty_high=50 dirty_low=20 && {TOOL} put {MEMORY} 0")
    assert " memory_only " in v.table()
    vm.run(f"dmsetup table {v.name} > /tmp/table && dmsetup remove {v.name} && "
           f"dmsetup create {v.name} < /tmp/table && {TOOL} get {MEMORY} 0")
    assert vm.run(f"dd if={v.path} of=/dev/null bs=4K count=1", check=False).status
    v.set_options("")
    vm.run(f"dd if={v.path} bs=4K count=1 status=none | dd of={v.path} bs=4K oflag=direct status=none")
    assert not v.status()["memory_only"]
    vm.run(f"{TOOL} get {MEMORY} 0")
    v.close()
    v.check()
