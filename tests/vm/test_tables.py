# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of a mapped device: table lines that recreate it, reload, suspend, create and remove."""
from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from qemu import VM, Running

from tests.harness import fio, lower, volume
from tests.harness.settings import Settings
from tests.harness.volume import Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
SECTORS = 96 * 2048
OPTIONS = (
    "",
    "read_only",
    "admission small",
    "admission all",
    "admission none",
    "dirty_high 70",
    "dirty_low 5",
    "writethrough",
    "memory_only",
    "latency_target_us 0",
    "read_only admission all dirty_high 90 dirty_low 10",
    "memory_only admission all dirty_high 90 dirty_low 10",
    "writethrough admission all dirty_high 90 dirty_low 10 latency_target_us 10000000",
)


@MACHINE
def test_table_line_recreates_the_volume(vm: VM) -> None:
    v = Volume(vm).format()
    for options in OPTIONS:
        counted = f" {len(options.split())} {options}" if options else ""
        vm.run(f"dmsetup create v0 --table '0 {SECTORS} tiered /dev/pmem0 1 /dev/vda{counted}'")
        table = v.table()
        assert table.endswith(f"1 254:0{counted}"), table
        vm.run("dmsetup table v0 > /tmp/table && dmsetup remove v0 && dmsetup create v0 < /tmp/table")
        assert v.table() == table
        # As it stands, into the live device as well.
        vm.run("dmsetup table v0 | dmsetup load v0 && dmsetup resume v0")
        assert v.table() == table
        assert v.state() == ("ro" if "read_only" in options else "rw")
        vm.run("dmsetup remove v0")


def _until_done(running: Running, enough: int) -> Iterator[int]:
    """Numbers while a job runs, and at least `enough`."""
    number = 0
    while number < enough or running.poll() is None:
        yield number
        number += 1


def _start_verifying(v: Volume, rng: random.Random, settings: Settings) -> Running:
    options = fio.verify_options(rng.randrange(1 << 30), "48M", loops=settings.amount(1, 40))
    return fio.start(v.vm, v.path, **options)


@MACHINE
def test_reload_under_verify(vm: VM, rng: random.Random, settings: Settings) -> None:
    v = volume.make(vm)
    job = _start_verifying(v, rng, settings)
    choices = ("admission all", "admission none dirty_high 30 dirty_low 10", "admission small", "")
    for number in _until_done(job, settings.amount(5, 100)):
        v.set_options(choices[number % len(choices)])
    fio.end(job)
    v.close()
    v.check()


@MACHINE
@pytest.mark.parametrize("how", ["", "--noflush", "--nolockfs"])
def test_suspend_and_resume_under_verify(vm: VM, rng: random.Random, settings: Settings, how: str) -> None:
    v = volume.make(vm)
    job = _start_verifying(v, rng, settings)
    for _ in _until_done(job, settings.amount(5, 100)):
        vm.run("dmsetup suspend {how} v0 && dmsetup resume v0".format(how=how))
    fio.end(job)
    v.close()
    v.check()


@MACHINE
def test_suspended_volume_keeps_requests_waiting(vm: VM) -> None:
    v = volume.make(vm)
    vm.run("dmsetup suspend v0")
    reader = vm.spawn(f"dd if={v.path} of=/dev/null bs=4K count=1 iflag=direct")
    vm.run("sleep 1")
    assert reader.poll() is None, "a read went through a suspended volume"
    vm.run("dmsetup resume v0")
    assert reader.wait(20).status == 0


@MACHINE
def test_refused_reload_leaves_the_volume_alive(vm: VM) -> None:
    v = volume.make(vm)
    table = v.table()
    vm.run(f"dd if=/dev/urandom of={v.path} bs=4K count=16 oflag=direct status=none")
    before = v.sha256()
    for bad in (f"{table} 1 colour", f"{table} 2 dirty_high 500", table.replace("254:0", "259:0")):
        assert vm.run(f"dmsetup reload v0 --table '{bad}'", check=False).status != 0, bad
    assert (v.table(), v.state(), v.sha256()) == (table, "rw", before)


