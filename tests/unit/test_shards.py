# SPDX-License-Identifier: GPL-2.0-or-later
"""Shards: every test runs in exactly one, and one file tells of all."""
from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.harness import shards
from tests.harness.shards import Shard, Totals


def test_every_test_is_in_exactly_one_shard() -> None:
    rng = random.Random(1)
    for count in (1, 2, 3, 7):
        for length in (0, 1, 2, 5, 100):
            weights = [rng.choice((0.5, 1, 4)) for _ in range(length)]
            parts = [shards.part_of(weights, Shard(number, count)) for number in range(1, count + 1)]
            assert sorted(place for part in parts for place in part) == list(range(length))


def test_shards_weigh_about_the_same() -> None:
    weights = [1.0] * 50 + [3.0] * 20
    halves = [sum(weights[place] for place in shards.part_of(weights, Shard(number, 2))) for number in (1, 2)]
    assert abs(halves[0] - halves[1]) <= 3


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NUMBER/COUNT"):
        shards.parse(text)


def _junit(path: Path, cases: str) -> Path:
    path.write_text(f'<testsuites><testsuite name="vm">{cases}</testsuite></testsuites>', encoding="utf-8")
    return path


def test_results_are_counted_over_all_shards(tmp_path: Path) -> None:
    first = _junit(tmp_path / "1.xml", '<testcase name="a"/><testcase name="b"><failure/></testcase>')
    second = _junit(
        tmp_path / "2.xml",
        '<testcase name="c"><error/></testcase><testcase name="d"><skipped/></testcase><testcase name="e"/>',
    )
    whole = tmp_path / "vm.xml"
    assert shards.merge([first, second, tmp_path / "missing.xml"], whole) == Totals(2, 2, 1)
    assert shards.merge([whole], tmp_path / "again.xml") == Totals(2, 2, 1)


def test_failures_are_told_at_the_end_with_what_they_said(tmp_path: Path) -> None:
    said = "\n".join(f"line {number}" for number in range(50))
    cases = (
        f'<testcase classname="m" name="a"><failure message="short">{said}</failure></testcase>'
        '<testcase classname="m" name="b"/>'
        '<testcase classname="m" name="c"><error message="no machine"/></testcase>'
    )
    failed, lost = shards.failures(_junit(tmp_path / "vm.xml", cases), last_lines=2)
    assert failed == "FAILURE m::a\nline 48\nline 49"
    assert lost == "ERROR m::c\nno machine"
