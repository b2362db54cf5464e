# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel refuses: one clear sentence in its log, nothing left behind."""
from __future__ import annotations

import re

import pytest
from qemu import VM

from tests.harness import lower, memory
from tests.harness.volume import Volume

MACHINE = pytest.mark.vm(nvdimm=["24M", "16M"], disks=["64M", "64M", "96M"])
SECTORS = 131072
GOOD = "/dev/pmem0 1 /dev/vda"
MEMORYLESS = "memory_only is for a volume that has memory"


def _refused(vm: VM, table: str, words: str, name: str = "v0") -> None:
    """Require dmsetup create to fail with one line in the kernel's log that says why."""
    before = len(vm.console())
    result = vm.run(
        f"dmsetup create {name} --table '{table}'; status=$?; dmsetup info {name} && exit 99; exit $status",
        check=False,
    )
    assert result.status != 99, f"was taken, or is left behind: {table}"
    log = [line for line in vm.console()[before:].splitlines() if "device-mapper: " in line]
    said = [line for line in log if re.search(words, line)]
    assert len(said) == 1, f"not said once: {words}\n" + "\n".join(log)


def _still_good(v: Volume) -> None:
    """The driver holds nothing of what it refused, and the volume opens."""
    v.vm.run("rmmod dm_tiered && modprobe dm-tiered")
    v.open()
    assert v.state() == "rw"
    v.close()


TABLES = {
    "no arguments": ("", "Too few arguments"),
    "no capacity device": ("/dev/pmem0 1", "Too few arguments"),
    "a count of 0": ("/dev/pmem0 0 /dev/vda", "number of capacity devices must be 1"),
    "a count of 2": ("/dev/pmem0 2 /dev/vda /dev/vdb", "number of capacity devices must be 1"),
    "a count of -1": ("/dev/pmem0 -1 /dev/vda", "number of capacity devices must be 1"),
    "a count that is none": ("/dev/pmem0 one /dev/vda", "number of capacity devices must be 1"),
    "two disks counted as one": ("/dev/pmem0 1 /dev/vda /dev/vdb", "number of option arguments is wrong"),
    "no such fast device": ("/dev/nothing 1 /dev/vda", "fast device cannot be opened"),
    "no such capacity device": ("/dev/pmem0 1 /dev/nothing", "capacity device cannot be opened"),
    "the same device twice": ("/dev/pmem0 1 /dev/pmem0", "fast device and the capacity device are the same"),
    "an unknown option": (f"{GOOD} 2 colour blue", "Unknown option"),
    "an unknown flag": (f"{GOOD} 1 colour", "not known"),
    "an unknown admission": (f"{GOOD} 2 admission sometimes", "Unknown admission"),
    "an option without its value": (f"{GOOD} 1 admission", "lacks its value"),
    "0 percent": (f"{GOOD} 2 dirty_high 0", "percentage must be"),
    "96 percent": (f"{GOOD} 2 dirty_high 96", "percentage must be"),
    "a percentage that is none": (f"{GOOD} 2 dirty_low many", "percentage must be"),
    "a target that is none": (f"{GOOD} 2 latency_target_us soon", "latency_target_us must be"),
    "a target of more than 10 s": (f"{GOOD} 2 latency_target_us 10000001", "latency_target_us must be"),
    "memory that is read-only": (f"{GOOD} 2 memory_only read_only", MEMORYLESS),
    "memory that writes through": (f"{GOOD} 2 writethrough memory_only", MEMORYLESS),
    "memory without a fast tier": ("- 1 /dev/vda 2 memory_only nothing_dirty", MEMORYLESS),
    "low above high": (f"{GOOD} 4 dirty_high 20 dirty_low 30", "dirty_low must be below dirty_high"),
    "low equal to high": (f"{GOOD} 4 dirty_low 30 dirty_high 30", "dirty_low must be below dirty_high"),
    "more options than counted": (f"{GOOD} 1 read_only read_only", "arguments behind the last option"),
    "fewer options than counted": (
        f"{GOOD} 3 read_only",
        "number of option arguments is wrong|not enough arguments",
    ),
    "a disk as fast device": ("/dev/vdb 1 /dev/vda", "has no DAX.*ndctl create-namespace"),
    "a fast device never formatted": ("/dev/pmem1 1 /dev/vda", "is not of a dm-tiered volume"),
    "another disk": ("/dev/pmem0 1 /dev/vdc", "196608 sectors.*131072.*belongs to this volume"),
}


