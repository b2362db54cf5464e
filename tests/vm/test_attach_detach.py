# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk with data is given a fast tier and taken it away again, without copying and whatever interrupts."""
from __future__ import annotations

import json
import random
import signal
import time

import pytest
from qemu import VM

from tests.harness import lower, volume
from tests.harness.refusal import refused
from tests.harness.volume import PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="300M")
DISK = "/dev/vda"
ATTACH = "tierctl attach v0 --fast /dev/pmem0"
STEPS = ("flush", "close", "check", "note", "superblock", "superblocks")
PUT = "dd if=/dev/urandom bs=4K count=600 oflag=direct status=none"
RECORDS = "/var/lib/tiered"


def _populate(vm: VM, folder: str) -> None:
    vm.run(
        f"mkdir {folder} && cd {folder} && for i in $(seq 30); do"
        " dd if=/dev/urandom of=$i bs=4K count=8 status=none; done"
        # In no order of places, which would be a stream.
        " && find /mnt/test -type f | xargs sha256sum | sort > /tmp/sums && sync"
    )


def _disk_reads(vm: VM) -> int:
    """Reads of the disk that it takes to read all files, none of which is in the page cache."""
    text = vm.run(
        "echo 3 > /proc/sys/vm/drop_caches; cat /sys/block/vda/stat;"
        " sha256sum --quiet -c /tmp/sums >&2 && cat /sys/block/vda/stat"
    ).stdout
    before, after = (int(line.split()[0]) for line in text.splitlines())
    return after - before


def _dirty(vm: VM) -> tuple[Volume, str]:
    """A volume with pages that are only in its fast tier, and the checksum of its contents' beginning."""
    v = volume.make(vm, "--force")
    v.set_options("admission all")
    vm.run(f"{PUT} of={v.path}")
    return v, _beginning(vm, v.path)


def _beginning(vm: VM, device: str) -> str:
    return vm.run(f"dd if={device} bs={PAGE} count=600 iflag=direct status=none | sha256sum").stdout


def _require_detached(vm: VM, contents: str) -> None:
    assert _beginning(vm, DISK) == contents
    assert vm.run("tierctl list").stdout == "no volumes were found\n"
    assert vm.run(f"ls {RECORDS}").stdout == ""
    refused(vm, "tierctl detach v0", "no volume called 'v0'")


@MACHINE
def test_file_system_is_fast_at_once_and_whole_afterwards(vm: VM) -> None:
    vm.run(f"mkfs.xfs -q -s size=512 -L shop {DISK} && mount {DISK} /mnt/test")
    _populate(vm, "/mnt/test/bare")
    bare = _disk_reads(vm)
    refused(vm, f"{ATTACH} {DISK}", "is mounted on /mnt/test; .* unmount or close it first")
    vm.run("umount /mnt/test")
    said = vm.run(f"{ATTACH} {DISK}").stdout
    for words in ("300.0 MiB in sectors of 512 bytes", "(xfs) labelled 'shop'", "fstab", "detach v0"):
        assert words in said, said
    vm.run("mount /dev/mapper/v0 /mnt/test")
    first = _disk_reads(vm)
    later = [_disk_reads(vm) for _ in range(4)]  # a fill that was dropped comes another time
    assert first > bare / 2 and later[-1] < bare / 4, f"reads: bare {bare}, first {first}, then {later}"
    _populate(vm, "/mnt/test/tiered")
    refused(vm, "tierctl detach v0", "is mounted on /mnt/test; free it first")
    vm.run("umount /mnt/test")
    said = vm.run("tierctl detach v0").stdout
    assert "pages were compared" in said and "/dev/pmem0 is free" in said, said
    vm.run(f"mount {DISK} /mnt/test && sha256sum --quiet -c /tmp/sums && umount /mnt/test")
    vm.run(f"xfs_repair -n {DISK} && tierctl format v0 --fast /dev/pmem0 {DISK} --adopt")


@MACHINE
def test_detach_goes_on_after_each_step(vm: VM) -> None:
    for step in STEPS:
        v, contents = _dirty(vm)
        said = vm.run(f"tierctl detach v0 --until {step}").stdout
        assert "stopped as asked; tierctl detach v0 goes on" in said, f"{step}: {said}"
        if step != "flush":
            assert _beginning(vm, DISK) == contents, step
            assert not v.vm.run("dmsetup info v0", check=False).stdout
        if step == "superblocks":
            refused(vm, "tierctl open v0", "was being detached on .* end that with: tierctl detach v0")
        vm.run("tierctl detach v0")
        _require_detached(vm, contents)


