# SPDX-License-Identifier: GPL-2.0-or-later
"""make breakage: 0 when the test of every broken promise goes red."""
from __future__ import annotations

import argparse
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from tests.breakage.built import BUILD, Problem, build
from tests.breakage.faults import CHECKOUT, FAULTS, Fault, chosen

RESULTS = BUILD / "vm.xml"


@dataclass(frozen=True)
class Verdict:
    """How the test of a broken promise ended."""

    outcome: str  # passed, failed, lost or timeout
    said: str  # the failure


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.breakage", description=__doc__)
    parser.add_argument("name", nargs="*", help="only these faults (default: all)")
    parser.add_argument("--kernel", default="6.1")
    parser.add_argument("--whole", action="store_true",
                        help="plant nothing: the tests of these faults must be green")
    parser.add_argument("--list", action="store_true", help="the faults, their promises and their tests")
    return parser


def _build_all(faults: Sequence[Fault], kernel: str) -> list[Fault]:
    """Those that could be built."""
    good = []
    for number, fault in enumerate(faults, start=1):
        print(f"building {number} of {len(faults)}: {fault.name}", flush=True)
        try:
            build(fault, kernel)
            good.append(fault)
        except (Problem, ValueError) as problem:
            print(f"breakage: {problem}", file=sys.stderr)
    return good


def _run(faults: Sequence[Fault], options: argparse.Namespace) -> None:
    """One run of the suite, so that tests of one shape share a machine."""
    words = [str(CHECKOUT / "tests" / "run"), "-p", "tests.breakage.plugin", "--seed", "1",
             "--kernel", options.kernel, "--logs", str(BUILD / "vm"), f"--junitxml={RESULTS}",
             "--faults", ",".join(fault.name for fault in faults), *sorted({fault.test for fault in faults})]
    if not options.whole:
        words += ["--built", str(BUILD / "built")]
    RESULTS.unlink(missing_ok=True)
    subprocess.run(words, check=False)


def _verdict(case: ET.Element) -> Verdict:
    failure = case.find("failure")
    if failure is None:
        failure = case.find("error")
    if failure is None:
        return Verdict("passed", "")
    words = [p.get("value", "") for p in case.iter("property") if p.get("name") == "outcome"]
    return Verdict(words[0] if words else "failed", failure.get("message", "") + (failure.text or ""))


def _verdicts() -> dict[str, Verdict]:
    """By the names of the faults. Nothing when the run did not get that far."""
    if not RESULTS.is_file():
        return {}
    return {case.get("name", ""): _verdict(case) for case in ET.parse(RESULTS).getroot().iter("testcase")}


def _judge(faults: Sequence[Fault], whole: bool) -> list[str]:
    """Print how each went; the names of those that are not as they should be."""
    verdicts = _verdicts()
    wrong = []
    for fault in faults:
        verdict = verdicts.get(fault.name, Verdict("not tried", ""))
        wanted = "passed" if whole else fault.outcome
        good = verdict.outcome == wanted and (whole or fault.says in verdict.said)
        if not good:
            wrong.append(fault.name)
        mark = "" if good else f", NOT AS IT SHOULD BE: {wanted} {'' if whole else fault.says}"
        first = verdict.said.strip().partition("\n")[0]
        print(f"{fault.name}: {verdict.outcome}{mark}  {first}")
    return wrong


def main() -> int:
    """Build, run, judge."""
    options = _parser().parse_args()
    try:
        faults = chosen(options.name)
    except ValueError as error:
        print(f"breakage: {error}", file=sys.stderr)
        return 2
    if options.list:
        for fault in FAULTS:
            print(f"{fault.name:60} {fault.promise:10} {fault.test}")
        return 0
    faults.sort(key=lambda fault: not fault.in_driver)  # what is alike is built in a row
    built = faults if options.whole else _build_all(faults, options.kernel)
    if not built:
        print("breakage: nothing could be built, so nothing is tried.", file=sys.stderr)
        return 1
    _run(built, options)
    wrong = _judge(faults, options.whole)
    print(f"{len(faults) - len(wrong)} of {len(faults)} as they should be")
    if wrong:
        print(f"breakage: not as they should be: {', '.join(wrong)}.", file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
