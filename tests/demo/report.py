# SPDX-License-Identifier: GPL-2.0-or-later
"""The account: what happened, in a dozen lines."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.demo.plan import IOPS, Plan

MIB = 1 << 20


@dataclass(frozen=True)
class Status:
    """Some of what `tierctl status --json` says."""
    frames_dirty: int
    frames_clean: int
    read_hits: int
    read_misses: int
    write_hits: int
    write_fills: int
    write_bypass: int


@dataclass(frozen=True)
class Hits:
    """Pages touched between two looks at the status, and how many of them met the fast tier."""
    read: int
    read_hit: int
    written: int
    write_hit: int
    taken: int

    @staticmethod
    def between(before: Status, after: Status) -> Hits:
        """What happened from one look to the next."""
        read_hit = after.read_hits - before.read_hits
        write_hit = after.write_hits - before.write_hits
        taken = write_hit + after.write_fills - before.write_fills
        return Hits(read_hit + after.read_misses - before.read_misses, read_hit,
                    taken + after.write_bypass - before.write_bypass, write_hit, taken)


@dataclass(frozen=True)
class Race:
    """The same orders on the bare disk and on the volume."""
    journal: str
    bare_seconds: float
    volume_seconds: float

    @property
    def speed_up(self) -> float:
        """How many times as fast the volume is."""
        return self.bare_seconds / self.volume_seconds


@dataclass
class Account:
    """What happened so far; the demo fills it in as it goes."""
    plan: Plan
    machine: str = ""
    files: int = 0
    bytes: int = 0
    copy_seconds: float = 0.0
    races: list[Race] = field(default_factory=list)
    hits: Hits | None = None
    acknowledged: int = 0
    open_seconds: float = 0.0
    found: Status | None = None
    checked: str = ""
    intact_files: int | None = None
    integrity: str = ""
    orders_found: int | None = None


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _race(race: Race) -> str:
    name = {"delete": "rollback journal", "wal": "WAL"}[race.journal]
    return (f"{name:16}  bare disk {race.bare_seconds:.1f} s, volume {race.volume_seconds:.1f} s: "
            f"{race.speed_up:.1f} times as fast")


def _before(account: Account) -> Iterator[str]:
    plan = account.plan
    yield f"machine     {account.machine}"
    yield f"volume      a disk of 4 GiB and {IOPS:,} IOPS with an NVDIMM of 512 MiB; ext4 on it"
    if account.copy_seconds:
        yield (f"copied      {account.files:,} files, {account.bytes / MIB:.1f} MiB, and synced them, in "
               f"{account.copy_seconds:.1f} s; their checksums are on the host")
    if account.races:
        yield (f"SQLite      {plan.orders} transactions, synchronous=FULL, on a file system just mounted; "
               "the bare disk is the equal of the volume's")
        yield from (f"  {_race(race)}" for race in account.races)
    if account.hits is not None:
        hits = account.hits
        yield (f"  {'hit ratio':16}  {_percent(hits.read_hit, hits.read)} of reads, "
               f"{_percent(hits.write_hit, hits.written)} of writes; "
               f"the fast tier took {_percent(hits.taken, hits.written)} of the pages written")


def _after(account: Account) -> Iterator[str]:
    if account.acknowledged:
        yield (f"power cut   in the middle of more orders and of a second copy; order {account.acknowledged} "
               "was the last to be acknowledged")
    if account.found is not None:
        found = account.found
        yield (f"opened      in {account.open_seconds:.1f} s; the fast tier holds "
               f"{found.frames_dirty:,} pages that the disk has not, and {found.frames_clean:,} that it has")
    if account.checked:
        yield f"afterwards  {account.checked}"
    if account.intact_files is not None:
        yield f"            {account.intact_files:,} of {account.files:,} files, by their checksums"
    if account.orders_found is not None:
        yield (f"            {account.orders_found} orders, {account.acknowledged} of them acknowledged; "
               f"SQLite's integrity_check: {account.integrity}")


def lines(account: Account) -> list[str]:
    """The account as it is printed."""
    return [*_before(account), *_after(account)]