@pytest.mark.vm(nvdimm=["16M", "24M"], disks="300M")
def test_former_fast_tier_of_a_detached_disk_is_refused(vm: VM) -> None:
    volume.make(vm).close()
    vm.run("sleep 1")  # what records and superblocks count in
    vm.run(f"tierctl format v1 --fast /dev/pmem1 {DISK} --adopt --force && tierctl detach v1 --until note")
    for name in ("v0", "v1"):
        refused(vm, f"tierctl open {name}", f"may have been used by itself since.*tierctl detach {name}")
    vm.run("tierctl detach v1 && dd if=/dev/zero of=/dev/pmem0 bs=8K count=1 oflag=direct status=none")
    # Nothing but the record of the first volume is left, and it claims the disk no longer.
    refused(vm, f"tierctl recognise {DISK}", "belongs to no volume")
    vm.run(f"tierctl attach v2 --fast /dev/pmem1 {DISK} && tierctl detach v2")


@MACHINE
@pytest.mark.limit(90)
def test_detach_goes_on_after_power_cuts(vm: VM) -> None:
    for step in ("superblock", "superblocks"):
        _, contents = _dirty(vm)
        vm.run(f"tierctl detach v0 --until {step}")
        # The guest's root is in its memory; a real one keeps the record.
        record = vm.run(f"cat {RECORDS}/*").stdout
        volume.power_cut(vm)
        name = json.loads(record)["uuid"]
        vm.run(f"mkdir -p {RECORDS} && cat > {RECORDS}/{name}.json", input=record.encode())
        vm.run("tierctl detach v0")
        _require_detached(vm, contents)


def _until_done(vm: VM, rng: random.Random, command: str, number: signal.Signals) -> None:
    """Run the command and end it by a signal, again and again, until it came to its own end."""
    for _ in range(20):
        running = vm.spawn(f"exec {command}")
        time.sleep(rng.uniform(0, 0.6) * vm.factor)
        running.signal(number)
        result = running.wait(60)
        # A signal may come when all is done but the end.
        if result.status == 0 or "no volume called" in result.stderr:
            return
    result = vm.run(command, check=False)
    assert result.status == 0 or "no volume called" in result.stderr, result.stderr


@MACHINE
@pytest.mark.limit(90)
def test_interrupted_verbs_lose_nothing(vm: VM, rng: random.Random) -> None:
    vm.run(f"{PUT} of={DISK}")
    contents = _beginning(vm, DISK)
    _until_done(vm, rng, f"{ATTACH} {DISK}", signal.SIGINT)
    assert _beginning(vm, "/dev/mapper/v0") == contents
    Volume(vm).set_options("admission all")
    vm.run(f"{PUT} of=/dev/mapper/v0")
    contents = _beginning(vm, "/dev/mapper/v0")
    _until_done(vm, rng, "tierctl detach v0", signal.SIGKILL)
    _require_detached(vm, contents)


@MACHINE
def test_interrupted_flush_leaves_the_volume_open(vm: VM) -> None:
    below = lower.below(Volume(vm))
    v = Volume(vm, capacity=below.path).format().open(f"--capacity {below.path}")
    v.set_options("admission all")
    below.hold()
    vm.run(f"{PUT} of={v.path}")
    contents = _beginning(vm, v.path)
    detach = f"tierctl detach v0 --capacity {below.path}"
    running = vm.spawn(f"exec {detach}")
    v.wait_for("flush_left_pages", 1)
    running.signal(signal.SIGINT)
    result = running.wait(60)
    assert result.status == 130 and "stopped waiting" in result.stderr, result
    assert v.state() == "rw"
    below.work()
    vm.run(detach)
    below.remove()
    _require_detached(vm, contents)


@MACHINE
def test_interrupted_close_leaves_nothing_suspended(vm: VM) -> None:
    below = lower.below(Volume(vm))
    v = Volume(vm, capacity=below.path).format().open(f"--capacity {below.path}")
    v.set_options("admission all")
    below.hold()
    vm.run(f"{PUT} of={v.path}")
    v.message("flush")
    v.wait_for("flush_left_pages", 1)
    closing = vm.spawn("exec tierctl close v0")
    # The suspend waits there for what is on its way home.
    vm.run("until grep -q tiered_ /proc/$(pgrep -x tierctl)/stack; do sleep 0.1; done")
    closing.signal(signal.SIGINT)
    below.work()
    closing.wait(60)
    assert "SUSPENDED" not in vm.run("dmsetup info v0", check=False).stdout
    vm.run("! test -e /dev/mapper/v0 || tierctl close v0")
    below.remove()


