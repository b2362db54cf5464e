# SPDX-License-Identifier: GPL-2.0-or-later
"""The power-loss campaign, in small: the driver holds, and a driver that forgets a fence is caught, or one
that lets stores in too early; so is a target that has nothing to do with the driver, and it holds without its
fault."""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.settings import CHECKOUT, Settings
from tests.powercut import boots, campaign, mutants
from tests.powercut.account import Account, describe
from tests.powercut.campaign import Choice, Run
from tests.powercut.subjects import Control, FaultyDriver

# A sector that is torn, or whole but not of the write that was acknowledged, as the lost lines will have it.
WRONG = re.compile("holds what nobody wrote there|is of operations")

pytestmark = pytest.mark.usefixtures("alone")

OPERATIONS = 150
CONTROL_OPERATIONS = 60
CONTROL_CUTS = 300


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the campaign's own records alone, and have its programs."""
    subprocess.run(["make", "-s", "-C", CHECKOUT, "powercut-campaign"], check=True)
    monkeypatch.setattr(campaign, "BUILD", tmp_path)


@pytest.mark.limit(200)
def test_the_driver_holds(settings: Settings) -> None:
    run = Run(settings.kernel, 2, settings.seed, OPERATIONS, fill=False, memory=True)
    symbols = campaign.record(run)
    verdict = campaign.judge(run, settings.seed, settings.amount(500, 20000))
    found = [describe(failure, symbols) for failure in verdict.failures]
    assert verdict.failed == 0, found
    assert verdict.moments > OPERATIONS
    for choice in (Choice(per_stack=True), Choice(read_lines=True)):
        fewer = campaign.judge(run, settings.seed, 100, choice=choice)
        assert fewer.failed == 0 and 0 < fewer.moments < verdict.moments, (choice, fewer)
    _a_machine_reads_the_same(run)


def _a_machine_reads_the_same(run: Run) -> None:
    booted = boots.boot_some(run, 1)
    assert [one.wrong for one in booted] == [""]
    cut = booted[0].cut
    contents = run.folder / "share" / boots.CONTENTS
    read = bytearray(contents.read_bytes())
    read[-1] ^= 1
    contents.write_bytes(read)
    assert "was read with other contents" in boots.compare(run, cut, contents)


def _account_of(settings: Settings, name: str) -> Account:
    """What is told of the first image of a faulty driver that fails."""
    mutant = next(one for one in mutants.MUTANTS if one.name == name)
    run = Run(settings.kernel, 1, settings.seed, OPERATIONS, False, FaultyDriver(mutant),
              mutant in mutants.MEMORY_MUTANTS)
    symbols = campaign.record(run)
    verdict = campaign.judge(run, settings.seed, 500, stop=True)
    assert verdict.failed == 1
    return describe(verdict.failures[0], symbols)


def test_a_driver_that_forgets_a_fence_is_caught(settings: Settings) -> None:
    account = _account_of(settings, "publish-without-first-fence")
    assert WRONG.search(account.lines[0]) and re.search(r"(io|fill)\.c:", account.lines[1]), account


def test_a_driver_that_lets_stores_in_under_a_clean_claim_is_caught(settings: Settings) -> None:
    account = _account_of(settings, "stores-under-a-clean-claim")
    assert "but its home has other contents" in account.lines[0] and account.named, account


@pytest.mark.parametrize("forgets", [False, True], ids=["good", "forgetful"])
def test_a_target_of_its_own_is_judged_by_its_fence_alone(settings: Settings, forgets: bool) -> None:
    run = Run(settings.kernel, 1, settings.seed, CONTROL_OPERATIONS, False, Control(forgets))
    symbols = campaign.record(run)
    verdict = campaign.judge(run, settings.seed, CONTROL_CUTS)
    accounts = [describe(failure, symbols) for failure in verdict.failures]
    if not forgets:
        assert verdict.images == CONTROL_CUTS and verdict.failed == 0, accounts
        return
    assert verdict.failed > 0
    for account in accounts:
        assert WRONG.search(account.lines[0]), account
        assert "dm-forgetful.c:" in account.lines[1] and "(write_page)" in account.lines[1], account
