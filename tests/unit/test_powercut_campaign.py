# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign around its judge: names of addresses, accounts of failures, options, the report."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from qemu import VMError
from tests.powercut import campaign, mutants, options, report
from tests.powercut.symbols import Symbols

START = 0xFFFFFFFFC0500000
KALLSYMS = """ffffffff81000000 T _stext
ffffffff81000100 t memcpy_slowly
ffffffff81000200 D some_data
"""
SOURCE = "int first(int x)\n{\n\treturn x + 1;\n}\nint second(int x)\n{\n\treturn first(x) * 3;\n}\n"


@pytest.fixture(name="symbols", scope="module")
def _symbols(tmp_path_factory: pytest.TempPathFactory) -> Symbols:
    folder = tmp_path_factory.mktemp("symbols")
    (folder / "driver.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-O0", "-c", "driver.c", "-o", "driver.ko"], cwd=folder, check=True)
    return Symbols(KALLSYMS, START, folder / "driver.ko")


def test_an_address_of_the_driver_is_a_line(symbols: Symbols) -> None:
    assert symbols.name(START) == "driver.c:2 (first)"


def test_an_address_of_the_kernel_is_a_function(symbols: Symbols) -> None:
    assert symbols.name(0xFFFFFFFF81000110) == "memcpy_slowly+0x10"
    assert symbols.name(0x401000) == "0x401000"


def test_a_store_of_the_kernel_is_told_with_its_caller_in_the_driver(symbols: Symbols) -> None:
    place = {"pc": 0xFFFFFFFF81000110, "callers": [0xFFFFFFFF81000004, START + 2]}
    assert symbols.store(place) == "driver.c:2 (first), in memcpy_slowly+0x10"
    assert symbols.store({"pc": 0xFFFFFFFF81000110, "callers": []}) == "memcpy_slowly+0x10"


def failure(decided_by: str, words: int) -> dict[str, Any]:
    found = [{"byte": 64 + 8 * at, "store": {"pc": 0x401000, "callers": []}} for at in range(words)]
    return {"wrong": "page 3 is a mix", "cut": 7, "event": 9, "begun": 2, "acknowledged": 1,
            "decided_by": decided_by, "words": found}


def test_a_failure_is_told_with_the_words_that_decide_it() -> None:
    lost = campaign.describe(failure("loss", 6), None)
    assert lost[0].startswith("page 3 is a mix (cut 7,")
    assert lost[1] == "lost: the word at byte 0x40, stored at 0x401000"
    assert lost[-1] == "and 2 more words"
    assert campaign.describe(failure("survival", 1), None)[1].startswith("survived: ")
    assert campaign.describe(failure("the disk", 0), None)[1] == "decided by the disk"


def test_a_record_of_another_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.powercut.campaign.BUILD", tmp_path)
    run = campaign.Run("6.1", 1, 5, 100)
    run.folder.mkdir()
    (run.folder / "run.json").write_text("{}")
    with pytest.raises(VMError, match="is of another run"):
        campaign.judge(run, 5, 10)


def test_faulty_drivers_are_chosen_by_number_or_name() -> None:
    assert options.chosen_mutants(None) == mutants.MUTANTS
    assert options.chosen_mutants("none") == ()
    second = mutants.MUTANTS[1]
    assert options.chosen_mutants("2") == options.chosen_mutants(second.name) == (second,)
    with pytest.raises(ValueError, match="no mutant 99"):
        options.chosen_mutants("99")


def test_each_seed_runs_on_one_and_two_processors() -> None:
    runs = options.clean_runs(options.parser().parse_args(["--seeds", "2"]))
    assert [(run.seed, run.processors) for run in runs] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert {run.seed for run in options.clean_runs(options.parser().parse_args(["--seed", "17"]))} == {17}


def test_the_report_counts_and_marks_what_is_not_as_wanted(tmp_path: Path) -> None:
    good = report.Line("driver, 1 processors, seed 1", campaign.Verdict(100, 10, 20, 0), True, [], 1.0)
    missed = report.Line("mutant a<b", campaign.Verdict(5, 10, 20, 0), False, [], 1.0)
    report.write(tmp_path / "report.html", [good, missed])
    page = (tmp_path / "report.html").read_text()
    assert "The driver: 100 images, 0 failed. Faulty drivers: 1, 0 caught." in page
    assert page.count('class="bad"') == 1 and "mutant a&lt;b" in page
