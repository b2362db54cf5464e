# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign around its judge: names of addresses, accounts of failures, options, the report."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from qemu import VMError
from tests.powercut import __main__ as command
from tests.powercut import campaign, mutants, options, report
from tests.powercut.account import Account, describe
from tests.powercut.campaign import Choice, Run
from tests.powercut.subjects import Control, FaultyDriver
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
    assert symbols.tell(place) == "driver.c:2 (first), in memcpy_slowly+0x10"
    assert symbols.line_of(place) == "driver.c:2 (first)"
    nowhere = {"pc": 0xFFFFFFFF81000110, "callers": []}
    assert symbols.tell(nowhere) == "memcpy_slowly+0x10" and symbols.line_of(nowhere) is None


def test_callers_in_the_driver_are_told(symbols: Symbols, tmp_path: Path) -> None:
    call = int(subprocess.run(["sh", "-c", "objdump -d --no-show-raw-insn $0 | grep -A1 call | tail -1",
                               symbols.module], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.split(":")[0], 16)
    place = {"pc": START + 4, "callers": [START + call, START + call]}
    assert symbols.tell(place).endswith("; called from driver.c:7 (second)")
    symbols.save(tmp_path)
    assert Symbols.load(tmp_path).tell(place) == symbols.tell(place)


def failure(decided_by: str, words: int) -> dict[str, Any]:
    found = [{"byte": 64 + 8 * at, "store": {"pc": 0x401000, "callers": []}} for at in range(words)]
    return {"wrong": "page 3 is a mix", "cut": 7, "event": 9, "begun": 2, "acknowledged": 1,
            "decided_by": decided_by, "words": found, "word": None, "operation": 0, "ended": [], "before": []}


def test_a_failure_is_told_with_the_words_that_decide_it() -> None:
    lost = describe(failure("loss", 6), None)
    assert lost.lines[0].startswith("page 3 is a mix (cut 7,")
    assert lost.lines[1] == "lost: the word at byte 0x40, stored at 0x401000"
    assert lost.lines[-1] == "and 2 more words" and not lost.named
    assert describe(failure("survival", 1), None).lines[1].startswith("survived: ")
    assert describe(failure("the disk", 0), None).lines[1] == "decided by the disk"


def test_where_no_word_decides_the_store_that_says_so_is_told_and_who_acknowledged(symbols: Symbols) -> None:
    kernel = {"pc": 0xFFFFFFFF81000110, "callers": []}
    driver = {"pc": 0xFFFFFFFF81000110, "callers": [START + 2]}
    disk = failure("the disk", 0) | {"word": {"byte": 64, "store": {"pc": START, "callers": []}},
                                     "operation": 5, "ended": [kernel, driver]}
    told = describe(disk, symbols)
    assert told.lines[2:] == [
        "says so: the word at byte 0x40, last stored at driver.c:2 (first)",
        "acknowledged: operation 5, which the driver ended or answered at driver.c:2 (first), in "
        "memcpy_slowly+0x10"]
    assert told.named
    assert not describe(failure("the disk", 0) | {"ended": [kernel]}, symbols).named
    size = failure("the disk", 0) | {"word": {"byte": 64, "store": kernel}, "before": [kernel, driver]}
    told = describe(size, symbols)
    assert told.lines[-1].startswith("before it: the driver last stored, flushed or fenced at driver.c:2")


def test_with_a_word_that_a_program_stored_the_driver_is_told_too(symbols: Symbols) -> None:
    claim = {"byte": 64, "store": {"pc": START, "callers": []}}
    told = describe(failure("loss", 1) | {"word": claim}, symbols)
    assert told.lines[1:] == ["lost: the word at byte 0x40, stored at 0x401000",
                              "says so: the word at byte 0x40, last stored at driver.c:2 (first)"]
    assert told.named
    by_driver = failure("loss", 1) | {"word": claim, "words": [claim]}
    assert len(describe(by_driver, symbols).lines) == 2


def test_what_the_workload_is_told_is_what_the_judge_is() -> None:
    control = campaign.Run("6.1", 1, 1, 10, subject=Control(False), memory=True)
    assert [run.kind for run in (campaign.Run("6.1", 1, 1, 10), campaign.Run("6.1", 1, 1, 10, memory=True),
                                 control)] == ["volume", "memory", "control"]


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


def test_how_images_are_chosen_reaches_the_judge() -> None:
    chosen = options.choice(options.parser().parse_args(["--cut-at", "stacks", "--lose", "read"]))
    assert chosen.options() == ["--per-stack", "--read-lines"]
    assert options.choice(options.parser().parse_args([])).options() == []


def test_what_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parser().parse_args(["--cut", "last"])
    assert "last is not a number" in capsys.readouterr().err


def test_the_report_counts_and_marks_what_is_not_as_wanted(tmp_path: Path) -> None:
    good = report.Line("driver", report.CLEAN, campaign.Verdict(100, 10, 20, 0), True, [], 1.0)
    missed = report.Line("mutant a<b", report.FAULTY, campaign.Verdict(5, 10, 20, 0), False, [], 1.0)
    caught = report.Line("mutant c", report.FAULTY, campaign.Verdict(5, 10, 20, 1), True,
                         [Account(["wrong"], True)], 1.0)
    report.write(tmp_path / "report.html", [good, missed, caught])
    page = (tmp_path / "report.html").read_text()
    assert ("Without a fault: 100 images, 0 failed. "
            "With a fault: 2, 1 caught, 1 with a line named.") in page
    assert page.count('class="bad"') == 1 and "mutant a&lt;b" in page


def test_a_machine_that_hangs_is_a_line_that_is_not_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not pass for a fault that was caught, nor end the runs of the others."""
    def hang(_run: Run) -> Symbols:
        raise VMError("The command took longer than 150 s.")

    monkeypatch.setattr(campaign, "record", hang)
    faulty = Run("6.1", 1, 1, 300, False, FaultyDriver(mutants.MUTANTS[0]))
    clean = Run("6.1", 1, 1, 300, False)
    lines = [command.run_faulty(faulty, 10, Choice(), "faulty"),
             command.run_clean(clean, 10, Choice(), "clean")]
    for line in lines:
        assert not line.as_wanted and line.failures[0].lines == ["The command took longer than 150 s."]
    assert "With a fault: 1, 0 caught" in report.summary(lines)
