# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate on instruction counts: its file, and what it says of a change."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import gate
from tests.bench.gate import Recorded

RELEASE = "6.1.0-56-amd64"
OLD = Recorded(RELEASE, "because", {"fill": 20000.0, "read_hit": 5000.0, "durable_write": 10000.0})


def _found(**changed: float) -> dict[str, float]:
    return {**OLD.figures, **changed}


@pytest.mark.parametrize("hit", [5000.0, 5149.0, 4851.0])
def test_small_changes_pass(hit: float) -> None:
    assert not list(gate.judge(OLD, RELEASE, _found(read_hit=hit)))


@pytest.mark.parametrize("hit, percent", [(5200.0, "+4.0%"), (4800.0, "-4.0%")])
def test_a_change_is_told_with_old_new_and_what_to_do(hit: float, percent: str) -> None:
    (said,) = gate.judge(OLD, RELEASE, _found(read_hit=hit))
    for piece in (
        "4 KiB read hit",
        "5000",
        f"{hit:.0f}",
        percent,
        "by recording it" if hit < 5000 else "undo that",
        "make record REASON=",
    ):
        assert piece in said
    assert said.count(".") == said.count("%.") + said.count(".json") + said.count(percent) + 1


def test_another_kernel_is_named() -> None:
    (said,) = gate.judge(OLD, "6.1.0-99-amd64", _found(fill=30000.0))
    assert "on 6.1.0-99-amd64, recorded on 6.1.0-56-amd64" in said


def test_a_record_is_read_again_and_leaves_others_alone(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    gate.record(path, OLD)
    other = Recorded("6.12.9", "another kernel", _found(fill=1.0))
    gate.record(path, other)
    assert gate.read(path) == {"6.1": OLD, "6.12": other}


def test_no_figures_without_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    with pytest.raises(ValueError, match="recorded with a reason"):
        gate.record(path, Recorded(RELEASE, " ", OLD.figures))
    gate.record(path, OLD)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["kernels"]["6.1"]["reason"] = ""
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="no reason for the figures of kernel 6.1"):
        gate.read(path)
    del content["kernels"]["6.1"]["reason"]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="is no record of figures"):
        gate.read(path)


@pytest.mark.parametrize(
    "text, says",
    [("{", "is no record"), ("[]", "is no record"), ('{"schema": 7}', "has schema 7")],
)
def test_other_files_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "gate.json"
    path.write_text(text, encoding="ascii")
    with pytest.raises(ValueError, match=says):
        gate.read(path)
    with pytest.raises(ValueError, match="cannot be read"):
        gate.read(tmp_path / "none.json")


def test_the_file_of_the_project_can_be_read() -> None:
    assert gate.read(gate.FILE)["6.1"].reason