@MACHINE
def test_closed_volume_with_dirty_pages_is_settled_first(vm: VM) -> None:
    v = Volume(vm).format()
    lower.leave_dirty(v, 9)
    refused(vm, "tierctl detach v0 --capacity /dev/pmem0", "not the capacity disk")
    said = vm.run("tierctl detach v0 --keep").stdout
    assert "9 pages are only in /dev/pmem0" in said and "still holds the volume 'v0'" in said, said
    v.check()
    # A clean page whose home is another one by now.
    vm.run(f"dd if=/dev/urandom of={DISK} bs=4K count=1 oflag=direct status=none")
    refused(vm, "tierctl detach v0", "cannot be shown to be whole: page 0 is clean in frame")
    vm.run("tierctl detach v0 --quick")
    assert vm.run("tierctl list").stdout == "no volumes were found\n"


@MACHINE
def test_mapped_device_is_attached(vm: VM) -> None:
    size = vm.run(f"blockdev --getsz {DISK}").stdout.strip()
    for identity, warned in (("-u LVM-of-a-test", False), ("", True)):
        vm.run(f"dmsetup create data {identity} --table '0 {size} linear {DISK} 0'")
        result = vm.run(f"{ATTACH} /dev/mapper/data")
        assert ("open v0 --capacity /dev/mapper/data" in result.stderr) == warned, result.stderr
        vm.run("tierctl set v0 admission=all")
        vm.run(f"{PUT} of=/dev/mapper/v0 && tierctl flush v0 && tierctl close v0")
        vm.run(f"{PUT} of=/dev/mapper/data")  # what the frames hold is old now
        contents = _beginning(vm, "/dev/mapper/data")
        refused(vm, f"{ATTACH} /dev/mapper/data", "'v0' is there, closed: tierctl open v0, or give --force")
        vm.run(f"{ATTACH} --force /dev/mapper/data")
        assert _beginning(vm, "/dev/mapper/v0") == contents
        vm.run("tierctl close v0")
        # As after an attach that was interrupted when the volume was made.
        vm.run("tierctl format v0 --fast /dev/pmem0 /dev/mapper/data --adopt --force")
        assert "was made before" in vm.run(f"{ATTACH} /dev/mapper/data").stdout
        vm.run("tierctl detach v0" + (" --capacity /dev/mapper/data" if warned else ""))
        assert _beginning(vm, "/dev/mapper/data") == contents
        vm.run("dmsetup remove data")


@MACHINE
def test_attach_and_detach_refuse(vm: VM) -> None:
    for arguments, words in {
        "--fast /dev/pmem0 /dev/nothing": "no device /dev/nothing",
        "--fast /dev/nothing /dev/vda": "no device /dev/nothing",
        "--fast /dev/pmem0 /root": "not a block device",
        "--fast /dev/vda /dev/vda": "no persistent memory with DAX",
        "--fast /dev/pmem0 /dev/pmem0": "the same device",
    }.items():
        refused(vm, f"tierctl attach v0 {arguments}", words)
    for verb in (f"{ATTACH} {DISK}", "tierctl detach v0", "tierctl set v0", "tierctl resize v0"):
        refused(vm, f"setpriv --reuid 1000 --clear-groups {verb}", "root")
    refused(vm, "tierctl detach v0 --until lunch", "lunch")
    holder = vm.spawn(f"exec sleep 1000 < {DISK}")
    vm.run(f"until fuser {DISK} 2>/dev/null || ls -l /proc/[0-9]*/fd | grep -q {DISK}; do :; done")
    refused(vm, f"{ATTACH} {DISK}", r"is held open by sleep \(process")
    holder.signal()
    holder.wait(10)
    v = volume.make(vm)
    assert "is attached to /dev/vda already" in vm.run(f"{ATTACH} {DISK}").stdout
    refused(vm, f"tierctl attach v1 --fast /dev/pmem0 {DISK}", "is part of the open volume 'v0'")
    v.close()
    v.open("--read-only")
    vm.run("tierctl detach v0")