@MACHINE
def test_bad_table_lines(vm: VM) -> None:
    v = Volume(vm).format()
    for arguments, words in TABLES.values():
        _refused(vm, f"0 {SECTORS} tiered {arguments}", words)
    _refused(vm, f"0 {SECTORS - 8} tiered {GOOD}", "131064 sectors but the volume has 131072")
    _refused(
        vm, f"0 {SECTORS + 8} tiered {GOOD}", "131080 sectors but the volume has 131072|too small for target"
    )
    _refused(vm, f"0 {(1 << 43) + 8} tiered {GOOD}", "longer than a volume can be")
    beside = f"0 8 linear /dev/vdb 0\n8 {SECTORS - 8} tiered {GOOD}"
    _refused(vm, beside, "must appear alone|must begin at sector 0")
    _still_good(v)


@MACHINE
def test_two_volumes_on_one_device(vm: VM) -> None:
    first = Volume(vm).format().open()
    second = Volume(vm, "v1", "/dev/pmem1", "/dev/vdb").format()
    for table in ("/dev/pmem1 1 /dev/vda", "/dev/pmem0 1 /dev/vdb", GOOD, "/dev/vda 1 /dev/vdb"):
        _refused(vm, f"0 {SECTORS} tiered {table}", "in use by another tiered volume", "other")
    second.open()
    mark = vm.log_mark()
    assert (
        vm.run(f"dmsetup reload v0 --table '0 {SECTORS} tiered /dev/pmem0 1 /dev/vdc'", check=False).status
        != 0
    )
    assert "devices of a live volume cannot be exchanged" in vm.log_since(mark)
    assert (first.state(), second.state()) == ("rw", "rw")
    second.close()
    first.close()
    _still_good(first)


@MACHINE
def test_damaged_superblocks(vm: VM) -> None:
    v = Volume(vm).format()
    damage = "printf 'damage' | dd of=/dev/pmem0 bs=1 conv=notrunc,fsync status=none seek="
    backup = "dd if=/dev/pmem0 of=/tmp/superblocks bs=8K count=1 iflag=direct status=none"
    restore = "dd if=/tmp/superblocks of=/dev/pmem0 bs=8K oflag=direct status=none"
    vm.run(backup)
    for copy in (0, 4096):
        vm.run(f"{damage}{copy + 300}")
        v.check(1)
        v.open()
        assert v.state() == "rw", f"one good superblock was not enough (damage at {copy})"
        v.close()
        v.check()  # written anew
        vm.run(restore)
    vm.run(f"{damage}300; {damage}4396")
    _refused(vm, f"0 {SECTORS} tiered {GOOD}", "superblock on .* has a wrong checksum.*tierctl check")
    result = vm.run("tierctl open v0", check=False)
    assert (
        result.status != 0 and "wrong checksum" in result.stderr and result.stderr.count("\n") == 1
    ), result.stderr
    # By path, because a name is only found in a superblock that can be read.
    assert vm.run("tierctl check --fast /dev/pmem0 --capacity /dev/vda", check=False).status == 2
    vm.run(f"{restore}; {damage}0; {damage}4096")
    _refused(vm, f"0 {SECTORS} tiered {GOOD}", "is not of a dm-tiered volume")
    vm.run(restore)
    _still_good(v)


FIELDS = {
    ("version", 9): "format version that this driver does not know",
    ("incompat", 0x80): "features that this driver does not know",
    ("ro_compat", 0x4): "can only read; open it with the option read_only",
    ("fast_bytes", 1 << 40): "made for a larger fast tier",
    ("frames_total", 1 << 32): "impossible number of frames",
    ("frames_total", 0): "impossible number of frames",
    ("shadow_offset", 4096): "regions that overlap",
    ("frames_offset", (1 << 64) - 4096): "regions that overlap",
    ("frame_bytes", 512): "frame size other than 4096",
    ("volume_sectors", 0): "impossible volume size",
    ("volume_sectors", SECTORS + 8): "larger than its capacity tier",
    ("tiers_count", 2): "number of capacity tiers",
    ("tiers_count", 255): "number of capacity tiers",
}


