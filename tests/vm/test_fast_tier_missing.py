# SPDX-License-Identifier: GPL-2.0-or-later
"""A fast tier is missing: its disk serves alone when it has everything, and what is known is said if not."""
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from qemu import VM

from tests.harness import lower, memory, volume
from tests.harness.volume import Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
SECTORS = 96 * 2048
ALONE = f"0 {SECTORS} tiered - 1 /dev/vda"
PUT = "dd if=/dev/urandom bs=4K count=300 oflag=direct status=none"


@contextmanager
def _missing(vm: VM) -> Iterator[None]:
    """Without the persistent memory."""
    memory.unbind(vm)
    try:
        yield
    finally:
        memory.bind(vm)


def _refused(vm: VM, command: str, *words: str) -> None:
    result = vm.run(command, check=False)
    assert result.status == 1 and result.stderr.count("\n") == 1, f"{command}: {result}"
    assert all(word in result.stderr for word in words), result.stderr


def _written(vm: VM, options: str = "") -> tuple[Volume, str]:
    """An open volume with data, and their checksum."""
    v = volume.make(vm)
    if options:
        v.close()
        v.open(options)
    vm.run(f"{PUT} of={v.path}")
    return v, v.sha256()


@MACHINE
def test_clean_volume_is_served_by_its_disk(vm: VM) -> None:
    v, contents = _written(vm)
    v.flush()
    v.close()
    with _missing(vm):
        _refused(vm, "tierctl open v0", "/dev/pmem0", "is missing", "--without-fast")
        v.open("--without-fast --read-only")
        assert (v.state(), v.sha256()) == ("degraded", contents)
        v.close()
        v.open("--without-fast")
        status = v.status()
        assert (status["state"], status["fast"]) == ("degraded", None) and len(status["uuid"]) == 36
        assert "missing: the disk is open alone" in vm.run("tierctl status v0").stdout
        vm.run(f"{PUT} of={v.path} seek=100")
        contents = v.sha256()
        v.close()
    # What the fast tier says of these pages is old now.
    _refused(vm, "tierctl open v0", "for writing without /dev/pmem0", "--adopt --force")
    vm.run("tierctl format v0 --fast /dev/pmem0 /dev/vda --adopt --force")
    v.open()
    assert v.sha256() == contents
    v.close()


@MACHINE
def test_disk_that_is_found_open_alone_is_noted(vm: VM) -> None:
    v = Volume(vm).format()
    homes = "grep -o '\"homes\": .*' /var/lib/tiered/*"
    uuid = json.loads(vm.run("cat /var/lib/tiered/*").stdout)["uuid"]
    for option, noted in (("read_only", "whole"), ("nothing_dirty", "alone")):
        # As from an initramfs, whose records are others.
        vm.run(f"dmsetup create v0 -u TIERED-{uuid} --table '{ALONE} 1 {option}' && tierctl note-open")
        assert noted in vm.run(homes).stdout, option
        vm.run("dmsetup remove v0")
    _refused(vm, "tierctl open v0", "for writing without /dev/pmem0")
    v.format("--adopt --force")


@pytest.mark.vm(nvdimm=["16M", "24M"], disks="96M")
def test_damaged_fast_tier_of_another_volume_ends_no_waiting(vm: VM) -> None:
    v = Volume(vm).format()
    vm.run("mkdir -p /etc/tiered.d; cat > /etc/tiered.d/v0.conf", input=b"name = v0\nwait = 60\n")
    # Two superblocks with a magic that do not check.
    vm.run(f"dd if={v.fast} of=/dev/pmem1 bs=4K count=2 oflag=direct status=none")
    for place in (1000, 5096):
        vm.run(f"printf x | dd of=/dev/pmem1 bs=1 seek={place} conv=notrunc,fsync status=none")
    assert "cannot be used" in vm.run("tierctl list").stderr
    memory.unbind(vm)
    opening = vm.spawn("exec tierctl open --configured v0")
    # It waits for an event, after its first look.
    vm.run("until grep -q poll /proc/$(pgrep -x tierctl)/stack; do sleep 0.1; done")
    memory.bind(vm)
    assert opening.wait(90).status == 0
    assert v.state() == "rw"
    v.close()
    vm.run("rm -r /etc/tiered.d; dd if=/dev/zero of=/dev/pmem1 bs=4K count=2 oflag=direct status=none")


