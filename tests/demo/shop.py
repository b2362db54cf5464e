# SPDX-License-Identifier: GPL-2.0-or-later
"""The SQLite workload: a shop that takes orders. Runs in the guest, and tells the host what must be there.

Every order follows from the seed and its number alone, so the host can tell for each one whether it is in the
database whole, without having seen it. Only the standard library: the guest runs this file by itself.
"""
from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
JOURNALS = ("delete", "wal")
LINES = 10
STOCK = 1_000_000
CUSTOMERS = 10_000
SCHEMA = """
CREATE TABLE items (id INTEGER PRIMARY KEY, info TEXT NOT NULL,
                    stock INTEGER NOT NULL CHECK (stock >= 0), sold INTEGER NOT NULL);
CREATE TABLE orders (number INTEGER PRIMARY KEY, customer INTEGER NOT NULL, note TEXT NOT NULL);
CREATE TABLE lines (number INTEGER NOT NULL, item INTEGER NOT NULL, quantity INTEGER NOT NULL,
                    PRIMARY KEY (number, item)) WITHOUT ROWID;
"""
# -1: what is left and what was sold do not add up.
SOLD = """SELECT id, CASE WHEN stock + sold = ? THEN sold ELSE -1 END FROM items
          WHERE sold <> 0 OR stock <> ?"""
# Six items fill a page of the database.
INFO_BLOCKS = 10


@dataclass(frozen=True)
class Order:
    """An order; lines are items with quantities, by item."""
    number: int
    customer: int
    note: str
    lines: tuple[tuple[int, int], ...]

    @property
    def digest(self) -> str:
        """Tells orders apart that differ in anything."""
        text = repr((self.number, self.customer, self.note, self.lines))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def order(seed: str, number: int, items: int) -> Order:
    """The order of that number. The newest items sell best: 6 % of them make half of the sales."""
    source = hashlib.shake_128(f"{seed}/{number}".encode()).digest(4 + 8 * LINES)
    words = [int.from_bytes(source[at:at + 4], "big") for at in range(0, len(source), 4)]
    quantities: dict[int, int] = {}
    for line in range(LINES):
        item = items - (items * words[1 + line]**4 >> 128)  # in integers: the same on every host
        quantities[item] = 1 + words[1 + LINES + line] % 9
    note = hashlib.blake2b(source).hexdigest()
    return Order(number, words[0] % CUSTOMERS, note, tuple(sorted(quantities.items())))


def info(item: int) -> str:
    """What the catalogue says of an item."""
    return hashlib.blake2b(str(item).encode(), digest_size=32).hexdigest() * INFO_BLOCKS


