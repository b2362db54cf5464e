# SPDX-License-Identifier: GPL-2.0-or-later
"""make powercut: the campaign. 0 when no image of the driver fails, and one of each faulty driver does."""
from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import images
from qemu import VMError

from tests.powercut import campaign, mutants, report
from tests.powercut.campaign import Run
from tests.powercut.options import chosen_mutants, clean_runs, parser
from tests.powercut.report import Line

MUTANT_OPERATIONS = 400
MUTANT_CUTS = 3000
# With one processor the kernel patches its lock prefixes away, and no accidental fence hides a missing one.
MUTANT_PROCESSORS = 1


def run_clean(run: Run, cuts: int) -> Line:
    """The driver itself: no image may fail."""
    started = time.monotonic()
    symbols = campaign.record(run)
    verdict = campaign.judge(run, run.seed, cuts)
    found = [campaign.describe(failure, symbols) for failure in verdict.failures]
    return Line(f"driver, {run.processors} processors, seed {run.seed}", verdict, verdict.failed == 0, found,
                time.monotonic() - started)


def run_mutant(kernel: str, mutant: mutants.Mutant, seed: int) -> Line:
    """A faulty driver: an image must fail."""
    started = time.monotonic()
    run = Run(kernel, MUTANT_PROCESSORS, seed, MUTANT_OPERATIONS, False, mutant)
    symbols = campaign.record(run)
    verdict = campaign.judge(run, seed, MUTANT_CUTS, stop=True)
    found = [campaign.describe(failure, symbols) for failure in verdict.failures]
    return Line(f"mutant {mutant.name}", verdict, verdict.failed > 0, found, time.monotonic() - started)


def one_image(options: argparse.Namespace) -> int:
    """Judge one image again."""
    if options.seed is None:
        print("powercut: CUT is one of a SEED: give both.", file=sys.stderr)
        return 2
    failed = 0
    for run in clean_runs(options):
        if not (run.folder / "run.json").exists():
            raise VMError(f"Seed {run.seed} was not recorded here: run make powercut SEED={run.seed} first.")
        verdict = campaign.judge(run, run.seed, 1, first=options.cut)
        failed += verdict.failed
        print(f"cut {options.cut} of seed {run.seed}, {run.processors} processors: "
              f"{'fails' if verdict.failed else 'holds'}")
        for failure in verdict.failures:
            print("\n".join(f"  {line}" for line in campaign.describe(failure, None)))
    return 1 if failed else 0


def everything(options: argparse.Namespace) -> int:
    """The whole campaign."""
    runs = clean_runs(options)
    lines: list[Line] = []
    for run in runs if options.mutant is None or options.mutant == "none" else []:
        lines.append(report.show(run_clean(run, -(-options.cuts // len(runs)))))
    for mutant in chosen_mutants(options.mutant):
        lines.append(report.show(run_mutant(options.kernel, mutant, options.seed or 1)))
    page = campaign.BUILD / "report.html"
    report.write(page, lines)
    wrong = [line.name for line in lines if not line.as_wanted]
    print(f"{sum(line.verdict.images for line in lines)} images; report in {page.relative_to(Path.cwd())}"
          if page.is_relative_to(Path.cwd()) else f"report in {page}")
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


sys.exit(main())
