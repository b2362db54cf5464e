# SPDX-License-Identifier: GPL-2.0-or-later
"""make bench: 0 when everything was measured, whatever it came to; 1 when something failed to be; 2 when the
bench could not run.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import images
from qemu import VMError

from tests.bench import bars, compare, page, peers, results, rig, workloads
from tests.bench.campaign import Campaign
from tests.bench.results import Results

BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"


def parser() -> argparse.ArgumentParser:
    """The options that make passes on."""
    top = argparse.ArgumentParser(prog="make bench")
    top.add_argument("--kernel", default="6.1")
    top.add_argument("--full", action="store_true", help="more peers")
    top.add_argument("--peers", help=f"only these: {', '.join(peers.BY_NAME)}, or all")
    top.add_argument("--workloads", help=f"only these: {', '.join(workloads.BY_NAME)}")
    top.add_argument("--tier", default="ssd", choices=rig.TIERS, help="the slow tier (default ssd)")
    top.add_argument("--base", type=Path, help="results.json of an earlier run, to compare with")
    top.add_argument("--machines", type=int, default=2, help="how many at once (default 2)")
    top.add_argument(
        "--build",
        type=Path,
        default=BUILD,
        help="where results.json and report.html go (default build/bench)",
    )
    return top


def _tell(found: Results) -> None:
    """The bars, a line each."""
    if found.tier != bars.TIER:
        print(f"the bars are set for TIER={bars.TIER} and say nothing of {found.tier}")
    for judged in bars.judge(found):
        if judged.ratio is None:
            continue
        word = "holds" if judged.holds else "FALLS SHORT"
        sign = "at most" if judged.bar.at_most else "at least"
        print(
            f"{judged.bar.title}: {judged.ratio:.2f} of {peers.BY_NAME[judged.peer].title}, "
            f"should be {sign} {judged.bar.limit}: {word}"
        )


def _base(options: argparse.Namespace) -> Results | None:
    """The run to compare with, if any: one of the same slow tier."""
    if options.base is None:
        return None
    base = results.read(options.base)
    if base.tier != options.tier:
        raise ValueError(
            f"{options.base} was measured over the slow tier {base.tier}: give TIER={base.tier}, "
            "or another file"
        )
    return base


def run(options: argparse.Namespace) -> int:
    """Measure, compare and report."""
    chosen = peers.chosen(options.peers, options.full)
    wanted = workloads.chosen(options.workloads)
    base = _base(options)
    options.build.mkdir(parents=True, exist_ok=True)
    found = Campaign(options.kernel, options.tier, options.build / "vm").run(chosen, wanted, options.machines)
    changed = list(compare.changes(base, found)) if base else []
    found.save(options.build / "results.json")
    (options.build / "report.html").write_text(page.render(found, changed), encoding="utf-8")
    _tell(found)
    for change in changed:
        print(f"changed: {change}")
    print(f"report in {options.build / 'report.html'}")
    return 1 if found.failed else 0


def main() -> int:
    """Run the bench and return its exit status."""
    try:
        return run(parser().parse_args())
    except (VMError, images.Problem, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


sys.exit(main())
