# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run found, as results.json holds it.

    {"schema": 1, "kernel": "6.1.0-56-amd64", "tier": "ssd",
     "figures": {WORKLOAD: {PEER: {FIGURE: number}}},
     "series": {WORKLOAD: {PEER: {NAME: [number a second]}}}, "failed": {"WORKLOAD PEER": "why"}}

Without a tier it is ssd (rig.py), which was the only one. Figures carry their unit in their name
(workloads.py). The seconds of something that never came about are null.
"""
from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.workloads import Figures

SCHEMA = 1


@dataclass
class Results:
    """The figures by workload, peer and name."""

    kernel: str = ""
    figures: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    series: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    tier: str = "ssd"

    def add(self, workload: str, peer: str, found: Figures) -> None:
        """Take in what a workload measured."""
        self.figures.setdefault(workload, {})[peer] = found.value
        if found.series:
            self.series.setdefault(workload, {})[peer] = found.series

    def get(self, workload: str, peer: str, figure: str) -> float | None:
        """One figure, None when it was not measured."""
        return self.figures.get(workload, {}).get(peer, {}).get(figure)

    def save(self, path: Path) -> None:
        """Write it."""
        figures = {
            workload: {
                peer: {name: None if math.isinf(value) else value for name, value in values.items()}
                for peer, values in peers.items()
            }
            for workload, peers in self.figures.items()
        }
        content = {
            "schema": SCHEMA,
            "kernel": self.kernel,
            "tier": self.tier,
            "figures": figures,
            "series": self.series,
            "failed": self.failed,
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _numbers(figures: Any) -> dict[str, dict[str, dict[str, float]]]:
    return {
        workload: {
            peer: {name: math.inf if value is None else float(value) for name, value in values.items()}
            for peer, values in peers.items()
        }
        for workload, peers in figures.items()
    }


def read(path: Path) -> Results:
    """Read what save() wrote; ValueError when it is something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(
                f"{path} has schema {content['schema']}, this version reads {SCHEMA}: measure anew"
            )
        figures = _numbers(content["figures"])
        tier = content.get("tier", "ssd")
        return Results(content["kernel"], figures, content["series"], content["failed"], tier)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}): give a results.json of an earlier run"
        ) from None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is no results.json: give one of an earlier run") from None
