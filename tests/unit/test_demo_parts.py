# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's parts that need no machine: files, checksums, acknowledgements, damage on purpose, account."""
from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.demo import plan, plants, report, shop, story, tree
from tests.demo.report import Account, Hits, Race, Status
from tests.demo.story import Acknowledgements

NUMBERS = b" ".join(b"%d" % number for number in range(2000))
SUMS = Path(story.__file__).parent / "guest" / "sums.py"


@pytest.fixture(name="packed")
def _packed(tmp_path: Path) -> tree.Tree:
    """Two files, of a folder with more that is not worth copying."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.h").write_bytes(b"int a;\n")
    (root / "sub" / "b.h").write_bytes(NUMBERS)
    (root / "empty").touch()
    (root / "link").symlink_to("a.h")
    (root / "z.h").write_bytes(b"beyond the limit")
    return tree.pack(root, 2)


def test_tree_holds_what_its_sums_say(packed: tree.Tree) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed.archive)) as archive:
        contents = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        assert {name: tree.checksum(file.read()) for name, file in contents.items() if file} == packed.sums
    assert sorted(packed.sums) == ["a.h", "sub/b.h"]
    assert packed.bytes == 7 + len(NUMBERS)


def test_guest_and_host_agree_on_sums(packed: tree.Tree, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with tarfile.open(fileobj=io.BytesIO(packed.archive)) as archive:
        archive.extractall(copy)
    done = subprocess.run([sys.executable, SUMS, copy], stdout=subprocess.PIPE, check=True, text=True)
    assert tree.read_sums(done.stdout) == packed.sums


def test_manifest_is_one_for_b2sum(packed: tree.Tree, tmp_path: Path) -> None:
    tree.write_manifest(packed, tmp_path / "manifest")
    command = ["b2sum", "-l", "256", "--check", "--quiet", "../manifest"]
    subprocess.run(command, cwd=tmp_path / "root", check=True)


def test_orders_follow_from_seed_and_number() -> None:
    one = shop.order("seed", 7, 1000)
    assert one == shop.order("seed", 7, 1000)
    assert one.digest not in {shop.order("seed", 8, 1000).digest, shop.order("other", 7, 1000).digest}
    assert all(1 <= item <= 1000 and 1 <= quantity <= 9 for item, quantity in one.lines)


def test_order_of_a_release_stays_the_same() -> None:
    assert shop.order("seed", 1, 10_000).digest == "3d6a466739aae5ff88be95b4d6d991a5"


def test_announced_orders_are_in_the_database(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.db")
    shop.create(path, 20)
    done = subprocess.run([sys.executable, shop.__file__, "announce", "1", "5", "seed", path],
                          stdout=subprocess.PIPE, check=True, text=True)
    assert done.stdout == "1\n2\n3\n4\n5\n"
    assert sorted(shop.take_stock(path).orders) == [1, 2, 3, 4, 5]


def test_acknowledgements_count_whole_lines_only() -> None:
    acknowledged = Acknowledgements(first=98, enough=3)
    assert acknowledged.last == 97
    for piece in (b"98\n9", b"9\n10"):
        acknowledged.take(piece, False)
    assert acknowledged.last == 99 and not acknowledged.reached.is_set()
    acknowledged.take(b"0\n", False)
    assert acknowledged.last == 100 and acknowledged.reached.is_set()
    acknowledged.take(b"disk I/O error\n", True)
    assert acknowledged.errors == "disk I/O error"


def test_damage_finds_the_file_in_a_sparse_image(packed: tree.Tree, tmp_path: Path) -> None:
    wanted = plants.needle(packed)
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 << 20)
        for place in (3 << 20, (40 << 20) + 7):
            file.seek(place)
            file.write(wanted)
    assert plants.spoil_image(image, wanted) == 2
    assert wanted not in image.read_bytes()
    assert image.stat().st_size == 64 << 20


def test_damage_is_found_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plants, "CHUNK", 4096)
    image, wanted = tmp_path / "image", b"x" * 20 + b"y" * (plants.NEEDLE_BYTES - 20)
    image.write_bytes(b"." * 4090 + wanted + b"." * 9000)
    assert plants.spoil_image(image, wanted) == 1
    assert wanted not in image.read_bytes()


def status(**values: int) -> Status:
    return Status(**{one.name: values.get(one.name, 0) for one in dataclasses.fields(Status)})


def test_hits_are_those_in_between() -> None:
    before = status(read_hits=10, read_misses=90, write_hits=5, write_fills=5, write_bypass=100)
    after = status(read_hits=40, read_misses=100, write_hits=11, write_fills=8, write_bypass=101)
    assert Hits.between(before, after) == Hits(read=40, read_hit=30, written=10, write_hit=6, taken=9)


def test_account_tells_only_what_happened() -> None:
    account = Account(plan.FULL, machine="a machine")
    assert len(report.lines(account)) == 2
    account.races.append(Race("wal", 3.0, 1.5))
    account.hits = Hits(0, 0, 10, 6, 9)
    text = "\n".join(report.lines(account))
    assert "bare disk 3.0 s, volume 1.5 s: 2.0 times as fast" in text
    assert "none of reads, 60.0 % of writes; the fast tier took 90.0 %" in text
    assert "power cut" not in text
