# SPDX-License-Identifier: GPL-2.0-or-later
"""Splits a suite among processes that run beside each other, and puts their results together again."""
from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple


class Shard(NamedTuple):
    """One of `of` parts of a run, numbered from 1."""

    number: int
    of: int


class Totals(NamedTuple):
    """How the tests of a run ended."""

    passed: int
    failed: int
    skipped: int


def parse(text: str) -> Shard:
    """A shard as 'NUMBER/COUNT'."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    shard = Shard(*map(int, match.groups())) if match else Shard(0, 0)
    if not 1 <= shard.number <= shard.of:
        raise ValueError(f"A shard is given as NUMBER/COUNT, such as 1/2, not as {text}.")
    return shard


def part_of(weights: Sequence[float], shard: Shard) -> range:
    """The places of one shard: neighbours, for they share a machine; all shards weigh about the same."""
    total = sum(weights)
    ends, done = [], 0.0
    for weight in weights:
        done += weight
        ends.append(done - weight / 2)
    low, high = (total * bound / shard.of for bound in (shard.number - 1, shard.number))
    inside = [place for place, middle in enumerate(ends) if low <= middle < high]
    return range(inside[0], inside[-1] + 1) if inside else range(0)


def merge(parts: Iterable[Path], whole: Path) -> Totals:
    """Make one JUnit file of several, and count what is in it."""
    suites = ET.Element("testsuites")
    for part in parts:
        if part.exists():
            suites.extend(ET.parse(part).getroot().iter("testsuite"))
    ET.ElementTree(suites).write(whole, encoding="utf-8", xml_declaration=True)
    cases = list(suites.iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    return Totals(len(cases) - failed - skipped, failed, skipped)


def failures(whole: Path, last_lines: int = 20) -> Iterator[str]:
    """What failed, and the end of what each said: who sees only the end of a run learns the cause."""
    for case in ET.parse(whole).getroot().iter("testcase"):
        for wrong in (*case.iter("failure"), *case.iter("error")):
            said = (wrong.text or wrong.get("message") or "").splitlines()[-last_lines:]
            yield "\n".join([f"{wrong.tag.upper()} {case.get('classname')}::{case.get('name')}", *said])
