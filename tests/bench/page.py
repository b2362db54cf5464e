# SPDX-License-Identifier: GPL-2.0-or-later
"""report.html: bars, figures, plots and the commands, in one file that needs nothing else."""
from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence

from tests.bench import bars, peers, workloads
from tests.bench.bars import Judged
from tests.bench.compare import Change
from tests.bench.results import Results

WIDTH, HEIGHT, MARGIN = 760, 220, 60
COLOURS = ("#0b6", "#05a", "#c50", "#818", "#a80", "#555", "#09a", "#d05", "#690", "#333")

HEAD = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>dm-tiered and its neighbours</title>
<style>body{font:15px sans-serif;margin:2em;max-width:70em}td,th{padding:.2em .8em;text-align:right}
td:first-child,th:first-child{text-align:left}.bad{background:#fdd}.good{background:#dfd}
svg{background:#fafafa}text{font:12px sans-serif}pre{background:#f4f4f4;padding:1em;overflow-x:auto}</style>
<h1>dm-tiered and its neighbours</h1>
"""


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return "never" if math.isinf(value) else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def _bar_row(judged: Judged) -> str:
    mark = {None: "", True: ' class="good"', False: ' class="bad"'}[judged.holds]
    peer = peers.BY_NAME[judged.peer].title if judged.peer else "best neighbour"
    ratio = "-" if judged.ratio is None else f"{judged.ratio:.2f}"
    sign = "&le;" if judged.bar.at_most else "&ge;"
    return (
        f"<tr{mark}><td>{html.escape(judged.bar.title)}<td>{_number(judged.ours)}<td>{html.escape(peer)}"
        f"<td>{_number(judged.theirs)}<td>{ratio}<td>{sign} {judged.bar.limit}</tr>"
    )


def _bars(results: Results) -> str:
    rows = "\n".join(map(_bar_row, bars.judge(results)))
    if not rows:
        return ""
    return (
        "<h2>What the volume should reach</h2>\n<table><tr><th>figure<th>tiered<th>held against<th>its figure"
        f"<th>ratio<th>should be</tr>\n{rows}\n</table>\n"
    )


def _table(workload: str, measured: dict[str, dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for values in measured.values() for name in values))
    head = "".join(f"<th>{html.escape(name)}" for name in names)
    rows = "\n".join(
        f"<tr><td>{html.escape(peers.BY_NAME[peer].title)}"
        + "".join(f"<td>{_number(values.get(name))}" for name in names)
        for peer, values in measured.items()
    )
    title = html.escape(workloads.BY_NAME[workload].title)
    return f"<h2>{title}</h2>\n<table><tr><th>peer{head}</tr>\n{rows}\n</table>\n"


def _line(values: Sequence[float], top: float, colour: str) -> str:
    step = (WIDTH - MARGIN) / max(len(values) - 1, 1)
    points = " ".join(
        f"{MARGIN + step * at:.1f},{HEIGHT - (HEIGHT - 20) * value / top:.1f}"
        for at, value in enumerate(values)
    )
    return f'<polyline fill="none" stroke="{colour}" points="{points}"/>'


def _plot(measured: dict[str, dict[str, list[float]]], name: str) -> str:
    """Lines over seconds, one for each peer."""
    top = max((value for series in measured.values() for value in series.get(name, ())), default=0.0)
    if not top:
        return ""
    lines = "".join(
        _line(series[name], top, COLOURS[at % len(COLOURS)])
        for at, series in enumerate(measured.values())
        if name in series
    )
    legend = " ".join(
        f'<span style="color:{COLOURS[at % len(COLOURS)]}">{html.escape(peers.BY_NAME[peer].title)}</span>'
        for at, peer in enumerate(measured)
    )
    return (
        f'<p>{html.escape(name)} in each second: {legend}</p>\n<svg width="{WIDTH}" height="{HEIGHT + 10}">'
        f'<text x="2" y="22">{_number(top)}</text><text x="2" y="{HEIGHT}">0</text>{lines}</svg>\n'
    )


def _sections(results: Results) -> Iterator[str]:
    for workload, measured in results.figures.items():
        yield _table(workload, measured)
        yield _plot(results.series.get(workload, {}), "iops")


def _commands(used: Sequence[str]) -> str:
    text = "\n".join(f"# {peers.BY_NAME[name].title}\n{peers.BY_NAME[name].up}" for name in used)
    return (
        "<h2>How the peers were set up</h2>\n<p>The loads stand in tests/bench/workloads.py.</p>\n"
        f"<pre>{html.escape(text)}</pre>\n"
    )


def render(results: Results, changed: Sequence[Change]) -> str:
    """The page."""
    used = list(dict.fromkeys(peer for measured in results.figures.values() for peer in measured))
    parts = [
        HEAD,
        f"<p>Kernel {html.escape(results.kernel)}, slow tier {html.escape(results.tier)}. A microsecond is "
        "1,000 instructions of the guest: these figures repeat on any host, and know nothing of caches, "
        "fences and contention.</p>\n",
        _bars(results),
    ]
    if changed:
        items = "".join(f"<li>{html.escape(str(change))}" for change in changed)
        parts.append(f"<h2>Since the run that it is compared with</h2>\n<ul>{items}</ul>\n")
    if results.failed:
        items = "".join(
            f"<li>{html.escape(what)}: {html.escape(why)}" for what, why in results.failed.items()
        )
        parts.append(f"<h2>Failed</h2>\n<ul>{items}</ul>\n")
    return "".join([*parts, *_sections(results), _commands(used), "</html>\n"])
