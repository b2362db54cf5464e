# SPDX-License-Identifier: GPL-2.0-or-later
"""Damage, repair with the real command, open, compare: what was not hit is there, what was is named."""
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from qemu import VM

from tests.harness import lower, memory, volume
from tests.harness.volume import MIB, PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm=["16M", "16M"], disks=["96M", "64M"])
DIRECT = "oflag=direct status=none"
PAGES = 64
NOTHING, REPAIRED, LOST, COULD_NOT = 0, 1, 2, 3

# What is damaged, and whether page 5 is lost by it.
KINDS = {
    "superblock-a": False,
    "superblock-b": False,
    "shadow": False,
    "word": True,
    "twice": True,
}


@pytest.fixture(autouse=True)
def _heal(vm: VM) -> Iterator[None]:
    with memory.healed_after(vm):
        yield
        vm.run("umount /mnt/test 2> /dev/null; dmsetup remove_all")


def _dirty(vm: VM) -> Volume:
    """A closed volume whose first pages are dirty and never were at home; their contents are in /tmp/data."""
    v = Volume(vm).format("--force")
    lower.leave_dirty(v, PAGES)
    v.open("--read-only")
    vm.run(f"dd if={v.path} of=/tmp/data bs={PAGE} count={PAGES} iflag=direct status=none")
    v.close()
    return v


def _damage(v: Volume, kind: str, page: int = 5) -> None:
    v.vm.run(f"python3 /root/tests/damage.py {v.fast} {kind} {page}")


def _repair(v: Volume, status: int, options: str = "") -> dict[str, Any]:
    result = v.vm.run(f"tierctl repair {v.name} --json {options}", check=False)
    assert result.status == status, result
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def _named(report: dict[str, Any]) -> set[int]:
    return {run["first_page"] + i for run in report["lost"] for i in range(run["pages"])}


def _readable(v: Volume, lost: set[int]) -> None:
    """Every page has its contents, but those that are lost, which are errors."""
    v.open("--read-only")
    script = (
        f"exec 3< /tmp/data; for page in $(seq 0 {PAGES - 1}); do "
        f"dd if=/tmp/data of=/tmp/want bs={PAGE} skip=$page count=1 status=none; "
        f"if dd if={v.path} of=/tmp/got bs={PAGE} skip=$page count=1 iflag=direct status=none 2> /dev/null; "
        "then cmp -s /tmp/want /tmp/got || echo wrong $page; else echo error $page; fi; done"
    )
    said = v.vm.run(script, timeout=120).stdout.splitlines()
    assert set(said) == {f"error {page}" for page in lost}, said
    v.close()


@MACHINE
@pytest.mark.limit(240)
def test_each_kind_of_damage(vm: VM) -> None:
    for kind, loses in KINDS.items():
        v = _dirty(vm)
        _damage(v, kind)
        lost = {5} if loses else set()
        dry = _repair(v, LOST if loses else REPAIRED, "--dry-run")
        assert _named(dry) == lost and dry["actions"], (kind, dry)
        assert _repair(v, LOST if loses else REPAIRED)["actions"] == dry["actions"]
        assert _named(_repair(v, LOST if loses else NOTHING)) == lost
        _readable(v, lost)
        v.check(LOST if loses else NOTHING)


@MACHINE
@pytest.mark.limit(120)
def test_bad_frame_and_what_a_crash_leaves(vm: VM) -> None:
    v = _dirty(vm)
    assert not _repair(v, NOTHING)["actions"]
    memory.spoil(v, memory.places(v)[9].data + 2)
    assert _named(_repair(v, LOST)) == {9}
    memory.forget_bad_blocks(vm)
    _readable(v, {9})
    # A sector of words that takes no write: emulated memory cannot be mended.
    places = memory.places(v)
    sector = places[5].word
    hit = {page for page, place in places.items() if place.word == sector}
    memory.spoil(v, sector)
    report = _repair(v, LOST)
    assert _named(report) == hit | {9} and report["left"], report
    _readable(v, hit | {9})


@MACHINE
@pytest.mark.limit(120)
def test_what_cannot_be_told_has_to_be_accepted(vm: VM) -> None:
    v = _dirty(vm)
    _damage(v, "both")
    report = _repair(v, LOST)
    assert report["needs_accept_loss"] and len(report["unknown"]) == 1, report
    assert vm.run("tierctl open v0", check=False).status
    _repair(v, LOST, "--accept-loss")
    _repair(v, NOTHING)
    v.open()
    # The page shows its home, which has zeroes: that was accepted. All others are whole.
    vm.run(f"dd if=/dev/zero of=/tmp/data bs={PAGE} seek=5 count=1 conv=notrunc status=none")
    v.close()
    _readable(v, set())
    _damage(v, "beyond")
    assert _repair(v, LOST)["lost_beyond_the_end"][0]["first_page"] == 96 * MIB // PAGE + 7
    _repair(v, LOST, "--accept-loss")
    _readable(v, set())
    _damage(v, "superblock-a")
    _damage(v, "superblock-b")
    result = vm.run(f"tierctl repair --fast {v.fast} --capacity {v.capacity}", check=False)
    assert result.status == COULD_NOT and "tierctl restore" in result.stderr, result


