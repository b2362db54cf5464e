# SPDX-License-Identifier: GPL-2.0-or-later
"""The judge of expositions takes a good one and sees each fault."""
from __future__ import annotations

import pytest

from tests.harness import exposition

GOOD = """\
# HELP tiered_read_hits_total Pages touched by reads.
# TYPE tiered_read_hits_total counter
tiered_read_hits_total{volume="v0"} 5
# HELP tiered_seconds Latency of requests.
# TYPE tiered_seconds histogram
tiered_seconds_bucket{volume="v0",le="2.56e-07"} 1
tiered_seconds_bucket{volume="v0",le="+Inf"} 3
tiered_seconds_sum{volume="v0"} 0.5
tiered_seconds_count{volume="v0"} 3
"""

FAULTS = {
    "count is not that of the last bucket": ('_count{volume="v0"} 3', '_count{volume="v0"} 4'),
    "a gauge that ends in _total": ("counter", "gauge"),
    "buckets that shrink": ('le="2.56e-07"} 1', 'le="2.56e-07"} 7'),
    "no last bucket": ('le="+Inf"', 'le="7"'),
    "no TYPE": ("# TYPE tiered_read_hits_total counter\n", ""),
    "no HELP": ("# HELP tiered_seconds Latency of requests.\n", ""),
    "HELP that says nothing": ("Pages touched by reads.", "Hits."),
    "a label that is not quoted right": ('volume="v0"} 5', 'volume="v"0"} 5'),
    "a negative count": ("} 5", "} -5"),
    "a sample of another family": ("tiered_seconds_sum", "tiered_sum"),
    "a second sample": ('{volume="v0"} 5\n', '{volume="v0"} 5\ntiered_read_hits_total{volume="v0"} 6\n'),
    "an empty line": ("# TYPE tiered_seconds", "\n# TYPE tiered_seconds"),
    "no end of line": ("_count{volume=\"v0\"} 3\n", "_count{volume=\"v0\"} 3"),
}  # fmt: skip


def test_good_exposition_is_read() -> None:
    metrics = exposition.parse(GOOD)
    key = (("volume", "v0"),)
    assert metrics["tiered_read_hits_total"].values[key][""] == 5
    assert metrics["tiered_seconds"].buckets[key][0] == (2.56e-07, 1.0)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_seen(fault: str) -> None:
    good, bad = FAULTS[fault]
    assert GOOD.count(good) >= 1
    with pytest.raises((AssertionError, ValueError, KeyError)):
        exposition.parse(GOOD.replace(good, bad, 1))