def _catalogue_digest(infos: Iterable[str]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for text in infos:
        total.update(text.encode())
    return total.hexdigest()


def catalogue(items: int) -> str:
    """The digest of the catalogue of a shop that was just opened."""
    return _catalogue_digest(info(item) for item in range(1, items + 1))


def create(path: str, items: int) -> None:
    """Open a shop."""
    with sqlite3.connect(path) as database:
        database.executescript(SCHEMA)
        database.executemany("INSERT INTO items VALUES (?, ?, ?, 0)",
                             ((item, info(item), STOCK) for item in range(1, items + 1)))
    database.close()


def connect(path: str, journal: str) -> sqlite3.Connection:
    """A connection that syncs each commit.

    With a WAL, a commit is then durable when it returns. With SQLite's default, the rollback journal, it is
    not yet: a power cut may undo the removal of the journal and so the commit (but with synchronous=EXTRA).
    """
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {journal}")
    database.execute("PRAGMA synchronous = FULL")
    return database


def place(database: sqlite3.Connection, new: Order) -> None:
    """Take an order: one transaction."""
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO orders VALUES (?, ?, ?)", (new.number, new.customer, new.note))
    database.executemany("INSERT INTO lines VALUES (?, ?, ?)",
                         ((new.number, item, quantity) for item, quantity in new.lines))
    database.executemany("UPDATE items SET stock = stock - ?, sold = sold + ? WHERE id = ?",
                         ((quantity, quantity, item) for item, quantity in new.lines))
    database.execute("COMMIT")


def stored(database: sqlite3.Connection) -> Iterator[Order]:
    """The orders that the database holds."""
    lines: dict[int, list[tuple[int, int]]] = {}
    rows = database.execute("SELECT number, item, quantity FROM lines ORDER BY number, item")
    for number, item, quantity in rows:
        lines.setdefault(number, []).append((item, quantity))
    rows = database.execute("SELECT number, customer, note FROM orders ORDER BY number")
    for number, customer, note in rows:
        yield Order(number, customer, note, tuple(lines.pop(number, ())))
    if lines:
        raise sqlite3.DatabaseError(f"order {min(lines)} has lines and no head")


@dataclass(frozen=True)
class Stock:
    """What a database holds, in short; `error` says why it could not be read to its end."""
    integrity: str
    orders: dict[int, str]
    sold: dict[int, int]
    catalogue: str
    error: str = ""


def take_stock(path: str) -> Stock:
    """Look at all that the database holds; what cannot be read does not hide the rest."""
    database = sqlite3.connect(path, isolation_level=None)
    errors: list[str] = []

    def attempt(look: Callable[[], T]) -> T | None:
        try:
            return look()
        except sqlite3.Error as error:
            errors.append(str(error))
            return None

    def words(query: str) -> Iterator[str]:
        return (row[0] for row in database.execute(query))

    integrity = attempt(lambda: "; ".join(words("PRAGMA integrity_check(3)")))
    orders = attempt(lambda: {one.number: one.digest for one in stored(database)})
    sold = attempt(lambda: dict(database.execute(SOLD, (STOCK, STOCK))))
    infos = attempt(lambda: _catalogue_digest(words("SELECT info FROM items ORDER BY id")))
    database.close()
    return Stock(integrity or "", orders or {}, sold or {}, infos or "", "; ".join(errors))


def parse_stock(text: str) -> Stock:
    """What `shop.py stock` printed."""
    found = json.loads(text)
    orders = {int(number): digest for number, digest in found["orders"].items()}
    sold = {int(item): count for item, count in found["sold"].items()}
    return Stock(found["integrity"], orders, sold, found["catalogue"], found["error"])


def announce(path: str, seed: str, numbers: range) -> None:
    """Take orders one after the other; the number of each is printed once it is durable."""
    database = connect(path, "wal")
    items = count_items(database)
    for number in numbers:
        place(database, order(seed, number, items))
        os.write(1, f"{number}\n".encode())
    database.close()


def race(paths: Sequence[str], journal: str, seed: str, numbers: range) -> list[float]:
    """Take the same orders in each database, in turns: a busy host slows all alike. Returns the seconds."""
    seconds = [0.0] * len(paths)
    databases = [connect(path, journal) for path in paths]
    items = count_items(databases[0])
    for number in numbers:
        new = order(seed, number, items)
        for at, database in enumerate(databases):
            began = time.monotonic()
            place(database, new)
            seconds[at] += time.monotonic() - began
    for database in databases:
        database.close()
    return seconds


def count_items(database: sqlite3.Connection) -> int:
    """How many items the shop has."""
    (items,) = database.execute("SELECT max(id) FROM items").fetchone()
    return int(items)


def main() -> None:
    """race JOURNAL FIRST COUNT SEED DATABASE..., or announce FIRST COUNT SEED DATABASE, or stock DATABASE."""
    verb, *rest = sys.argv[1:]
    if verb == "race":
        journal, first, count, seed, *paths = rest
        json.dump(race(paths, journal, seed, range(int(first), int(first) + int(count))), sys.stdout)
    elif verb == "announce":
        first, count, seed, path = rest
        announce(path, seed, range(int(first), int(first) + int(count)))
    else:
        json.dump(vars(take_stock(rest[0])), sys.stdout)


if __name__ == "__main__":
    main()
