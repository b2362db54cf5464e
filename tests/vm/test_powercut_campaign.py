# SPDX-License-Identifier: GPL-2.0-or-later
"""The power-loss campaign, in small: the driver holds, and a driver that forgets a fence is caught."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness.settings import CHECKOUT, Settings
from tests.powercut import campaign, mutants
from tests.powercut.campaign import Run

pytestmark = pytest.mark.usefixtures("alone")

OPERATIONS = 150


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the campaign's own records alone, and have its programs."""
    subprocess.run(["make", "-s", "-C", CHECKOUT, "powercut-campaign"], check=True)
    monkeypatch.setattr(campaign, "BUILD", tmp_path)


def test_the_driver_holds(settings: Settings) -> None:
    run = Run(settings.kernel, 2, settings.seed, OPERATIONS, fill=False)
    symbols = campaign.record(run)
    verdict = campaign.judge(run, settings.seed, settings.amount(500, 20000))
    found = [campaign.describe(failure, symbols) for failure in verdict.failures]
    assert verdict.failed == 0, found
    assert verdict.moments > OPERATIONS


def test_a_driver_that_forgets_a_fence_is_caught(settings: Settings) -> None:
    mutant = next(one for one in mutants.MUTANTS if one.name == "publish-without-first-fence")
    run = Run(settings.kernel, 1, settings.seed, OPERATIONS, False, mutant)
    symbols = campaign.record(run)
    verdict = campaign.judge(run, settings.seed, 500, stop=True)
    assert verdict.failed == 1
    lines = campaign.describe(verdict.failures[0], symbols)
    assert "holds what nobody wrote there" in lines[0] and "io.c:" in lines[1], lines
