# SPDX-License-Identifier: GPL-2.0-or-later
"""make powercut: the campaign. 0 when no image of the driver fails, and one of each faulty driver does."""
from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import images
from qemu import VMError

from tests.powercut import boots, campaign, mutants, report
from tests.powercut.account import describe
from tests.powercut.campaign import Choice, Run
from tests.powercut.options import choice, chosen_mutants, clean_runs, parser
from tests.powercut.report import Line
from tests.powercut.subjects import Control, FaultyDriver, FaultyFormat
from tests.powercut.symbols import Symbols

# Longer, where the short one does not come to the state in which the fault shows.
MUTANT_OPERATIONS = (300, 1200)
MUTANT_CUTS = 3000
CONTROL_OPERATIONS = 100
CONTROL_CUTS = 300
# Of few operations more cuts are in the format.
FORMAT_OPERATIONS = 20
# With one processor the kernel patches its lock prefixes away, and no accidental fence hides a missing one.
MUTANT_PROCESSORS = 1


def _unrecorded(name: str, kind: str, error: VMError, started: float) -> Line:
    """A machine that hung or was lost, which says nothing of power cuts, and must not end the others."""
    return Line(name, kind, campaign.Verdict(), False, [report.plain(str(error))],
                time.monotonic() - started)


def run_clean(run: Run, cuts: int, chosen: Choice, name: str) -> Line:
    """What has no fault: no image may fail."""
    started = time.monotonic()
    try:
        symbols = campaign.record(run)
    except VMError as error:
        return _unrecorded(name, report.CLEAN, error, started)
    verdict = campaign.judge(run, run.seed, cuts, choice=chosen)
    accounts = [describe(failure, symbols) for failure in verdict.failures]
    return Line(name, report.CLEAN, verdict, verdict.failed == 0, accounts, time.monotonic() - started)


def run_faulty(run: Run, cuts: int, chosen: Choice, name: str) -> Line:
    """What has a fault: an image must fail, and a line be named where the fault is in a module."""
    started = time.monotonic()
    try:
        symbols = campaign.record(run)
    except VMError as error:
        return _unrecorded(name, report.FAULTY, error, started)
    verdict = campaign.judge(run, run.seed, cuts, stop=True, choice=chosen)
    accounts = [describe(failure, symbols) for failure in verdict.failures]
    named = bool(run.subject.preload) or all(account.named for account in accounts)
    wanted = verdict.failed > 0 and named
    return Line(name, report.FAULTY, verdict, wanted, accounts, time.monotonic() - started)


def run_boots(run: Run, count: int, chosen: Choice) -> Line:
    """Machines that boot from images of the driver."""
    started = time.monotonic()
    done = boots.boot_some(run, count, chosen)
    failed = [one for one in done if one.wrong]
    verdict = campaign.Verdict(images=len(done), failed=len(failed))
    told = [report.plain(f"{one.wrong} (cut {one.cut})") for one in failed]
    return Line(f"machines that booted, {run.processors} processors, seed {run.seed}", report.BOOTED, verdict,
                not failed and len(done) == count, told, time.monotonic() - started)


def one_image(options: argparse.Namespace) -> int:
    """Judge one image again."""
    if options.seed is None:
        print("powercut: CUT is one of a SEED: give both.", file=sys.stderr)
        return 2
    runs = [run for run in clean_runs(options) if campaign.kept(run)]
    if not runs:
        print(f"powercut: No record of seed {options.seed} is kept in {campaign.BUILD}, and a new run would "
              "give other images: where the record was made, copy that folder here; otherwise run "
              f"make powercut SEED={options.seed} and take a cut of that.", file=sys.stderr)
        return 2
    chosen = choice(options)
    return max([_judge_one(run, options.cut, chosen) for run in runs])


