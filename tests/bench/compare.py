# SPDX-License-Identifier: GPL-2.0-or-later
"""Two runs held against each other: what of the volume changed."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.peers import OURS
from tests.bench.results import Results

# Runs of the same code differ by up to 1.6 % where work goes on in the background; less is no change.
SAME = 0.02


@dataclass(frozen=True)
class Change:
    """A figure of the volume, before and after."""

    workload: str
    figure: str
    before: float
    after: float

    @property
    def factor(self) -> float:
        """After to before."""
        return self.after / self.before

    def __str__(self) -> str:
        return (
            f"{self.workload} {self.figure}: {self.before:,.6g} -> {self.after:,.6g} ({self.factor - 1:+.1%})"
        )


def changes(base: Results, results: Results) -> Iterator[Change]:
    """The figures that both have and that differ."""
    for workload, peers in results.figures.items():
        for figure, after in peers.get(OURS, {}).items():
            before = base.get(workload, OURS, figure)
            if before and abs(after / before - 1) > SAME:
                yield Change(workload, figure, before, after)
