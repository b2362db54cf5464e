# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo itself, from the first format to the last checksum."""
from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, fields
from pathlib import Path

from qemu import VM, VMError
from qemu.channel import RemoteCommand

from tests.demo import judge, plants, shop
from tests.demo.diary import CommandBroke, Diary, Guest
from tests.demo.judge import Broken, Promise, Sales
from tests.demo.plan import BARE, CAPACITY, FAST, Plan
from tests.demo.report import Account, Hits, Race, Status
from tests.demo.tree import Tree, read_sums

HERE = Path(__file__).resolve().parent
SCRIPTS = (HERE / "shop.py", HERE / "guest" / "sums.py")
NAME = "demo"
VOLUME = f"/dev/mapper/{NAME}"
SEED = "demo"
DATABASE = "/mnt/volume/shop.db"
BARE_DATABASE = "/mnt/bare/shop.db"
MOUNT = f"mount {VOLUME} /mnt/volume; mount {BARE} /mnt/bare"
# The interrupted round would go on for this many times the orders that it is granted.
PLENTY = 100
# How long that round may take to get there, in seconds with KVM.
INTERRUPT_SECONDS = 120.0


@dataclass(frozen=True)
class Goods:
    """What the host prepares for the guest: a file tree and a database, both known byte for byte."""
    tree: Tree
    database: bytes
    catalogue: str


class Stopped(Exception):
    """A promise was broken in such a way that nothing more can be tried."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(str(broken))
        self.broken = broken


@contextlib.contextmanager
def holding(promise: Promise) -> Iterator[None]:
    """Whatever goes wrong inside breaks this promise."""
    try:
        yield
    except (VMError, CommandBroke) as error:
        raise Stopped(Broken(promise, str(error).splitlines()[0].rstrip("."))) from error


class Acknowledgements:
    """The numbers that the interrupted round sends out of the guest as it goes."""

    def __init__(self, first: int, enough: int) -> None:
        self._text = bytearray()
        self._errors = bytearray()
        self._first = first
        self._enough = enough
        self.reached = threading.Event()

    def take(self, data: bytes, error: bool) -> None:
        """The channel's sink."""
        (self._errors if error else self._text).extend(data)
        if self.last >= self._first + self._enough - 1:
            self.reached.set()

    @property
    def last(self) -> int:
        """The last number that came whole."""
        whole = bytes(self._text).rpartition(b"\n")[0].splitlines()
        return int(whole[-1]) if whole else self._first - 1

    @property
    def errors(self) -> str:
        """What the round complained about."""
        return self._errors.decode(errors="replace").strip()


