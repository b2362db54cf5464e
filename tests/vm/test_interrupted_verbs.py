# SPDX-License-Identifier: GPL-2.0-or-later
"""The power fails in the middle of each verb that changes a volume: what is found then, and to run it again.

The moments are the calls of the verb that change something (harness/moments.py): one of them, and all of them
in a soak. Records are kept on a disk of their own, as on a real machine, so that they are as durable
as tierctl makes them. After each cut:

* a record that says that the disk has everything does not lie;
* the state is one of those that the table below allows for the verb;
* run again, the verb ends where it would have without the cut.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from qemu import VM

from tests.harness import lower, moments
from tests.harness.settings import Settings
from tests.harness.volume import MIB, PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks=["64M", "48M"])
DISK, KEPT, RECORDS = "/dev/vda", "/dev/vdb", "/mnt/records"
PAGES = 300
SMALL, LARGE = 32 * 2048, 64 * 2048  # sectors
PINNED = f"{MIB}+{MIB}"
LOST = 5
DAMAGES = (("word", LOST), ("shadow", 7), ("superblock-b", 0))
WHOLE = ("whole", "writethrough", "released")
NONE, OLD, NEW = "no volume", "as before", "as after"


class Stage:
    """The devices and the volume of a round, and what is to be found on it."""

    def __init__(self, vm: VM) -> None:
        self.vm = vm
        self.contents = ""
        self.homes = ""  # what the disk has where that is another thing
        self.capacity = DISK

    @property
    def volume(self) -> Volume:
        """The volume, which may be closed or not be there."""
        return Volume(self.vm, capacity=self.capacity)

    def run(self, command: str) -> str:
        """A command that has to work."""
        return self.vm.run(command, timeout=120).stdout

    def works(self, command: str) -> bool:
        """Whether it does."""
        return self.vm.run(command, check=False, timeout=120).status == 0

    def beginning(self, device: str, skip: int = 0) -> str:
        """A checksum of the first pages, or of those behind `skip`."""
        part = f"bs={PAGE} skip={skip} count={PAGES - skip} iflag=direct status=none"
        return self.run(f"dd if={device} of=/tmp/part {part} && sha256sum /tmp/part")

    def put(self, device: str) -> None:
        """Other contents, as they are to be found again."""
        self.run(f"dd if=/dev/urandom of={device} bs={PAGE} count={PAGES} oflag=direct status=none")
        self.contents = self.beginning(device)

    def listed(self) -> bool:
        """Whether there is a volume."""
        return self.run("tierctl list") != "no volumes were found\n"

    def opened(self) -> None:
        """Open, with its contents."""
        if not self.works("test -e /dev/mapper/v0"):
            self.volume.open(f"--capacity {self.capacity}")
        assert self.beginning("/dev/mapper/v0") == self.contents, "the volume has other contents"

    def closed(self, *allowed: int) -> None:
        """Closed, and nothing wrong with it, or what these statuses of tierctl check stand for."""
        if self.works("test -e /dev/mapper/v0"):
            self.volume.close()
        check = f"tierctl check --fast /dev/pmem0 --capacity {self.capacity} --verify-clean"
        result = self.vm.run(check, check=False, timeout=120)
        assert result.status in (allowed or (0,)), result

    def keep_records(self) -> None:
        """Records are where they outlive a boot."""
        self.run(f"mkdir -p {RECORDS} && mount {KEPT} {RECORDS} && ln -sfnT {RECORDS} /var/lib/tiered")

    def records_do_not_lie(self) -> None:
        """Where a record says so, the disk has everything."""
        for name in self.run(f"cd {RECORDS} && ls | grep 'json$' || true").split():
            homes = json.loads(self.run(f"cat {RECORDS}/{name}"))["homes"]
            if homes in WHOLE:
                assert self.beginning(DISK) == self.contents, f"the disk is not {homes}"


def _nothing(_: Stage) -> None:
    """Empty devices."""


def _data_on_the_disk(at: Stage) -> None:
    at.put(DISK)


def _open_dirty(at: Stage) -> None:
    at.volume.format().open()
    at.volume.set_options("admission all")
    at.put("/dev/mapper/v0")


def _closed_dirty(at: Stage, options: str = "") -> None:
    at.volume.format(options)
    lower.leave_dirty(at.volume, PAGES)
    at.run(f"rm {RECORDS}/*.json")  # of the empty volume; nobody notes what is done without tierctl
    at.volume.open("--read-only")
    at.contents = at.beginning("/dev/mapper/v0")
    at.volume.close()


def _adopted_dirty(at: Stage) -> None:
    at.run(f"mkfs.ext4 -q {DISK}")
    _closed_dirty(at, "--adopt")
    at.homes = at.beginning(DISK)


def _slow_flush(at: Stage) -> None:
    whole = {"device": "disk0", "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}
    at.vm.monitor("block_set_io_throttle", bps=1 << 20, **whole)
    _open_dirty(at)


def _written_through(at: Stage) -> None:
    at.volume.format().open("--writethrough")
    at.put("/dev/mapper/v0")


def _pinned(at: Stage) -> None:
    _open_dirty(at)
    at.run(f"tierctl pin v0 --range {PINNED}")


def _disk_has_grown(at: Stage) -> None:
    below = lower.below(at.volume, SMALL)
    at.capacity = below.path
    _open_dirty(at)
    below.grown(LARGE)


def _damaged(at: Stage) -> None:
    _closed_dirty(at)
    at.volume.open("--read-only")
    at.contents = at.beginning("/dev/mapper/v0", LOST + 1)
    at.volume.close()
    for kind, page in DAMAGES:
        at.run(f"python3 /root/tests/damage.py /dev/pmem0 {kind} {page}")


def _metadata_gone(at: Stage) -> None:
    _closed_dirty(at)
    at.run(f"tierctl dump v0 -o {RECORDS}/v0.dump")
    size = json.loads(at.run(f"cat {RECORDS}/v0.dump"))["layout"]["frames_offset_bytes"]
    at.run(f"dd if=/dev/zero of=/dev/pmem0 bs={PAGE} count={size // PAGE} oflag=direct status=none")


def _formatted(at: Stage) -> str:
    """None, or a whole one, for which one of the two superblocks is enough."""
    if not at.listed():
        return NONE
    at.closed(0, 1)
    return NEW


def _formatted_anew(at: Stage) -> str:
    if not at.listed():
        return NONE
    dirty = any(run["state"] == "dirty" for run in json.loads(at.run("tierctl dump v0"))["words"])
    if dirty:
        assert at.beginning(DISK) == at.homes, "the old volume is there, and its disk is not what it was"
        at.opened()
        at.volume.close()
    at.closed(0, 1)
    return OLD if dirty else NEW


def _attached(at: Stage) -> str:
    assert at.beginning(DISK) == at.contents, "the disk was written to"
    return _formatted(at)


def _detached(at: Stage) -> str:
    """Whoever asks for the volume gets all of it, or is refused and has all of it on the disk."""
    if at.listed() and at.works("tierctl open v0"):
        at.opened()
        return OLD
    assert at.beginning(DISK) == at.contents, "neither volume nor disk has everything"
    return NEW


def _same(at: Stage) -> str:
    """All contents; what the verb changes ends with the volume, or cannot be told apart."""
    at.opened()
    return OLD


def _size(at: Stage) -> str:
    if at.capacity != DISK and not at.works(f"test -e {at.capacity}"):
        at.run(f"dmsetup create {lower.NAME} --table '0 {LARGE} linear {DISK} 0'")
    at.opened()
    sectors = int(at.run("blockdev --getsz /dev/mapper/v0"))
    return {SMALL: OLD, LARGE: NEW}[sectors]


def _pins(at: Stage) -> list[tuple[int, int]]:
    pins = json.loads(at.run("tierctl pin v0 --json"))["pins"]
    return [(pin["offset_bytes"], pin["length_bytes"]) for pin in pins]


def _pin_there(at: Stage) -> str:
    at.opened()
    return {(): OLD, ((MIB, MIB),): NEW}[tuple(_pins(at))]


def _pin_gone(at: Stage) -> str:
    return {OLD: NEW, NEW: OLD}[_pin_there(at)]


def _repaired(at: Stage) -> str:
    """Damaged in fewer places, perhaps, but what is lost is what was lost at first."""
    report = json.loads(at.vm.run("tierctl repair v0 --dry-run --json", check=False).stdout)
    assert [(run["first_page"], run["pages"]) for run in report["lost"]] == [(LOST, 1)], report
    return OLD if report["actions"] else NEW


def _others_are_whole(at: Stage) -> None:
    """The lost page is an error; what is behind it is compared, and what is before can be read."""
    at.volume.open("--read-only")
    read = f"dd if=/dev/mapper/v0 of=/dev/null bs={PAGE} iflag=direct status=none"
    assert at.works(f"{read} count={LOST}") and not at.works(f"{read} skip={LOST} count=1")
    assert at.beginning("/dev/mapper/v0", LOST + 1) == at.contents
    at.volume.close()


def _restored(at: Stage) -> str:
    if not at.works("tierctl open v0 --read-only"):
        return NONE
    at.opened()
    at.volume.close()
    return NEW


def _flushed(at: Stage) -> None:
    at.opened()
    assert at.volume.counters()["frames_dirty"] == 0
    assert at.beginning(DISK) == at.contents


def _let_go(at: Stage) -> None:
    assert at.beginning(DISK) == at.contents
    assert not at.listed() and at.run(f"ls {RECORDS} | grep json || true") == ""


@dataclass(frozen=True)
class Verb:
    """A verb: what it is run on, what may be found after a cut, and how its end is told."""

    command: str
    prepare: Callable[[Stage], None]
    state: Callable[[Stage], str]  # says what is found, and requires that it is whole
    states: tuple[str, ...]
    again: str  # the verb once more; where that may find nothing left to do, it says so
    done: Callable[[Stage], None]
    statuses: tuple[int, ...] = (0,)
    keeps: bool = True  # the contents


FORMAT = f"tierctl format v0 --fast /dev/pmem0 {DISK}"
ATTACH = f"tierctl attach v0 --fast /dev/pmem0 {DISK}"
SET = "tierctl set v0 writethrough"
OPEN_ANEW = "tierctl close v0 && tierctl open v0"
# What was done to its end leaves nothing to be run again on.
DETACH = "tierctl detach v0 2> /tmp/said || grep -q 'no volume called' /tmp/said"
RESTORE = f"tierctl restore {RECORDS}/v0.dump --fast /dev/pmem0"
OPENED, CLOSED = Stage.opened, Stage.closed

VERBS = {
    "format": Verb(
        FORMAT,
        _nothing,
        _formatted,
        (NONE, NEW),
        # One that has one superblock only gets the other when it is opened.
        f"if tierctl list | grep -q v0; then tierctl open v0; else {FORMAT}; fi",
        CLOSED,
        keeps=False,
    ),
    "format-force": Verb(
        f"{FORMAT} --force",
        _adopted_dirty,
        _formatted_anew,
        (OLD, NONE, NEW),
        f"{FORMAT} --force",
        CLOSED,
        keeps=False,
    ),
    "attach": Verb(ATTACH, _data_on_the_disk, _attached, (NONE, NEW), ATTACH, OPENED),
    "detach": Verb("tierctl detach v0", _open_dirty, _detached, (OLD, NEW), DETACH, _let_go),
    "open": Verb("tierctl open v0", _closed_dirty, _same, (OLD,), OPEN_ANEW, OPENED),
    "close": Verb("tierctl close v0", _open_dirty, _same, (OLD,), "tierctl close v0", CLOSED),
    "flush": Verb("tierctl flush v0", _slow_flush, _same, (OLD,), "tierctl flush v0", _flushed),
    "resize": Verb("tierctl resize v0", _disk_has_grown, _size, (OLD, NEW), "tierctl resize v0", OPENED),
    "set": Verb(f"{SET}=yes", _open_dirty, _same, (OLD,), f"{SET}=yes", OPENED),
    "set-back": Verb(f"{SET}=no", _written_through, _same, (OLD,), f"{SET}=no", OPENED),
    "pin": Verb(
        f"tierctl pin v0 --range {PINNED}",
        _open_dirty,
        _pin_there,
        (OLD, NEW),
        f"tierctl pin v0 --range {PINNED}",
        OPENED,
    ),
    "unpin": Verb("tierctl unpin v0 --all", _pinned, _pin_gone, (OLD, NEW), "tierctl unpin v0 --all", OPENED),
    "repair": Verb(
        "tierctl repair v0",
        _damaged,
        _repaired,
        (OLD, NEW),
        "tierctl repair v0; [ $? = 2 ]",
        _others_are_whole,
        statuses=(2,),
    ),
    "restore": Verb(RESTORE, _metadata_gone, _restored, (NONE, NEW), RESTORE, CLOSED),
}


def _prepared(vm: VM, verb: Verb) -> Stage:
    """A new round."""
    vm.run("sh /root/tests/clean.sh")
    at = Stage(vm)
    vm.run(f"mkfs.ext4 -q {KEPT}")
    at.keep_records()
    verb.prepare(at)
    return at


def _completed(at: Stage, verb: Verb) -> None:
    assert verb.state(at) == verb.states[-1]
    verb.done(at)


@MACHINE
@pytest.mark.limit(300)
@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
def test_power_fails_in_the_middle(vm: VM, settings: Settings, verb: Verb) -> None:
    at = _prepared(vm, verb)
    calls = moments.count(vm, verb.command, *verb.statuses)
    _completed(at, verb)
    assert calls > 1, "nothing was seen of what it does"
    # All of them take an hour; one, in the middle, is the same in each run.
    for number in range(1, calls + 1) if settings.soak else [(calls + 1) // 2]:
        at = _prepared(vm, verb)
        call = moments.cut(vm, verb.command, number)
        at.keep_records()
        if verb.keeps:
            at.records_do_not_lie()
        state = verb.state(at)
        print(f"cut before call {number} of {calls}, {call}: {state}")
        assert state in verb.states, f"after a cut before call {number}, {call}: {state}"
        at.run(verb.again)
        _completed(at, verb)
