# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness is tested by failures planted for it: each must be red, and red for the right reason."""
from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.settings import CHECKOUT, Settings

PLANTED = Path(__file__).parent / "planted"
PASSED = 0
FAILED = 1
NO_TESTS = 5


@dataclass(frozen=True)
class Verdict:
    """What a run said of one test: its outcome word, and the text of its failure."""

    outcome: str
    text: str


@dataclass(frozen=True)
class Run:
    """A run of planted tests."""

    status: int
    output: str
    verdicts: dict[str, Verdict]


def _verdict(case: ElementTree.Element) -> Verdict:
    text = "\n".join((part.get("message") or "") + (part.text or "") for part in case)
    words = [one.get("value") or "" for one in case.iter("property") if one.get("name") == "outcome"]
    if words:
        return Verdict(words[0], text)
    return Verdict("skipped" if case.find("skipped") is not None else "passed", text)


def _run(settings: Settings, folder: Path, *arguments: str) -> Run:
    junit = folder / "junit.xml"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.harness.plugin",
            "-p",
            "no:cacheprovider",
            "-v",
            "--tb=short",
            "--durations=30",
            "--rootdir",
            CHECKOUT,
            "--import-mode=importlib",
            "--kernel",
            settings.kernel,
            "--accel",
            settings.accel,
            "--logs",
            folder / "logs",
            "--allowed-skips",
            PLANTED / "allowed-skips.txt",
            f"--junitxml={junit}",
            *arguments,
        ],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    verdicts: dict[str, Verdict] = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        # A test that passed and could not be cleaned up after stands there twice.
        if verdicts.get(name := case.get("name") or "", Verdict("passed", "")).outcome == "passed":
            verdicts[name] = _verdict(case)
    return Run(done.returncode, done.stdout, verdicts)


@pytest.fixture(name="plants", scope="module")
def _plants(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of all that needs a machine."""
    run = _run(settings, tmp_path_factory.mktemp("planted"), str(PLANTED / "plants.py"), "-k", "not skip")
    assert run.status == FAILED, run.output
    return run


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("name", "outcome", "text"),
    [
        ("failing_command", "failed", "ended with status 3.*this went wrong"),
        ("warning_in_log", "failed", "The kernel complained.*at x.c:1"),
        ("hung_task", "failed", "The kernel complained.*blocked for more than"),
        ("panic", "lost", "sysrq triggered crash"),
        ("hang_in_guest", "timeout", "'sleep 1000' did not end"),
        ("hang_on_host", "timeout", "The test took longer than"),
        ("killed_machine", "lost", "The VM"),
        ("volume_left_in_use", "failed", "a mapped device cannot be removed"),
    ],
)
def test_planted_failure_is_red(plants: Run, name: str, outcome: str, text: str) -> None:
    verdict = plants.verdicts[f"test_{name}"]
    assert verdict.outcome == outcome, plants.output
    assert re.search(text, verdict.text, re.DOTALL), verdict.text


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", ["good", "expected_warning"])
def test_what_is_right_stays_green_among_failures(plants: Run, name: str) -> None:
    assert plants.verdicts[f"test_{name}"].outcome == "passed", plants.output


def test_skip_must_be_listed(settings: Settings, tmp_path: Path) -> None:
    run = _run(settings, tmp_path, str(PLANTED / "plants.py"), "-k", "skip")
    assert run.status == FAILED, run.output
    assert run.verdicts["test_unlisted_skip"].outcome == "failed"
    assert "was skipped, but" in run.verdicts["test_unlisted_skip"].text
    assert run.verdicts["test_listed_skip"].outcome == "skipped"


def test_module_that_skips_itself_is_red(settings: Settings, tmp_path: Path) -> None:
    module = tmp_path / "test_all_skipped.py"
    module.write_text("import pytest\npytest.skip('all of it', allow_module_level=True)\n", encoding="utf-8")
    assert _run(settings, tmp_path, str(module)).status not in (PASSED, NO_TESTS)


def test_no_tests_is_red(settings: Settings, tmp_path: Path) -> None:
    assert _run(settings, tmp_path, str(PLANTED / "plants.py"), "-k", "no_such_test").status == NO_TESTS