@MACHINE
@pytest.mark.limit(180)
def test_files_that_lost_pages_are_found(vm: VM) -> None:
    """With a file system on top: what is not hit can be read, and the hint names the file that was."""
    below = lower.below(Volume(vm))
    v = Volume(vm, capacity=below.path).format().open(f"--capacity {below.path}")
    v.set_options("admission all")
    vm.run(f"mkfs.ext4 -q -b 4096 {v.path} && mount {v.path} /mnt/test && cp -r /etc /mnt/test")
    vm.run("dd if=/dev/urandom of=/mnt/test/victim bs=4K count=16 conv=fsync status=none")
    vm.run("fsfreeze -f /mnt/test")  # or the journal's next commit makes pages dirty after the flush
    v.flush()
    vm.run("fsfreeze -u /mnt/test")
    below.fail_writes()  # from here on nothing goes home
    vm.run(f"dd if=/dev/urandom of=/mnt/test/victim bs=4K count=16 conv=notrunc {DIRECT}")
    vm.run("cd /mnt/test && find etc -type f | xargs sha256sum > /tmp/sums; cd /; umount /mnt/test")
    blocks = [int(b) for b in vm.run(f"debugfs -R 'blocks /victim' {v.path} 2> /dev/null").stdout.split()]
    vm.run(f"dmsetup remove {v.name}")
    below.work()
    below.remove()
    v = Volume(vm)
    places = memory.places(v)
    _damage(v, "word", blocks[3])
    # Last: what finds words in the tests takes the superblock that looks newest.
    _damage(v, "superblock-b")
    memory.spoil(v, places[blocks[7]].data)
    report = _repair(v, LOST)
    assert _named(report) == {blocks[3], blocks[7]}, report
    memory.forget_bad_blocks(vm)
    v.open()
    icheck = report["how_to_find_files"][0].split("   ")[0]
    found = vm.run(f"{icheck} 2> /dev/null").stdout
    assert f"{blocks[3]}\t" in found and f"{blocks[7]}\t" in found, found
    inodes = {line.split()[1] for line in found.splitlines()[1:]}
    names = vm.run(f"debugfs -R 'ncheck {' '.join(inodes)}' {v.path} 2> /dev/null").stdout
    assert re.search(r"\d+\s+/+victim$", names.strip()), names
    vm.run(f"mount {v.path} /mnt/test && cd /mnt/test && sha256sum --quiet -c /tmp/sums")
    assert vm.run("cat /mnt/test/victim > /dev/null", check=False).status
    vm.run("umount /mnt/test")
    v.close()


@MACHINE
@pytest.mark.limit(120)
def test_interrupted_repair_is_run_again(vm: VM) -> None:
    v = _dirty(vm)
    # The superblock last: what finds words in the tests takes the one that looks newest.
    for kind, page in (("word", 5), ("twice", 6), ("shadow", 7), ("superblock-b", 0)):
        _damage(v, kind, page)
    for delay in ("0.01", "0.05", "0.2"):
        vm.run(f"timeout -s INT {delay} tierctl repair v0", check=False)
    vm.spawn("exec tierctl repair v0")
    volume.power_cut(vm)
    assert _named(_repair(v, LOST)) == {5, 6}
    assert not _repair(v, LOST)["actions"]
    v.open("--read-only")
    read = f"dd if={v.path} bs=4K count=1 iflag=direct of=/dev/null"
    for page in (5, 6):
        assert vm.run(f"{read} skip={page}", check=False).status
    vm.run(f"dd if={v.path} bs=4K skip=7 count=57 iflag=direct of=/dev/null")
    v.close()


@MACHINE
@pytest.mark.limit(120)
def test_restore_from_a_dump(vm: VM) -> None:
    v = _dirty(vm)
    vm.run("tierctl dump v0 -o /tmp/v0.dump")
    dump = json.loads(vm.run("cat /tmp/v0.dump").stdout)
    dirty = sum(run["count"] for run in dump["words"] if run["state"] == "dirty")
    assert (dump["format"], dump["version"], dirty) == ("dm-tiered dump", 1, PAGES)
    metadata = dump["layout"]["frames_offset_bytes"]
    assert "nothing to restore" in vm.run("tierctl restore /tmp/v0.dump --fast /dev/pmem0").stdout
    for kind in ("superblock-a", "superblock-b"):
        _damage(v, kind)
    vm.run("tierctl restore /tmp/v0.dump --fast /dev/pmem0")
    _readable(v, set())
    vm.run(f"dd if=/dev/zero of={v.fast} bs=4096 count={metadata // 4096} {DIRECT}")
    vm.run("timeout -s INT 0.05 tierctl restore /tmp/v0.dump --fast /dev/pmem0", check=False)
    vm.run("tierctl restore /tmp/v0.dump --fast /dev/pmem0")
    v.check()
    _readable(v, set())


