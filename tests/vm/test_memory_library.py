# SPDX-License-Identifier: GPL-2.0-or-later
"""What libtiered makes of the volume as memory, by the examples in userspace/libtiered/example."""
from __future__ import annotations

import random
import time

import pytest
from qemu import VM, Running

from tests.harness import acks, volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
LARGER_THAN_FAST_MIB = 24


def _await_visits(vm: VM, running: Running, count: int) -> None:
    deadline = time.monotonic() + 20 * vm.factor
    while len(acks.lines_of(running)) < count:
        assert running.poll() is None, f"the visitor ended: {running.wait(1)}"
        assert time.monotonic() < deadline, f"only {acks.lines_of(running)} in time"
        time.sleep(0.05)


def _visit(vm: VM, arguments: str) -> list[str]:
    done = vm.run(f"visits {arguments}")
    # The volume's memory is durable without msync, so that it has nothing to complain of.
    assert not done.stderr, done
    return done.stdout.splitlines()


@MACHINE
def test_root_is_found_again(vm: VM) -> None:
    v = volume.make(vm)
    assert _visit(vm, f"{v.name} anna 2") == ["anna 1", "anna 2"]
    assert _visit(vm, f"/dev/tiered/{v.name} bert") == ["bert 1"]
    v.close()
    v.check()
    v.open()
    assert _visit(vm, f"{v.name} anna") == ["anna 3"]
    assert _visit(vm, f"{v.name} bert") == ["bert 2"]


@MACHINE
@pytest.mark.limit(60)
def test_counts_outlive_a_kill(vm: VM, rng: random.Random) -> None:
    v = volume.make(vm)
    assert _visit(vm, f"{v.name} anna 5")[-1] == "anna 5"
    visitor = vm.spawn(f"exec visits {v.name} bert 1000000000")
    _await_visits(vm, visitor, 10)
    time.sleep(rng.uniform(0, 1))
    volume.power_cut(vm)
    said = int(acks.lines_of(visitor)[-1].split()[1])
    v.open()
    assert _visit(vm, f"{v.name} anna") == ["anna 6"]
    counted = int(_visit(vm, f"{v.name} bert")[0].split()[1])
    # What was printed was durable; what was durable may not have been printed, or not have arrived here.
    assert counted > said, (counted, said)
    v.close()
    v.check()


@MACHINE
def test_two_do_not_get_one_root(vm: VM) -> None:
    v = volume.make(vm)
    visitor = vm.spawn(f"exec visits {v.name} anna 1000000000")
    _await_visits(vm, visitor, 1)
    refused = vm.run(f"visits {v.name} bert", check=False)
    assert refused.status == 1 and "is in use, by another process" in refused.stderr, refused
    visitor.signal()
    visitor.wait(10)
    assert _visit(vm, f"{v.name} bert") == ["bert 1"]


@MACHINE
def test_containers_larger_than_the_fast_tier(vm: VM) -> None:
    v = volume.make(vm)
    # What is there already is not taken for zeros.
    vm.run(f"fio --name=fill --filename={v.path} --rw=write --bs=1M --direct=1 --size=96M --minimal")
    said = vm.run(f"large_map {v.name} {LARGER_THAN_FAST_MIB}", timeout=60).stdout
    assert "4194 entries as they were stored" in said, said
    now = v.counters()
    assert now["evictions"] and now["memory_faults"], now
    v.close()
    v.check()


@MACHINE
def test_refusals(vm: VM) -> None:
    v = volume.make(vm)
    for arguments, sentence in (("v9 anna", "there is no /dev/tiered/v9: open the volume with tierctl open"),
                                (f"{v.path} anna", f"{v.path} is a block device, not memory")):
        refused = vm.run(f"visits {arguments}", check=False)
        assert refused.status == 1 and sentence in refused.stderr, refused
    v.set_options("read_only")
    refused = vm.run(f"visits {v.name} anna", check=False)
    assert refused.status == 1 and "open the volume without that" in refused.stderr, refused
    v.set_options("")
    assert _visit(vm, f"{v.name} anna") == ["anna 1"]
    # Damage in the slot of the root, which is not guessed around.
    vm.run(f"printf X | dd of={v.path} bs=1 seek=24 conv=notrunc status=none && sync {v.path}")
    refused = vm.run(f"visits {v.name} anna", check=False)
    assert refused.status == 1 and "restore the range from a backup" in refused.stderr, refused
