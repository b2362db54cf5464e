# SPDX-License-Identifier: GPL-2.0-or-later
"""Prometheus' text exposition, judged more strictly than its parsers do."""
from __future__ import annotations

import math
import re
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

NAME = re.compile(r"tiered_[a-z0-9]+(_[a-z0-9]+)*")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


class Metric:
    """A metric family: its samples by labels (without `le`) and suffix."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.values: dict[tuple[tuple[str, str], ...], dict[str, float]] = defaultdict(dict)
        self.buckets: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = defaultdict(list)


def parse(text: str) -> dict[str, Metric]:
    """The families by name; AssertionError where the format or its conventions are broken."""
    assert text.endswith("\n") and "\r" not in text
    _require_order(text)
    # The client's parser, for everything that its grammar says; it drops _total from names of families.
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    known = {sample.name for family in families for sample in family.samples}
    metrics: dict[str, Metric] = {}
    current = ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            current, kind = line.split()[2:]
            metrics[current] = Metric(kind)
        elif not line.startswith("#"):
            assert line.split("{")[0] in known, f"not parsed: {line}"
            _take(metrics[current], current, line)
    for name, metric in metrics.items():
        _judge(name, metric)
    return metrics


def _require_order(text: str) -> None:
    """HELP, TYPE, samples; each family once."""
    seen: set[str] = set()
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            name, meaning = line.removeprefix("# HELP ").split(" ", 1)
            assert name not in seen and NAME.fullmatch(name), f"a second time, or a bad name: {name}"
            assert len(meaning) > 10 and meaning.endswith("."), f"no meaning: {line}"
            assert lines[number + 1].startswith(f"# TYPE {name} "), f"HELP without TYPE: {name}"
            seen.add(name)
        elif line.startswith("# TYPE "):
            assert lines[number - 1].startswith(f"# HELP {line.split()[2]} "), f"TYPE without HELP: {line}"
        else:
            assert line and not line.startswith("#"), f"neither sample nor HELP nor TYPE: {line!r}"


def _take(metric: Metric, family: str, line: str) -> None:
    match = re.fullmatch(r'(\w+)\{((?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*)\} (\S+)', line)
    assert match, f"no sample: {line!r}"
    name, labels_text, value = match.groups()
    labels = dict(re.findall(r'(\w+)="((?:[^"\\\n]|\\[\\"n])*)"', labels_text))
    suffix = name.removeprefix(family)
    assert name.startswith(family) and suffix in SUFFIXES[metric.kind], f"{name} below {family}"
    bound = labels.pop("le", None)
    key = tuple(sorted(labels.items()))
    if name.endswith("_bucket"):
        assert bound is not None
        metric.buckets[key].append((float(bound), float(value)))
    else:
        assert bound is None and suffix not in metric.values[key], f"twice: {line}"
        metric.values[key][suffix] = float(value)


def _judge(name: str, metric: Metric) -> None:
    assert (metric.kind == "counter") == name.endswith("_total"), f"{name} is a {metric.kind}"
    for key, values in metric.values.items():
        assert all(value >= 0 and math.isfinite(value) for value in values.values()), f"{name}{key}: {values}"
        if metric.kind != "histogram":
            continue
        buckets = metric.buckets[key]
        bounds, counts = [b for b, _ in buckets], [c for _, c in buckets]
        assert bounds == sorted(set(bounds)) and math.isinf(bounds[-1]), f"{name}{key}: bounds {bounds}"
        assert counts == sorted(counts) and counts[-1] == values["_count"], f"{name}{key}: {counts}, {values}"
        assert (values["_sum"] > 0) == (values["_count"] > 0), f"{name}{key}: {values}"