@MACHINE
@pytest.mark.limit(120)
def test_check_of_a_volume_in_use(vm: VM) -> None:
    v = volume.make(vm)
    writer = vm.spawn(
        f"fio --name=w --filename={v.path} --rw=randwrite --bs=4k --direct=1 --size=32M --time_based "
        "--runtime=1000 --output=/dev/null"
    )
    v.wait_for("write_fills", 100)
    for _ in range(3):
        result = vm.run("tierctl check v0 --verify-clean", check=False)
        assert result.status == NOTHING, result
    assert "changed_words" in json.loads(vm.run("tierctl check v0 --json").stdout)
    assert vm.run("tierctl check v0 --clear-needs-check", check=False).status == COULD_NOT
    writer.signal()
    writer.wait(20)
    v.flush()
    # What is damaged stands in both readings.
    _damage(v, "both", next(iter(memory.places(v))))
    assert vm.run("tierctl check v0", check=False).status == LOST
    v.close()


def _refused(vm: VM, command: str, status: int, words: str) -> None:
    result = vm.run(f"tierctl {command}", check=False)
    assert result.status == status, f"{command}: {result}"
    assert result.stderr.startswith("tierctl: ") and result.stderr.count("\n") == 1, result
    assert re.search(words, result.stderr), f"{command}\n{result.stderr}"


@MACHINE
@pytest.mark.limit(120)
def test_bad_input(vm: VM) -> None:
    v = Volume(vm).format()
    vm.run("tierctl dump v0 -o /tmp/v0.dump && echo '{}' > /tmp/no.dump")
    tiers = "--fast /dev/pmem0 --capacity /dev/vda"
    for verb, failed in (("repair", COULD_NOT), ("dump", 1)):
        capacity = "--capacity /dev/vda" if verb == "repair" else ""
        _refused(vm, f"{verb} nobody", failed, "no volume called 'nobody'")
        _refused(vm, f"{verb} --fast /dev/nothing {capacity}", failed, "/dev/nothing.*no such file")
        _refused(vm, f"{verb} --fast /root {capacity}", failed, "/root.*(directory|neither a block device)")
        _refused(vm, f"{verb} --fast /dev/zero {capacity}", failed, "neither a block device nor an image")
        _refused(vm, f"{verb} --fast /dev/pmem1 {capacity}", failed, "there is no volume")
    _refused(vm, "repair --fast /dev/pmem0 --capacity /dev/vdb", COULD_NOT, "not the capacity tier")
    _refused(vm, "dump v0 -o /root/none/x", 1, "/root/none/x.*cannot be written")
    restore = "restore /tmp/v0.dump --fast"
    _refused(vm, "restore /tmp/none.dump --fast /dev/pmem0", 1, "cannot be opened")
    _refused(vm, "restore /tmp/no.dump --fast /dev/pmem0", 1, "is no dump of a volume")
    _refused(vm, f"{restore} /dev/nothing", 1, "/dev/nothing.*no such file")
    _refused(vm, f"{restore} /dev/zero", 1, "neither a block device nor an image")
    vm.run("tierctl format v1 --fast /dev/pmem1 /dev/vdb && truncate -s 2M /tmp/small")
    _refused(vm, f"{restore} /dev/pmem1", 1, "holds the volume 'v1'")
    _refused(vm, f"{restore} /tmp/small", 1, "made of a fast tier of")
    v.open()
    for command, failed in ((f"repair {tiers}", COULD_NOT), ("repair v0", COULD_NOT), ("dump v0", 1)):
        _refused(vm, command, failed, "is part of the open volume|is open.*tierctl close v0")
    _refused(vm, f"{restore} /dev/pmem0", 1, "is part of the open volume 'v0'")
    v.close()
    user = "setpriv --reuid 1000 --clear-groups tierctl"
    for command, words in (
        ("repair v0", "needs root"),
        (f"repair {tiers}", "ermission denied"),
        ("dump v0", "needs root"),
        (f"{restore} /dev/pmem0", "ermission denied"),
    ):
        result = vm.run(f"{user} {command}", check=False)
        assert result.status and re.search(words, result.stderr), f"{command}: {result}"