@MACHINE
def test_written_through_volume_is_served_by_its_disk_after_a_crash(vm: VM) -> None:
    v, contents = _written(vm, "--writethrough")
    with _missing(vm):
        vm.run("dmsetup remove v0")  # nobody closes it properly
        v.open("--without-fast --read-only")
        assert v.sha256() == contents
        v.close()


@MACHINE
def test_volume_that_lacks_pages_says_how_many(vm: VM) -> None:
    below = lower.below(Volume(vm))
    v = Volume(vm, capacity=below.path).format().open(f"--capacity {below.path}")
    v.set_options("admission all")
    below.hold()  # nothing goes home
    vm.run(f"dd if=/dev/urandom of={v.path} bs=4K count=256 oflag=direct status=none")
    below.fail()
    v.close()
    below.remove()
    alone = "tierctl open v0 --without-fast"
    with _missing(vm):
        lacks = "256 pages (1.0 MiB) were only there when it was closed"
        _refused(vm, "tierctl open v0", lacks, "--accept-loss")
        _refused(vm, alone, "256 pages")
        v.open("--without-fast --accept-loss")
        assert vm.run(f"dd if=/dev/zero of={v.path} bs=4K count=1 oflag=direct", check=False).status
        v.close()
    v.open()
    vm.run("dmsetup remove v0")  # nobody closes it properly
    with _missing(vm):
        _refused(vm, alone, "nobody knows which pages")
    v.open()
    v.flush()
    v.close()
    with _missing(vm):
        v.open("--without-fast")
        v.close()


@MACHINE
def test_unknown_volume_is_not_guessed_at(vm: VM) -> None:
    with _missing(vm):
        _refused(vm, "tierctl open nobody --without-fast", "no record")
    v = Volume(vm).format()
    _refused(vm, "tierctl open v0 --without-fast", "is here, on /dev/pmem0")
    vm.run("echo rubbish > /var/lib/tiered/$(ls /var/lib/tiered | head -n 1)")
    with _missing(vm):
        _refused(vm, "tierctl open v0 --without-fast", "is damaged", "remove it")
    vm.run("rm -r /var/lib/tiered")
    v.open()
    v.close()


@MACHINE
def test_table_without_fast_device(vm: VM) -> None:
    v = Volume(vm)
    for given, shown in (("", " 1 read_only"), (" 1 nothing_dirty", " 1 nothing_dirty")):
        vm.run(f"dmsetup create v0 --table '{ALONE}{given}'")
        assert v.table().endswith(f"tiered - 1 254:0{shown}"), v.table()
        assert v.state() == "degraded" and v.counters()["frames_total"] == 0
        write = vm.run(f"dd if=/dev/zero of={v.path} bs=4K count=1 oflag=direct", check=False)
        assert (write.status == 0) == ("nothing_dirty" in given), write.stderr
        for message in ("flush", "heat", "lost", "uuid"):
            assert vm.run(f"dmsetup message v0 0 {message}", check=False).status
        assert json.loads(vm.run("tierctl list --json").stdout)[0]["state"] == "degraded"
        vm.run("dmsetup table v0 | dmsetup load v0 && dmsetup resume v0")
        second = vm.run(f"dmsetup create v1 --table '{ALONE}'", check=False)
        assert second.status, "two volumes on one disk"
        vm.run("dmsetup table v0 > /tmp/table && dmsetup remove v0 && dmsetup create v0 < /tmp/table")
        vm.run("dmsetup remove v0")
    mark = vm.log_mark()
    vm.run("! dmsetup create v0 --table '0 8 tiered /dev/pmem0 1 /dev/vda 1 nothing_dirty'")
    assert "nothing_dirty is for a volume without its fast tier" in vm.log_since(mark)
    vm.run(f"! dmsetup create v0 --table '0 {SECTORS + 8} tiered - 1 /dev/vda' || dmsetup remove v0")


@MACHINE
def test_flushes_and_discards_reach_the_disk_alone(vm: VM) -> None:
    v = Volume(vm)
    vm.run(f"dmsetup create v0 --table '{ALONE} 1 nothing_dirty'")
    vm.run(f"{PUT} of={v.path} conv=fsync && blkdiscard -o 8192 -l 65536 {v.path}")
    counters = v.counters()
    assert counters["flushes_passed"] > 0 and counters["write_bypass"] == 300
    vm.run(f"blockdev --flushbufs {v.path}; cmp -n 65536 -i 8192:0 {v.path} /dev/zero")
    assert v.sha256() == v.sha256("/dev/vda")
    vm.run("dmsetup remove v0")
