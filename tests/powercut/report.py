# SPDX-License-Identifier: GPL-2.0-or-later
"""What the campaign found, as lines while it runs and as a page afterwards."""
from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

from tests.powercut.account import Account
from tests.powercut.campaign import Verdict

PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Power loss</title>
<style>body{{font:15px sans-serif;margin:2em;max-width:70em}}
td,th{{padding:.2em .8em;text-align:left;vertical-align:top}}
.bad{{background:#fdd}}code{{font-size:90%}}</style>
<h1>Power loss at the grain of cache lines</h1>
<p>{summary}</p>
<table><tr><th>run<th>events<th>moments<th>images<th>failed<th>seconds<th>first failure</tr>
{rows}
</table></html>
"""


# Kinds of lines.
CLEAN, FAULTY, BOOTED = "clean", "faulty", "booted"


@dataclass(frozen=True)
class Line:
    """One run and what its images came to."""

    name: str
    kind: str
    verdict: Verdict
    as_wanted: bool
    failures: list[Account]
    seconds: float


def plain(text: str) -> Account:
    """A failure of which no more is known."""
    return Account([text], False)


def show(line: Line) -> Line:
    """Print a run as soon as it is judged."""
    verdict = line.verdict
    word = "as wanted" if line.as_wanted else "NOT AS WANTED"
    print(f"{line.name}: {verdict.failed} of {verdict.images} images failed ({word}, {line.seconds:.0f} s)",
          flush=True)
    for failure in line.failures[:1]:
        print("\n".join(f"    {text}" for text in failure.lines), flush=True)
    return line


def _row(line: Line) -> str:
    first = "<br>".join(html.escape(text) for text in line.failures[0].lines) if line.failures else ""
    mark = "" if line.as_wanted else ' class="bad"'
    verdict = line.verdict
    figures = (verdict.events, verdict.moments, verdict.images, verdict.failed, round(line.seconds))
    cells = "".join(f"<td>{figure}" for figure in figures)
    return f"<tr{mark}><td>{html.escape(line.name)}{cells}<td><code>{first}</code></tr>"


def summary(lines: list[Line]) -> str:
    """The figures in a few sentences."""
    parts = []
    for kind, name in ((CLEAN, "Without a fault"), (BOOTED, "Booted")):
        some = [line.verdict for line in lines if line.kind == kind]
        if some:
            parts.append(f"{name}: {sum(one.images for one in some)} images, "
                         f"{sum(one.failed for one in some)} failed.")
    faulty = [line for line in lines if line.kind == FAULTY]
    if faulty:
        parts.append(f"With a fault: {len(faulty)}, "
                     f"{sum(line.verdict.failed > 0 for line in faulty)} caught, "
                     f"{sum(any(one.named for one in line.failures) for line in faulty)} with a line named.")
    return " ".join(parts)


def write(path: Path, lines: list[Line]) -> None:
    """The page with all figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PAGE.format(summary=summary(lines), rows="\n".join(map(_row, lines))), encoding="utf-8")
