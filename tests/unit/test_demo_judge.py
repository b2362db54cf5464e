# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's judgement: sound findings pass, and each kind of damage breaks its promise."""
from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import pytest

from tests.demo import judge, shop
from tests.demo.judge import Promise, Sales
from tests.demo.report import Race
from tests.demo.shop import Stock

ITEMS = 50
ACKNOWLEDGED = 8
PLACED = 9
LAST_LINE = "(SELECT number, max(item) FROM lines WHERE number = {})"
SALES = Sales("seed", ITEMS, shop.catalogue(ITEMS), ACKNOWLEDGED, last=20)


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> str:
    """A shop with one order more than were acknowledged."""
    path = str(tmp_path / "shop.db")
    shop.create(path, ITEMS)
    shop.race([path], "delete", "seed", range(1, PLACED + 1))
    return path


def promises(stock: Stock) -> set[Promise]:
    return {broken.promise for broken in judge.database(SALES, stock) + judge.orders(SALES, stock)}


def spoiled(database: str, statement: str) -> Stock:
    with sqlite3.connect(database) as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()
    return shop.take_stock(database)


def test_whole_database_is_accepted(database: str) -> None:
    assert promises(shop.take_stock(database)) == set()


def test_stock_survives_the_line(database: str, capsys: pytest.CaptureFixture[str],
                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["shop.py", "stock", database])
    shop.main()
    assert shop.parse_stock(capsys.readouterr().out) == shop.take_stock(database)


def test_order_that_was_not_acknowledged_may_be_missing(database: str) -> None:
    path = str(Path(database).with_name("other.db"))
    shop.create(path, ITEMS)
    shop.race([path], "delete", "seed", range(1, ACKNOWLEDGED + 1))
    assert promises(shop.take_stock(path)) == set()


@pytest.mark.parametrize("number", [1, 4, ACKNOWLEDGED])
def test_missing_acknowledged_order_is_told(database: str, number: int) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM lines WHERE number = ?", (number,))
    found = judge.orders(SALES, spoiled(database, f"DELETE FROM orders WHERE number = {number}"))
    assert [broken.promise for broken in found] == [Promise.ORDERS]
    text = f"1 of {ACKNOWLEDGED} acknowledged ones are missing, the first of them order {number}."
    assert text in str(found[0])


@pytest.mark.parametrize("statement", [
    "UPDATE orders SET note = 'x' WHERE number = 3",
    "UPDATE orders SET customer = customer + 1 WHERE number = 3",
    f"UPDATE lines SET quantity = quantity + 1 WHERE (number, item) = {LAST_LINE.format(3)}",
    f"DELETE FROM lines WHERE (number, item) = {LAST_LINE.format(3)}",
    f"DELETE FROM lines WHERE (number, item) = {LAST_LINE.format(PLACED)}",
])
def test_order_in_part_is_told(database: str, statement: str) -> None:
    assert Promise.ORDERS in promises(spoiled(database, statement))


def test_order_nobody_placed_is_told(database: str) -> None:
    assert Promise.ORDERS in promises(spoiled(database, "INSERT INTO orders VALUES (99, 1, 'x')"))


def test_order_without_head_is_told(database: str) -> None:
    assert Promise.DATABASE in promises(spoiled(database, f"DELETE FROM orders WHERE number = {PLACED}"))


@pytest.mark.parametrize("statement", [
    "UPDATE items SET sold = sold + 1, stock = stock - 1 WHERE id = 50",
    "UPDATE items SET stock = stock + 1 WHERE id = 50",
    "UPDATE items SET info = 'x' WHERE id = 7",
    "DELETE FROM items WHERE id = 1",
])
def test_changed_items_are_told(database: str, statement: str) -> None:
    assert promises(spoiled(database, statement)) == {Promise.DATABASE}


def test_damaged_page_is_told_and_leaves_the_rest_readable(database: str) -> None:
    content = bytearray(Path(database).read_bytes())
    at = content.find(shop.info(20).encode()) // 4096 * 4096
    content[at:at + 4096] = bytes(4096)
    Path(database).write_bytes(content)
    stock = shop.take_stock(database)
    assert [broken.promise for broken in judge.database(SALES, stock)] == [Promise.DATABASE]
    assert len(stock.orders) == PLACED


def test_complaint_of_sqlite_is_passed_on(database: str) -> None:
    stock = dataclasses.replace(shop.take_stock(database), integrity="row 3 missing from index")
    assert "row 3 missing from index" in str(judge.database(SALES, stock)[0])


def test_same_files_are_accepted() -> None:
    assert judge.files({"a": "1", "b": "2"}, {"b": "2", "a": "1"}) == []


@pytest.mark.parametrize(("found", "text"), [
    ({"a": "1"}, "1 of 2 files are missing, such as b"),
    ({"a": "1", "b": "3"}, "1 of 2 files differ, such as b"),
    ({"a": "1", "b": "unreadable (Input/output error)"}, "1 of 2 files differ, such as b"),
    ({"a": "1", "b": "2", "c": "3"}, "1 of 2 files appeared from nowhere, such as c"),
    ({}, "2 of 2 files are missing, such as a"),
])
def test_other_files_are_told(found: dict[str, str], text: str) -> None:
    broken = judge.files({"a": "1", "b": "2"}, found)
    assert [one.promise for one in broken] == [Promise.FILES]
    assert text in str(broken[0])


def test_file_system_must_be_clean() -> None:
    assert judge.file_system(0, "clean") == []
    output = "Pass 4: Reference counts\nInode 12 ref count is 77, should be 1.  Fix? no\n\nerrors\n"
    text = "status 4 (Inode 12 ref count is 77, should be 1.  Fix? no)"
    assert text in str(judge.file_system(4, output)[0])
    assert judge.file_system(1, "")[0].promise is Promise.FILE_SYSTEM


@pytest.mark.parametrize("line", [
    "[    1.0] EXT4-fs error (device dm-0): ext4_lookup: deleted inode",
    "[    1.0] Buffer I/O error on dev dm-0, logical block 3",
    "[    1.0] WARNING: CPU: 0 PID: 1 at driver.c:1",
])
def test_complaint_of_the_kernel_is_told(line: str) -> None:
    log = f"[    0.5] EXT4-fs (dm-0): recovery complete\n{line}\n[    2.0] fine\n"
    assert [broken.promise for broken in judge.kernel_log(log)] == [Promise.KERNEL]


def test_recovery_is_no_complaint() -> None:
    assert judge.kernel_log("[    0.5] EXT4-fs (dm-0): recovery complete\n") == []


def test_last_race_counts() -> None:
    slower, faster = Race("delete", 1.0, 2.0), Race("wal", 2.0, 1.0)
    assert judge.speed([slower, faster]) == []
    assert [broken.promise for broken in judge.speed([faster, slower])] == [Promise.FASTER]
