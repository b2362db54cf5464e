# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench's arithmetic: bars, comparison, results.json, the page."""
from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.bench import bars, compare, page, peers, results, rig, workloads
from tests.bench.results import Results
from tests.bench.workloads import Figures


def _judged(found: Results, workload: str, figure: str) -> bars.Judged:
    return next(judged for judged in bars.judge(found) if judged.bar.figure == (workload, figure))


def test_the_best_neighbour_is_no_device_below() -> None:
    found = Results()
    for peer, iops in (("tiered", 150.0), ("pmem", 900.0), ("writecache", 100.0), ("bcache", 50.0)):
        found.add(
            "zipf",
            peer,
            Figures({"mean_iops": iops, "last_minute_iops": iops, "worst_second_iops": iops / 4}),
        )
    mean = _judged(found, "zipf", "mean_iops")
    assert (mean.peer, mean.ratio, mean.holds) == ("writecache", 1.5, True)
    assert _judged(found, "zipf", "last_minute_iops").holds is False
    worst = _judged(found, "zipf", "worst_second_iops")
    assert (worst.peer, worst.ratio, worst.holds) == ("tiered", 0.25, False)


def test_less_is_better_where_it_is() -> None:
    found = Results()
    found.add("hits", "tiered", Figures({"psync_p50_us": 4.0}))
    found.add("hits", "pmem", Figures({"psync_p50_us": 4.0}))
    assert _judged(found, "hits", "psync_p50_us").holds is True


def test_what_was_not_measured_is_not_judged() -> None:
    assert all(judged.holds is None for judged in bars.judge(Results()))


def test_every_bar_names_what_exists() -> None:
    for bar in bars.BARS:
        assert bar.figure[0] in workloads.BY_NAME
        assert not bar.peer or bar.peer in peers.BY_NAME
        assert bar.other is None or bar.other[0] in workloads.BY_NAME


def test_results_survive_a_file(tmp_path: Path) -> None:
    found = Results("6.1", tier="hdd")
    found.add("jump", "tiered", Figures({"back_s": math.inf, "old_iops": 3.5}, {"iops": [1.0, 2.0]}))
    found.failed["zipf bcache"] = "why"
    found.save(tmp_path / "results.json")
    assert results.read(tmp_path / "results.json") == found


@pytest.mark.parametrize(
    "text, says",
    [("{", "is no results.json"), ("[]", "is no results.json"), ('{"schema": 7}', "has schema 7")],
)
def test_other_files_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "old.json"
    path.write_text(text, encoding="ascii")
    with pytest.raises(ValueError, match=says):
        results.read(path)
    with pytest.raises(ValueError, match="cannot be read"):
        results.read(tmp_path / "none.json")


def test_a_file_without_a_tier_is_of_the_only_one_there_was(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(
        '{"schema": 1, "kernel": "6.1", "figures": {}, "series": {}, "failed": {}}', encoding="ascii"
    )
    assert results.read(path).tier == "ssd"


def test_bars_are_for_the_usual_tier_alone() -> None:
    assert bars.TIER in rig.TIERS
    assert bars.judge(Results()) and not bars.judge(Results(tier="hdd"))
    assert "What the volume should reach" not in page.render(Results(tier="hdd"), [])


def test_changes_are_told_and_noise_is_not() -> None:
    base, found = Results(), Results()
    base.add("burst", "tiered", Figures({"iops": 100.0, "p99_us": 100.0}))
    found.add("burst", "tiered", Figures({"iops": 90.0, "p99_us": 101.0}))
    assert [str(change) for change in compare.changes(base, found)] == ["burst iops: 100 -> 90 (-10.0%)"]


def test_the_page_shows_all_that_was_measured() -> None:
    found = Results("6.1.0-56-amd64")
    found.add("jump", "tiered", Figures({"back_s": math.inf, "old_iops": 3.5}, {"iops": [1.0, 2.0]}))
    found.failed["zipf bcache"] = "it <stopped>"
    text = page.render(found, [])
    for expected in ("never", "polyline", "it &lt;stopped&gt;", "tierctl format tier"):
        assert expected in text


@pytest.mark.parametrize("choose", [lambda: peers.chosen("tired", False), lambda: workloads.chosen("hit")])
def test_unknown_names_are_refused_with_the_known_ones(choose: object) -> None:
    assert callable(choose)
    with pytest.raises(ValueError, match="there is no .*: give some of"):
        choose()


def test_extra_peers_come_with_full() -> None:
    usual, full = peers.chosen(None, False), peers.chosen(None, True)
    assert set(usual) < set(full) and peers.chosen("all", False) == peers.PEERS