def _readable_only(vm: VM) -> None:
    """A volume with features that can only be read is read, no more: other tables are refused, it goes on."""
    vm.run(f"dmsetup create -r v0 --table '0 {SECTORS} tiered {GOOD} 1 read_only'")
    superblocks = "dd if=/dev/pmem0 bs=8K count=1 iflag=direct status=none | sha256sum"
    before = vm.run(superblocks).stdout
    mark = vm.log_mark()
    vm.run(f"! dmsetup reload v0 --table '0 {SECTORS} tiered {GOOD}' 2> /dev/null")
    vm.run(f"! dmsetup reload -r v0 --table '0 {SECTORS + 8} tiered {GOOD} 1 read_only' 2> /dev/null")
    said = vm.log_since(mark)
    assert "The volume can only be read" in said and "cannot grow while it is read-only" in said, said
    assert vm.run("dmsetup info -c --noheadings -o suspended v0").stdout.strip() == "Active"
    assert vm.run(superblocks).stdout == before
    vm.run("dmsetup remove v0")


@MACHINE
def test_superblock_left_behind_is_brought_up(vm: VM) -> None:
    """A power cut between the superblocks of a growing volume: claims beyond the old end are not damage."""
    v = Volume(vm).format()
    vm.run(f"python3 /root/tests/superblock.py /dev/pmem0 volume_sectors {SECTORS - 8} older")
    v.open()
    v.set_options("admission all")
    vm.run(f"dd if=/dev/urandom of={v.path} bs=4K count=1 seek={SECTORS // 8 - 1} oflag=direct status=none")
    contents = v.sha256()
    v.close()
    for sector in (0, 8):
        memory.spoil(v, sector)
        v.open("--read-only")
        assert v.sha256() == contents
        v.close()
        memory.forget_bad_blocks(vm)


@MACHINE
def test_superblocks_with_impossible_contents(vm: VM) -> None:
    v = Volume(vm).format()
    vm.run("dd if=/dev/pmem0 of=/tmp/superblocks bs=8K count=1 iflag=direct status=none")
    for (field, value), words in FIELDS.items():
        vm.run(f"python3 /root/tests/superblock.py /dev/pmem0 {field} {value}")
        _refused(vm, f"0 {SECTORS} tiered {GOOD}", words)
        if field == "ro_compat":
            _readable_only(vm)
        vm.run("dd if=/tmp/superblocks of=/dev/pmem0 bs=8K oflag=direct status=none")
    _still_good(v)


@MACHINE
def test_truncated_fast_device(vm: VM) -> None:
    v = Volume(vm).format()
    vm.run("dd if=/dev/pmem0 of=/dev/pmem1 bs=1M count=16 oflag=direct status=none")
    _refused(
        vm,
        f"0 {SECTORS} tiered /dev/pmem1 1 /dev/vda",
        "made for a larger fast tier .is the device truncated",
    )
    vm.run("dd if=/dev/zero of=/dev/pmem1 bs=64K count=1 oflag=direct status=none")
    _still_good(v)


@MACHINE
def test_damaged_frame_words(vm: VM) -> None:
    v = Volume(vm).format()
    copy = "dd if=/dev/pmem0 bs=4K skip=2 count=16 iflag=direct status=none of=/tmp/"
    vm.run(f"{copy}before")
    lower.leave_dirty(v, 64)
    vm.run(f"{copy}after")
    # One bad sector of the table: 64 words, of which at least one held a dirty page.
    changed = int(vm.run("cmp -l /tmp/before /tmp/after | head -n 1").stdout.split()[0]) - 1
    vm.run(
        f"dd if=/dev/urandom of=/dev/pmem0 bs=512 seek={16 + changed // 512} count=1 oflag=direct status=none"
    )
    v.check(2)
    mark = vm.log_mark()
    v.open()
    lost = v.counters()["frames_lost"]
    assert 0 < lost <= 64 and v.state() == "degraded"
    assert "word of frame" in vm.log_since(mark) and f"{lost} pages answer errors" in vm.log_since(mark)
    v.close()
    vm.run("dd if=/tmp/after of=/dev/pmem0 bs=4K seek=2 oflag=direct status=none")
    # The same piece of the table and of its shadow: nobody knows what was there.
    place = next(place for place in memory.places(v).values() if place.state == "dirty")
    for sector in (place.word, place.shadow):
        vm.run(f"dd if=/dev/urandom of=/dev/pmem0 bs=512 seek={sector} count=1 oflag=direct status=none")
    _refused(
        vm,
        f"0 {SECTORS} tiered {GOOD}",
        "frame words are damaged or contradict each other.*cannot be told; run .tierctl check",
    )
    v.check(2)
    v.format("--force")
    _still_good(v)
    v.check()