def _judge_one(run: Run, cut: int, chosen: Choice) -> int:
    folder = run.folder / f"cut{cut}"
    boots.keep_image(run, cut, folder, chosen)
    verdict = campaign.judge(run, run.seed, 1, first=cut, choice=chosen)
    print(f"cut {cut} of seed {run.seed}, {run.processors} processors: "
          f"{'fails' if verdict.failed else 'holds'}; the image is in {folder}")
    for failure in verdict.failures:
        print("\n".join(f"  {line}" for line in describe(failure, Symbols.load(run.folder)).lines))
    return 1 if verdict.failed else 0


Job = Callable[[], list[Line]]


def _clean_jobs(options: argparse.Namespace, chosen: Choice) -> Iterator[Job]:
    """The driver, and machines that boot from its images."""
    runs = clean_runs(options)
    cuts = -(-options.cuts // len(runs))
    for number, run in enumerate(runs):
        yield _clean_job(run, cuts, chosen, (options.boots + number) // len(runs))


def _clean_job(run: Run, cuts: int, chosen: Choice, machines: int) -> Job:
    name = f"driver, {run.processors} processors, seed {run.seed}"
    return lambda: ([run_clean(run, cuts, chosen, name)] +
                    ([run_boots(run, machines, chosen)] if machines else []))


def _faulty_jobs(options: argparse.Namespace, chosen: Choice) -> Iterator[Job]:
    """The control target and what has a fault, as they are asked for."""
    seed = options.seed or 1
    if options.mutant is None:
        good, bad = (Run(options.kernel, MUTANT_PROCESSORS, seed, CONTROL_OPERATIONS, False, Control(forgets))
                     for forgets in (False, True))
        yield lambda: [run_clean(good, CONTROL_CUTS, chosen, "control target")]
        yield lambda: [run_faulty(bad, CONTROL_CUTS, chosen, "control target that forgets a fence")]
        hasty = Run(options.kernel, MUTANT_PROCESSORS, seed, FORMAT_OPERATIONS, False, FaultyFormat())
        yield lambda: [run_faulty(hasty, MUTANT_CUTS, chosen, "tierctl format that leaves old superblocks")]
    for mutant in chosen_mutants(options.mutant):
        yield _mutant_job(options.kernel, mutant, seed, chosen)


def _mutant_job(kernel: str, mutant: mutants.Mutant, seed: int, chosen: Choice) -> Job:
    memory = mutant in mutants.MEMORY_MUTANTS
    runs = [Run(kernel, MUTANT_PROCESSORS, seed, operations, False, FaultyDriver(mutant), memory)
            for operations in MUTANT_OPERATIONS]
    return lambda: [_until_caught(runs, chosen, f"mutant {mutant.name}")]


def _until_caught(runs: list[Run], chosen: Choice, name: str) -> Line:
    """What came of the first run in which an image failed, or of the last one."""
    lines = (run_faulty(run, MUTANT_CUTS, chosen, name) for run in runs)
    line = next(lines)
    while not line.verdict.failed and (longer := next(lines, None)):
        line = longer
    return line


def _do(job: Job) -> list[Line]:
    return job()


def everything(options: argparse.Namespace) -> int:
    """The whole campaign."""
    chosen = choice(options)
    jobs = list(_faulty_jobs(options, chosen))
    if options.mutant is None or options.mutant == "none":
        jobs = [*_clean_jobs(options, chosen), *jobs]
    # A machine under the plugin has one thread, whatever its processors.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        lines = [report.show(line) for some in pool.map(_do, jobs) for line in some]
    page = campaign.BUILD / "report.html"
    report.write(page, lines)
    wrong = [line.name for line in lines if not line.as_wanted]
    where = page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page
    print(f"{report.summary(lines)} The report is {where}.")
    if wrong:
        print(f"powercut: not as it should be: {', '.join(wrong)}.", file=sys.stderr)
    return 1 if wrong else 0


def main() -> int:
    """Run the campaign and return its exit status."""
    options = parser().parse_args()
    try:
        return one_image(options) if options.cut is not None else everything(options)
    except (VMError, images.Problem, ValueError) as error:
        print(f"powercut: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
