# SPDX-License-Identifier: GPL-2.0-or-later
"""What was promised, and the judgement on what was found. Pure functions: tests feed them broken findings."""
from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.demo.report import Race
from tests.demo.shop import Order, Stock, order
from tests.harness import gate

# Lines of the kernel's log that are about data, beside those of the gate, which are about the kernel.
DATA_TROUBLE = ("EXT4-fs error", "EXT4-fs warning", "I/O error", "JBD2: ", "Aborting journal")


class Promise(enum.Enum):
    """What a volume is held to, as the sentence that a broken one begins with."""
    SERVES = "a volume can be made and serves a file system"
    FASTER = "SQLite is faster on the volume than on its disk alone"
    OPENS = "the volume opens again after a power cut"
    FILE_SYSTEM = "the file system is clean after a power cut"
    FILES = "every file that was synced survives a power cut unchanged"
    DATABASE = "SQLite finds its database whole after a power cut"
    ORDERS = "every acknowledged transaction survives a power cut"
    CLOSES = "the volume closes in order"
    KERNEL = "the kernel finds nothing to complain about"


@dataclass(frozen=True)
class Broken:
    """A promise that was not kept, and how."""
    promise: Promise
    how: str

    def __str__(self) -> str:
        return f"Broken promise: {self.promise.value}. But {self.how}."


def files(expected: Mapping[str, str], found: Mapping[str, str]) -> list[Broken]:
    """Compare checksums taken before with those taken after."""
    changed = [name for name in expected.keys() & found.keys() if expected[name] != found[name]]
    wrong = {"are missing": sorted(expected.keys() - found.keys()),
             "appeared from nowhere": sorted(found.keys() - expected.keys()),
             "differ": sorted(changed)}
    return [Broken(Promise.FILES, f"{len(names)} of {len(expected)} files {what}, such as {names[0]}")
            for what, names in wrong.items() if names]


def file_system(status: int, output: str) -> list[Broken]:
    """The check that may only look: any status but 0 is a complaint."""
    if status == 0:
        return []
    said = next((line for line in output.splitlines() if line.endswith("no")), output.strip()[-200:])
    return [Broken(Promise.FILE_SYSTEM, f"fsck.ext4 -f -n ends with status {status} ({said.strip()})")]


@dataclass(frozen=True)
class Sales:
    """What the host knows of the shop."""
    seed: str
    items: int
    catalogue: str
    # Orders up to this number were acknowledged, and none beyond `last` was ever placed.
    acknowledged: int
    last: int

    def order(self, number: int) -> Order:
        """The order of that number, as it must be in the database."""
        return order(self.seed, number, self.items)


def database(sales: Sales, stock: Stock) -> list[Broken]:
    """SQLite's own opinion, and the tables that no single order stands for."""
    if stock.integrity != "ok":
        return [Broken(Promise.DATABASE, f"its integrity_check says: {stock.integrity or stock.error}")]
    if stock.error:
        return [Broken(Promise.DATABASE, f"reading it ends with: {stock.error}")]
    if stock.catalogue != sales.catalogue:
        return [Broken(Promise.DATABASE, "the catalogue, which nobody changed, is another one")]
    sold: Counter[int] = Counter()
    for number in stock.orders:
        sold.update(dict(sales.order(number).lines))
    if sold != stock.sold:
        return [Broken(Promise.DATABASE, "the counts of what was sold do not add up to the orders: "
                                         "a transaction took effect in part")]
    return []


def orders(sales: Sales, stock: Stock) -> list[Broken]:
    """Each order that was acknowledged must be there whole; a later one whole, or not at all."""
    lost = [number for number in range(1, sales.acknowledged + 1) if number not in stock.orders]
    if lost:
        return [Broken(Promise.ORDERS, f"{len(lost)} of {sales.acknowledged} acknowledged ones are missing, "
                                       f"the first of them order {lost[0]}")]
    torn = [number for number, digest in stock.orders.items() if digest != sales.order(number).digest]
    if torn:
        return [Broken(Promise.ORDERS, f"{len(torn)} orders are not as they were placed, "
                                       f"the first of them order {min(torn)}")]
    newest = max(stock.orders, default=0)
    if newest != len(stock.orders) or newest > sales.last:
        return [Broken(Promise.ORDERS, f"the database holds {len(stock.orders)} orders up to order {newest}: "
                                       "they do not follow each other")]
    return []


def kernel_log(log: str) -> list[Broken]:
    """The first line of the kernel's log that tells of trouble."""
    lines = gate.trouble_in(log)
    lines += [line for line in log.splitlines() if any(word in line for word in DATA_TROUBLE)]
    return [Broken(Promise.KERNEL, f"it says: {lines[0].strip()}")] if lines else []


def speed(races: Sequence[Race]) -> list[Broken]:
    """The last race counts: by then the fast tier has met the data."""
    last = races[-1]
    if last.speed_up > 1:
        return []
    return [Broken(Promise.FASTER, f"it took {last.volume_seconds:.1f} s on the volume and "
                                   f"{last.bare_seconds:.1f} s on the disk")]