@MACHINE
def test_status_before_and_after_the_first_resume(vm: VM) -> None:
    v = Volume(vm).format()
    vm.run(
        f"dmsetup create v0 --notable && dmsetup load v0 --table '0 {SECTORS} tiered /dev/pmem0 1 /dev/vda'"
    )
    assert vm.run("dmsetup status v0").stdout.strip() == ""
    refused = vm.run("dmsetup message v0 0 flush", check=False).status != 0
    assert refused or vm.release.startswith("6.12."), "a message that reaches nobody went well"
    vm.run("dmsetup resume v0")
    assert v.state() == "rw"
    assert vm.run("dmsetup message v0 0 uuid").stdout.strip() == v.status()["uuid"]
    mark = vm.log_mark()
    assert vm.run("dmsetup message v0 0 frobnicate", check=False).status != 0
    assert "unknown message frobnicate; known are flush, " in vm.log_since(mark)


def _unreclaimable_kib(vm: VM) -> int:
    vm.run("sync; echo 3 > /proc/sys/vm/drop_caches")
    text = vm.run("cat /proc/meminfo").stdout
    values = {line.split()[0].rstrip(":"): int(line.split()[1]) for line in text.splitlines()}
    return sum(values[name] for name in ("SUnreclaim", "VmallocUsed", "Percpu", "KernelStack"))


@MACHINE
@pytest.mark.limit(120)
def test_create_and_remove_leak_nothing(vm: VM, settings: Settings) -> None:
    count = settings.amount(20, 1000)
    v = Volume(vm).format()
    cycle = (
        f"dmsetup create v0 --table '0 {SECTORS} tiered /dev/pmem0 1 /dev/vda 2 admission all' && "
        "dd if=/dev/zero of=/dev/mapper/v0 bs=64K count=20 oflag=direct status=none && "
        "dmsetup table v0 | dmsetup load v0 && dmsetup resume v0 && dmsetup remove v0"
    )
    refused = f"! dmsetup create v0 --table '0 {SECTORS - 8} tiered /dev/pmem0 1 /dev/vda' 2>/dev/null"
    both = f"{cycle} && {refused}"
    vm.run(f"for i in 1 2 3; do {both} || exit 1; done")
    before = _unreclaimable_kib(vm)
    vm.run(f"i=0; while [ $i -lt {count} ]; do {both} || exit 1; i=$((i + 1)); done", timeout=30 + 5 * count)
    # One volume of this size holds about 80 KiB of DRAM; a leak of one in ten would show. What workers of the
    # kernel hold for a moment goes away.
    deadline = time.monotonic() + 10 * vm.factor
    while (grown := _unreclaimable_kib(vm) - before) >= 400 + count * 8 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert grown < 400 + count * 8, "memory grew"
    vm.run("rmmod dm_tiered && modprobe dm-tiered")
    v.open()
    v.close()


@MACHINE
def test_remove_while_in_use_is_refused(vm: VM) -> None:
    v = volume.make(vm)
    holder = vm.spawn(f"exec sleep 1000 < {v.path}")
    vm.run("until [ $(dmsetup info -c --noheadings -o open v0) = 1 ]; do :; done")
    assert "busy" in vm.run("dmsetup remove v0", check=False).stderr.lower()
    assert "in use" in vm.run("rmmod dm_tiered", check=False).stderr
    assert v.state() == "rw"
    holder.signal()
    holder.wait(10)
    vm.run("dmsetup remove v0")


@MACHINE
def test_dirty_pages_outlive_close_and_open(vm: VM) -> None:
    v = Volume(vm).format()
    lower.leave_dirty(v, 500)
    v.check()
    v.open()
    contents = v.sha256()
    assert contents != v.sha256(v.capacity)
    v.flush()
    v.close()
    assert v.sha256(v.capacity) == contents