class Demo:
    """One run."""

    def __init__(self, vm: VM, plan: Plan, goods: Future[Goods], diary: Diary,
                 damage: Collection[str] = ()) -> None:
        self.account = Account(plan)
        self.broken: list[Broken] = []
        self._vm = vm
        self._plan = plan
        self._goods = goods
        self._diary = diary
        self._damage = damage
        self._guest = Guest(vm, diary)

    def run(self) -> None:
        """All of it. Afterwards `broken` is empty, or tells what was not kept."""
        try:
            with holding(Promise.SERVES):
                self._make()
                self._copy()
                for number, journal in enumerate(shop.JOURNALS):
                    self._race(1 + number * self._plan.orders, journal)
                self._interrupted_round()
            if self._plan.fast:
                self.broken += judge.speed(self.account.races)
            self._boot_again()
            with holding(Promise.OPENS):
                self._open_again()
            self._check()
        except Stopped as stopped:
            self.broken.append(stopped.broken)
        self.broken += judge.kernel_log(self._vm.console())

    # ---- before the power cut -----------------------------------------------------------------

    def _make(self) -> None:
        self._diary.say("making the volume and its file system")
        self._put_scripts()
        self._guest.run("modprobe dm-tiered")
        self._guest.run(f"tierctl format {NAME} --fast {FAST} {CAPACITY}")
        self._guest.run(f"tierctl open {NAME}")
        self._guest.run(f"mkfs.ext4 -q {VOLUME}; mkfs.ext4 -q {BARE}")
        self._guest.run(f"mkdir -p /mnt/volume /mnt/bare; {MOUNT}")

    def _put_scripts(self) -> None:
        for script in SCRIPTS:
            self._vm.put(script, f"/tmp/{script.name}")

    def _copy(self) -> None:
        goods = self._goods.result()
        tree = goods.tree
        self.account.files, self.account.bytes = len(tree.sums), tree.bytes
        self._diary.say(f"copying {len(tree.sums):,} files onto it")
        command = "mkdir /mnt/volume/tree; tar -x -C /mnt/volume/tree"
        unpack = self._guest.run(command, 120, input=tree.archive)
        sync = self._guest.run("sync")
        self.account.copy_seconds = unpack.seconds + sync.seconds
        self._diary.say("giving both disks the same database")
        self._guest.run("cat > /tmp/shop.db", input=goods.database)
        for folder in ("/mnt/volume", "/mnt/bare"):
            self._guest.run(f"cp /tmp/shop.db {folder}; sync")
        self._guest.run("rm /tmp/shop.db")

    def _race(self, first: int, journal: str) -> None:
        """The same orders on both, with nothing of the file systems in memory at the start.

        The account keeps the hits of the last race: by then the fast tier has met the data.
        """
        last = first + self._plan.orders - 1
        self._diary.say(f"SQLite ({journal}) takes orders {first} to {last} on bare disk and volume in turns")
        self._guest.run(f"umount /mnt/volume /mnt/bare; {MOUNT}", 120)
        before = self._status()
        command = _shop("race", journal, first, self._plan.orders, SEED, BARE_DATABASE, DATABASE)
        bare_seconds, volume_seconds = json.loads(self._guest.run(command, 300).stdout)
        self.account.races.append(Race(journal, bare_seconds, volume_seconds))
        self.account.hits = Hits.between(before, self._status())

    def _status(self) -> Status:
        found = json.loads(self._guest.run(f"tierctl status {NAME} --json").stdout)
        return Status(**{one.name: found[one.name] for one in fields(Status)})

    def _interrupted_round(self) -> None:
        first = 1 + len(shop.JOURNALS) * self._plan.orders
        self._diary.say(f"SQLite (wal) takes orders from {first} on, each reported; files are copied too")
        acknowledged = Acknowledgements(first, self._plan.acknowledged)
        self._guest.start("cp -a /mnt/volume/tree /mnt/volume/copy")
        command = _shop("announce", first, PLENTY * self._plan.acknowledged, SEED, DATABASE)
        remote = self._guest.start(command, acknowledged.take)
        self._await(acknowledged, remote)
        self._vm.cut_power()
        self.account.acknowledged = acknowledged.last
        self._diary.say(f"cut the power after order {acknowledged.last}")

    def _await(self, acknowledged: Acknowledgements, remote: RemoteCommand) -> None:
        deadline = self._diary.seconds + INTERRUPT_SECONDS * self._vm.factor
        while not acknowledged.reached.wait(0.2):
            remote.check()
            if remote.status is not None:
                raise VMError(f"SQLite stopped after order {acknowledged.last} ({acknowledged.errors})")
            if self._diary.seconds > deadline:
                raise VMError(f"SQLite came only as far as order {acknowledged.last}")

    # ---- after it -----------------------------------------------------------------------------

    def _boot_again(self) -> None:
        if "file" in self._damage:
            plants.spoil_state(self._vm.state_path, self._goods.result().tree)
        self._diary.say("starting the machine again")
        self._vm.boot()

    def _open_again(self) -> None:
        self._put_scripts()
        self._guest.run("modprobe dm-tiered")
        self.account.open_seconds = self._guest.run(f"tierctl open {NAME}").seconds
        self.account.found = self._status()

    def _check(self) -> None:
        with holding(Promise.FILE_SYSTEM):
            self._check_file_system()
            self._guest.run(f"mount {VOLUME} /mnt/volume")
        self._try(Promise.FILES, self._check_files)
        self._try(Promise.DATABASE, self._check_database)
        self._try(Promise.CLOSES, self._close)

    def _try(self, promise: Promise, check: Callable[[], None]) -> None:
        """A check after which the others still make sense."""
        try:
            with holding(promise):
                check()
        except Stopped as stopped:
            self.broken.append(stopped.broken)

    def _check_file_system(self) -> None:
        self._diary.say("replaying ext4's journal by a mount, then fsck.ext4 -f -n")
        self._guest.run(f"mkdir -p /mnt/volume; mount {VOLUME} /mnt/volume; umount /mnt/volume", 120)
        if "filesystem" in self._damage:
            self._guest.run(plants.file_system_command(VOLUME))
        fsck = self._guest.run(f"fsck.ext4 -f -n {VOLUME}", 300, check=False)
        found = judge.file_system(fsck.status, fsck.stdout + fsck.stderr)
        self.broken += found
        verdict = "not clean" if found else "clean"
        self.account.checked = f"ext4: its journal replayed by a mount, then fsck.ext4 -f -n: {verdict}"

    def _check_files(self) -> None:
        self._diary.say("reading every file back")
        expected = self._goods.result().tree.sums
        found = read_sums(self._guest.run("python3 /tmp/sums.py /mnt/volume/tree", 300).stdout)
        self.account.intact_files = sum(found.get(name) == digest for name, digest in expected.items())
        self.broken += judge.files(expected, found)

    def _check_database(self) -> None:
        self._diary.say("looking for every acknowledged order")
        if "order" in self._damage:
            self._guest.run(plants.order_command(DATABASE, self.account.acknowledged))
        if "database" in self._damage:
            self._guest.run(plants.database_command(DATABASE))
        stock = shop.parse_stock(self._guest.run(_shop("stock", DATABASE), 120).stdout)
        plan, acknowledged = self._plan, self.account.acknowledged
        sales = Sales(SEED, plan.items, self._goods.result().catalogue, acknowledged,
                      len(shop.JOURNALS) * plan.orders + PLENTY * plan.acknowledged)
        self.account.integrity = stock.integrity or stock.error
        self.account.orders_found = len(stock.orders)
        self.broken += judge.database(sales, stock) + judge.orders(sales, stock)

    def _close(self) -> None:
        self._guest.run(f"umount /mnt/volume; tierctl close {NAME}; rmmod dm-tiered", 120)


def _shop(*arguments: object) -> str:
    return " ".join(["python3 /tmp/shop.py", *map(str, arguments)])


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
