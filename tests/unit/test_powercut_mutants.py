# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign's faulty drivers: each has its place in today's source, and changes it."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.powercut import mutants


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=[one.name for one in mutants.MUTANTS])
def test_it_changes_the_source_in_one_place(mutant: mutants.Mutant) -> None:
    text = (mutants.DRIVER / mutant.file).read_text(encoding="utf-8")
    assert mutants.mutate(text, mutant) != text


def test_there_are_enough_and_names_differ() -> None:
    assert len({mutant.name for mutant in mutants.MUTANTS}) == len(mutants.MUTANTS) >= 20


def test_a_place_that_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="is there 0 times"):
        mutants.mutate("int x;\n", mutants.MUTANTS[0])


def test_the_copy_has_the_fault_and_the_source_has_not(tmp_path: Path) -> None:
    mutant = next(one for one in mutants.MUTANTS if one.name == "fence-of-the-compiler-alone")
    copy = mutants.make_source(mutant, tmp_path / "copy")
    assert "barrier();" in (copy / mutant.file).read_text(encoding="utf-8")
    assert (copy / "Kbuild").exists()
    assert "barrier();" not in (mutants.DRIVER / mutant.file).read_text(encoding="utf-8")