@MACHINE
def test_read_only(vm: VM) -> None:
    v = Volume(vm).format()
    lower.leave_dirty(v, 300)
    v.open("--read-only")
    before = v.sha256()
    assert before != v.sha256(v.capacity)
    assert v.state() == "ro" and v.status()["state"] == "ro"
    assert vm.run(f"blockdev --getro {v.path}").stdout.strip() == "1"
    for command in (
        f"dd if=/dev/zero of={v.path} bs=4K count=1 oflag=direct",
        f"blkdiscard -f {v.path}",
        "dmsetup message v0 0 flush",
        "tierctl flush v0",
    ):
        assert vm.run(command, check=False).status != 0, f"was allowed: {command}"
    assert v.sha256() == before
    assert v.counters()["frames_dirty"] == 300
    v.close()
    # As an option of the table alone: the device itself then takes writes, and the target refuses them.
    vm.run(f"dmsetup create v0 --table '0 {SECTORS} tiered {GOOD} 1 read_only'")
    assert vm.run(f"blockdev --getro {v.path}").stdout.strip() == "0"
    for command in (f"dd if=/dev/zero of={v.path} bs=4K count=1 oflag=direct", f"blkdiscard -f {v.path}"):
        result = vm.run(command, check=False)
        assert "nput/output error" in result.stderr, f"was allowed: {command}: {result}"
    vm.run("dmsetup remove v0")
    v.open()
    assert v.sha256() == before
    v.flush()
    v.close()
    assert v.sha256(v.capacity) == before
    _still_good(v)


@pytest.mark.vm(nvdimm="16M", disks="64M", fresh=True)
@pytest.mark.parametrize("mode", ["raw", "sector"])
def test_namespace_without_dax(vm: VM, mode: str) -> None:
    vm.run(f"ndctl create-namespace -f -e namespace0.0 -m {mode}")
    device = "/dev/pmem0s" if mode == "sector" else "/dev/pmem0"
    for command in (f"tierctl format v0 --fast {device} /dev/vda",):
        result = vm.run(command, check=False)
        assert result.status != 0
        assert f"{mode} mode" in result.stderr and "ndctl create-namespace" in result.stderr, result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
    _refused(vm, f"0 {SECTORS} tiered {device} 1 /dev/vda", "has no DAX.*ndctl create-namespace")
    # What is wrong with the rest is found before the namespace loses what it holds.
    vm.run(f"! tierctl format v0 --fast {device} /dev/nothing --namespace --force")
    assert f'"mode":"{mode}"' in vm.run("ndctl list -N").stdout.replace(" ", "")
    v = Volume(vm).format("--namespace") if mode == "raw" else Volume(vm, fast=device).format("--namespace")
    v.open()
    assert v.state() == "rw"
    v.close()


@MACHINE
@pytest.mark.not_on_debug("zones are not built into it")
def test_zoned_disk_is_refused(vm: VM) -> None:
    v = Volume(vm).format()
    vm.run("modprobe null_blk nr_devices=1 zoned=1 gb=1 zone_size=64")
    _refused(vm, f"0 {SECTORS} tiered /dev/pmem0 1 /dev/nullb0", "zoned capacity device cannot be used")
    result = vm.run("tierctl format v1 --fast /dev/pmem1 /dev/nullb0", check=False)
    assert result.status and "is a zoned disk" in result.stderr
    vm.run("rmmod null_blk")
    _still_good(v)


@MACHINE
@pytest.mark.not_on_debug("scsi_debug is not built for it")
def test_disk_with_protection_information_is_refused(vm: VM) -> None:
    v = Volume(vm).format()
    vm.run("modprobe scsi_debug dev_size_mb=64 dif=1 dix=1")
    # The disk is found in the background.
    found = "grep -l T10 /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/*/integrity/format"
    path = vm.run(f"timeout 20 sh -c 'until {found} 2>/dev/null; do sleep 0.1; done'", timeout=30).stdout
    disk = path.split("/")[-3]
    _refused(vm, f"0 {SECTORS} tiered /dev/pmem0 1 /dev/{disk}", "device with protection information cannot")
    result = vm.run(f"tierctl format v1 --fast /dev/pmem1 /dev/{disk}", check=False)
    assert result.status and "formatted with protection information" in result.stderr
    vm.run("rmmod scsi_debug")
    _still_good(v)
