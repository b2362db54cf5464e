# SPDX-License-Identifier: GPL-2.0-or-later
"""What the volume should reach beside its neighbours, each as a ratio within one run."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.peers import OURS
from tests.bench.results import Results

Figure = tuple[str, str]  # of a workload, by name
TIER = "ssd"  # rig.py
RAW = ("pmem", "linear", "slow")


@dataclass(frozen=True)
class Bar:
    """One promise: our figure over that of `peer`, or of the best peer, at most or at least so much."""

    title: str
    figure: Figure
    limit: float
    at_most: bool
    peer: str = ""  # empty: the best neighbour
    other: Figure | None = None  # what it is held against, when not the same figure

    def against(self, results: Results) -> tuple[str, float] | None:
        """The peer that our figure is held against, and its figure."""
        workload, name = self.other or self.figure
        if self.peer:
            value = results.get(workload, self.peer, name)
            return None if value is None else (self.peer, value)
        neighbours = {
            peer: values[name]
            for peer, values in results.figures.get(workload, {}).items()
            if peer != OURS and peer not in RAW and name in values
        }
        if not neighbours:
            return None
        best: Callable[..., str] = min if self.at_most else max
        peer = best(neighbours, key=lambda candidate: neighbours[candidate])
        return peer, neighbours[peer]


@dataclass(frozen=True)
class Judged:
    """A bar, and how the volume stands to it; `ratio` is None where something was not measured."""

    bar: Bar
    ours: float | None
    peer: str
    theirs: float | None
    ratio: float | None

    @property
    def holds(self) -> bool | None:
        """Whether it holds."""
        if self.ratio is None:
            return None
        return self.ratio <= self.bar.limit if self.bar.at_most else self.ratio >= self.bar.limit


def at_most(
    title: str, workload: str, figure: str, limit: float, peer: str = "", other: Figure | None = None
) -> Bar:
    """The less the better."""
    return Bar(title, (workload, figure), limit, True, peer, other)


def at_least(
    title: str, workload: str, figure: str, limit: float, peer: str = "", other: Figure | None = None
) -> Bar:
    """The more the better."""
    return Bar(title, (workload, figure), limit, False, peer, other)


BARS = (
    at_most("read hit, 4 KiB, psync, p50", "hits", "psync_p50_us", 1.30, "pmem"),
    at_most("read hit, 4 KiB, psync, p50", "hits", "psync_p50_us", 0.96, "writecache"),
    at_most("read hit, 4 KiB, io_uring, mean", "hits", "uring_mean_us", 0.55, "linear"),
    at_least("read hits, 4 KiB, libaio QD 16", "hits", "qd16_iops", 1.05, "writecache"),
    at_most("write p50 and fdatasync mean", "durable", "write_and_sync_us", 0.85, "writecache"),
    at_least("durable writes where a FLUSH costs", "flushed", "iops", 1.1, "writecache"),
    at_least("zipf, mean", "zipf", "mean_iops", 1.45),
    at_least("zipf, last minute", "zipf", "last_minute_iops", 1.55),
    at_least(
        "zipf, worst second to our mean", "zipf", "worst_second_iops", 0.5, OURS, ("zipf", "last_minute_iops")
    ),
    at_most("jump, time to 90 % of the old rate", "jump", "back_s", 0.5, "cache64"),
    at_most("jump, bytes written to the slow device", "jump", "slow_write_bytes", 0.4, "cache64"),
    at_most("hot reads beside a scan, p50", "scan", "scan_p50_us", 1.1, OURS, ("scan", "quiet_p50_us")),
    at_least("burst of writes", "burst", "iops", 1.0, "writecache"),
    at_most(
        "burst, slow bytes for those written",
        "burst",
        "slow_bytes_later",
        1.05,
        OURS,
        ("burst", "written_bytes"),
    ),
    at_least("hot 1 MiB reads", "sequential", "hot_read_mbps", 0.93, "pmem", ("streams", "hot_read_mbps")),
    at_least("cold 1 MiB reads", "sequential", "cold_read_mbps", 0.98, "slow", ("streams", "cold_read_mbps")),
    at_least(
        "long cold 1 MiB writes",
        "sequential",
        "long_write_mbps",
        0.98,
        "slow",
        ("streams", "long_write_mbps"),
    ),
    at_least("burst of 128 MiB of 1 MiB writes", "sequential", "burst_write_mbps", 1.0, "writecache"),
    at_least("mapped file", "mapped", "iops", 2.0),
)


def judge(results: Results) -> list[Judged]:
    """How the volume stands to each bar; they are set for the usual slow tier and say nothing of another."""
    if results.tier != TIER:
        return []
    judged = []
    for bar in BARS:
        ours = results.get(bar.figure[0], OURS, bar.figure[1])
        against = bar.against(results)
        peer, theirs = against or (bar.peer, None)
        ratio = ours / theirs if ours is not None and theirs else None
        judged.append(Judged(bar, ours, peer, theirs, ratio))
    return judged
