# SPDX-License-Identifier: GPL-2.0-or-later
"""What files.py accepts after a power cut: any moment that it can have left, and no other."""
from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.guest import files

DONE = 40


def _seed_with(in_place: int) -> str:
    """A seed whose operation `in_place` makes a file that was not there before."""
    for candidate in range(10_000):
        *before, made = islice(files.operations(str(candidate)), in_place)
        if made.size and not made.replace and made.name not in {one.name for one in before}:
            return str(candidate)
    raise AssertionError("no seed has such an operation")


def _perform(folder: Path, seed: str, amount: int) -> list[files.Operation]:
    done = list(islice(files.operations(seed), amount))
    for number, operation in enumerate(done, 1):
        files.perform(folder, number, operation)
    return done


@pytest.mark.parametrize("heard", [DONE, DONE - 1, DONE - 5])
def test_what_was_durable_is_right_whatever_was_heard(tmp_path: Path, heard: int) -> None:
    _perform(tmp_path, "7", DONE)
    files.verify(tmp_path, "7", heard)


@pytest.mark.parametrize("heard", [DONE, DONE - 1, DONE - 5])
def test_the_operation_under_way_may_be_there_in_part(tmp_path: Path, heard: int) -> None:
    seed = _seed_with(DONE + 1)
    *_, made = islice(files.operations(seed), DONE + 1)
    _perform(tmp_path, seed, DONE)
    (tmp_path / made.name).write_bytes(b"41\n?")
    files.verify(tmp_path, seed, heard)


def test_an_operation_after_the_one_under_way_may_not(tmp_path: Path) -> None:
    seed = _seed_with(DONE + 2)
    *_, made = islice(files.operations(seed), DONE + 2)
    _perform(tmp_path, seed, DONE)
    (tmp_path / made.name).write_bytes(b"42\n?")
    with pytest.raises(SystemExit, match=rf"{made.name} is of operation 0, but operation None was durable"):
        files.verify(tmp_path, seed, DONE)


def test_a_durable_operation_that_is_lost_is_named(tmp_path: Path) -> None:
    last = _perform(tmp_path, "7", DONE)[-1]
    assert last.size
    (tmp_path / last.name).unlink()
    with pytest.raises(SystemExit, match=rf"{last.name} is of operation None, but operation {DONE} was"):
        files.verify(tmp_path, "7", DONE)


def test_a_file_that_is_not_what_was_written_is_named(tmp_path: Path) -> None:
    last = _perform(tmp_path, "7", DONE)[-1]
    path = tmp_path / last.name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(SystemExit, match=rf"{last.name} is of operation 0"):
        files.verify(tmp_path, "7", DONE)
