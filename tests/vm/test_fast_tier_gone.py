# SPDX-License-Identifier: GPL-2.0-or-later
"""The namespace is unbound under an open volume: errors, nothing stale, no hang, all is there afterwards."""
from __future__ import annotations

from collections.abc import Iterator

import pytest
from qemu import VM

from tests.harness import lower, memory, volume
from tests.harness.volume import PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
DIRECT = "oflag=direct status=none"
PAGES = 64
SMALL, LARGE = 64 << 11, 96 << 11  # sectors of a disk before and after it grows


@pytest.fixture(autouse=True)
def _bind(vm: VM) -> Iterator[None]:
    """Leaves the machine to the next test with its memory, whatever became of this one."""
    yield
    if vm.alive and vm.run("test -b /dev/pmem0", check=False).status:
        vm.run("dmsetup remove_all --force")
        memory.bind(vm)


def _fails(vm: VM, command: str) -> None:
    result = vm.run(command, check=False)
    assert result.status != 0, f"no error: {command}"
    assert "nput/output error" in result.stderr, result.stderr


def _read(v: Volume, first: int, count: int) -> str:
    return f"dd if={v.path} of=/tmp/read bs={PAGE} skip={first} count={count} iflag=direct status=none"


@MACHINE
def test_what_is_whole_on_the_disk_is_read_and_the_rest_is_an_error(vm: VM) -> None:
    v = Volume(vm).format()
    below = lower.below(v)
    below.open(v, "admission all")
    vm.run(f"dd if=/dev/urandom of=/tmp/data bs={PAGE} count={2 * PAGES} status=none")
    vm.run(f"dd if=/tmp/data of={v.path} bs={PAGE} count={PAGES} {DIRECT}")
    v.flush()
    below.hold()  # what is dirty from here on stays so
    vm.run(f"dd if=/tmp/data of={v.path} bs={PAGE} skip={PAGES} seek={PAGES} count={PAGES} {DIRECT}")
    memory.unbind(vm)
    below.work()
    vm.run(f"{_read(v, 0, PAGES)} && cmp -n {PAGES * PAGE} /tmp/read /tmp/data")
    _fails(vm, _read(v, PAGES, 1))
    _fails(vm, f"dd if=/tmp/data of={v.path} bs={PAGE} count=1 {DIRECT}")
    _fails(vm, f"dd if=/tmp/data of={v.path} bs={PAGE} seek=4096 count=1 {DIRECT}")
    _fails(vm, f"blkdiscard -f -l {PAGE} {v.path}")
    assert v.state() == "degraded"
    mark = vm.log_mark()
    assert vm.run(f"tierctl flush {v.name}", check=False).status
    assert "nothing can be written home, the fast tier is gone" in vm.log_since(mark)
    vm.run(f"dmsetup remove {v.name}")
    below.remove()
    memory.bind(vm)
    v.open()
    vm.run(f"{_read(v, 0, 2 * PAGES)} && cmp -n {2 * PAGES * PAGE} /tmp/read /tmp/data")
    v.close()
    v.check()


@MACHINE
@pytest.mark.parametrize("load", ["randread", "randwrite", "randrw"])
def test_unbound_under_load(vm: VM, load: str) -> None:
    v = volume.make(vm)
    vm.run(f"dd if=/dev/zero of={v.path} bs=1M count=24 {DIRECT}")
    running = vm.spawn(
        f"fio --name=load --filename={v.path} --rw={load} --bs=4k --size=24M --direct=1 --ioengine=libaio "
        "--iodepth=16 --numjobs=2 --time_based --runtime=60 --continue_on_error=all --error_dump=0"
    )
    v.wait_for("read_hits" if load == "randread" else "write_hits", 200)
    memory.unbind(vm)
    mark = v.counters()
    vm.run("sleep 1")  # the load goes on, on a volume without its fast tier
    assert v.state() == "degraded" and v.counters()["write_hits"] == mark["write_hits"]
    vm.run("pkill fio")
    running.wait(timeout=30, check=False)
    vm.run(f"dmsetup remove --retry {v.name}")
    memory.bind(vm)
    v.open()
    assert v.state() == "rw"
    v.close()
    v.check()


@MACHINE
def test_suspended_and_reloaded_volume_comes_back_without_its_memory(vm: VM) -> None:
    below = lower.below(Volume(vm), SMALL)
    v = Volume(vm, capacity=below.path).format().open(f"--capacity {below.path}")
    vm.run(f"dd if=/dev/urandom of=/tmp/data bs={PAGE} count={PAGES} status=none")
    vm.run(f"dd if=/tmp/data of={v.path} bs={PAGE} count={PAGES} {DIRECT}")
    v.flush()
    same = v.table()
    below.grown(LARGE)
    memory.unbind(vm)
    same_read = f"{_read(v, 0, PAGES)} && cmp /tmp/read /tmp/data"
    for command in (f"dmsetup suspend {v.name}", f"dmsetup reload {v.name} --table '{same}'"):
        vm.run(f"{command} && dmsetup resume {v.name} && {same_read}")
        _fails(vm, f"dd if=/tmp/data of={v.path} bs={PAGE} count=1 {DIRECT}")
    mark = vm.log_mark()
    vm.run(f"dmsetup reload {v.name} --table '{same.replace(str(SMALL), str(LARGE))}'")
    assert vm.run(f"dmsetup resume {v.name}", check=False).status
    assert "cannot change its size while the fast tier is gone" in vm.log_since(mark)
    vm.run(f"dmsetup reload {v.name} --table '{same}' && dmsetup resume {v.name} && {same_read}")
    vm.run(f"dmsetup remove {v.name}")
    memory.bind(vm)
    v.open(f"--capacity {below.path}")
    vm.run(same_read)
    v.close()
    below.remove()


@MACHINE
def test_state_changes_raise_events(vm: VM) -> None:
    v = volume.make(vm)
    number = vm.run(f"dmsetup info -c --noheadings -o events {v.name}").stdout.strip()
    waiting = vm.spawn(f"dmsetup wait {v.name} {number}")
    assert waiting.poll() is None, "there was an event before the memory went"
    memory.unbind(vm)
    # Whoever uses it finds out.
    _fails(vm, f"dd if=/dev/zero of={v.path} bs={PAGE} count=1 {DIRECT}")
    waiting.wait(timeout=10, check=True)
    vm.run(f"dmsetup remove {v.name}")
    memory.bind(vm)
