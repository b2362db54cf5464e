# SPDX-License-Identifier: GPL-2.0-or-later
"""The faults of tests/breakage: each has its place in today's source, and the test that it names exists."""
from __future__ import annotations

import re

import pytest

from tests.breakage import faults
from tests.breakage.faults import CHECKOUT, FAULTS, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=[one.name for one in FAULTS])
def test_it_changes_the_source_in_one_place(fault: Fault) -> None:
    text = (CHECKOUT / fault.file).read_text(encoding="utf-8")
    assert faults.broken(text, fault) != text


@pytest.mark.parametrize("fault", FAULTS, ids=[one.name for one in FAULTS])
def test_its_test_exists(fault: Fault) -> None:
    path, _, name = fault.test.partition("::")
    function = name.partition("[")[0]
    assert re.search(rf"^def {function}\(", (CHECKOUT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert fault.outcome in ("failed", "lost", "timeout") and fault.promise


def test_names_differ_and_unknown_ones_are_refused() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert faults.chosen([]) == list(FAULTS)
    assert faults.chosen([FAULTS[3].name]) == [FAULTS[3]]
    with pytest.raises(ValueError, match="no fault called nobody"):
        faults.chosen(["nobody"])


def test_a_place_that_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="is there 0 times: bring tests/breakage/faults.py up to date"):
        faults.broken("int x;\n", FAULTS[0])
