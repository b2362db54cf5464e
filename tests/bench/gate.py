# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures that no change may make worse unnoticed: those of gate.json, counted anew by tests/vm/test_gate.py.

A figure is guest instructions a request (-icount), the slow tier answers at once, so nothing in it depends
on the host. The dearest 2 % of the requests are left out: among them are those that a tick of the clock or a
worker interrupted.

    {"schema": 1, "kernels": {"6.1": {"release": "6.1.0-56-amd64", "reason": "why these figures",
                                      "figures": {NAME: number}}}}

Who changes a figure on purpose says so: make record REASON='...' counts and rewrites the file.
"""
from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import images
from qemu import VM, Nvdimm, Spec, VMError

from tests.bench.rig import CPU, Rig, SLOW, SlowTier
from tests.harness import fio, pool, volume

FILE = Path(__file__).resolve().with_name("gate.json")
LOGS = Path(__file__).resolve().parents[2] / "build" / "bench" / "vm" / "gate"
SCHEMA = 1
KERNEL = "6.1"
FAST_SIZE = "64M"
TOLERANCE = 0.03
KEPT = 0.98
HOT = "16M"
REQUESTS = 8192
MISSES = 4096
TITLES = {
    "read_hit": "4 KiB read hit",
    "durable_write": "4 KiB write with its fdatasync",
    "fill": "4 KiB read miss with its fill",
}
RECORD = "make record REASON='why it changed'"


@dataclass(frozen=True)
class Recorded:
    """What was counted on a kernel, and why that is as it should be."""

    release: str
    reason: str
    figures: dict[str, float]


def series_of(release: str) -> str:
    """6.1 of 6.1.0-56-amd64: the kernels of one series share their figures."""
    match = re.match(r"\d+\.\d+", release)
    return match.group() if match else release


# ---- counting ---------------------------------------------------------------------------------


def _usual(instructions: list[int]) -> float:
    """The mean without the dearest."""
    kept = sorted(instructions)[: int(len(instructions) * KEPT)]
    return sum(kept) / len(kept)


def _requests(vm: VM, device: str, count: int, **options: Any) -> tuple[float, dict[str, Any]]:
    """Instructions that a request usually takes, and fio's report."""
    job = fio.run(
        vm,
        device,
        ioengine="psync",
        bs="4k",
        io_size=count * volume.PAGE,
        randrepeat=1,
        random_generator="tausworthe64",
        write_lat_log="/tmp/gate",
        **options,
    )
    lines = vm.run("cat /tmp/gate_lat.*.log; rm /tmp/gate_*.log").stdout.splitlines()
    taken = [int(line.split(",")[1]) for line in lines]
    assert len(taken) == count, f"{len(taken)} requests of {count} were logged"
    return _usual(taken), job


def measure(vm: VM) -> dict[str, float]:
    """The figures of a volume with its default options, over a new slow tier."""
    rig = Rig(vm, SlowTier(operation_us=0, mbps=0, at_once=True))
    rig.plug()
    v = volume.make(vm, capacity=SLOW)
    # First: overwriting leaves frames at rest, and a fill that finds none free is dropped.
    figures = {"fill": _fill(v), "read_hit": _read_hit(v), "durable_write": _durable_write(v)}
    v.close()
    rig.unplug()
    return figures


def _fill(v: volume.Volume) -> float:
    before = v.counters()
    instructions, _ = _requests(v.vm, v.path, MISSES, rw="randread", offset="64M", size="256M")
    fills = v.counters()["read_fills"] - before["read_fills"]
    assert fills == MISSES, f"only {fills} of {MISSES} misses were filled"
    return instructions


def _read_hit(v: volume.Volume) -> float:
    fio.run(v.vm, v.path, rw="randwrite", bs="16k", size=HOT, iodepth=4)
    v.flush()
    before = v.counters()
    instructions, _ = _requests(v.vm, v.path, REQUESTS, rw="randread", size=HOT, norandommap=True)
    hits = v.counters()["read_hits"] - before["read_hits"]
    assert hits == REQUESTS, f"only {hits} of {REQUESTS} reads were hits"
    return instructions


def _durable_write(v: volume.Volume) -> float:
    before = v.counters()
    instructions, job = _requests(
        v.vm, v.path, REQUESTS, rw="randwrite", size=HOT, norandommap=True, fdatasync=1
    )
    hits = v.counters()["write_hits"] - before["write_hits"]
    assert hits == REQUESTS, f"only {hits} of {REQUESTS} writes were hits"
    return instructions + float(job["sync"]["lat_ns"]["mean"])


# ---- judging ----------------------------------------------------------------------------------


def judge(recorded: Recorded, release: str, found: dict[str, float]) -> Iterator[str]:
    """A sentence for each figure that is no longer what was recorded. A gain counts, too: recorded, it is
    kept."""
    for name, new in found.items():
        old = recorded.figures[name]
        change = new / old - 1
        if abs(change) <= TOLERANCE:
            continue
        advice = "undo that, or record it with" if change > 0 else "keep that by recording it with"
        other = "" if release == recorded.release else f" (on {release}, recorded on {recorded.release})"
        yield (
            f"A {TITLES[name]} takes {new:.0f} instructions{other}, which is {change:+.1%} of the"
            f" {old:.0f} in {FILE.name}, where {TOLERANCE:.0%} are allowed: {advice} {RECORD}."
        )


# ---- the file ---------------------------------------------------------------------------------


def _one(path: Path, kernel: str, entry: Any) -> Recorded:
    reason = entry["reason"]
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError(
            f"{path} gives no reason for the figures of kernel {kernel}: record them with {RECORD}"
        )
    figures = {name: float(entry["figures"][name]) for name in TITLES}
    if min(figures.values()) <= 0:
        raise ValueError(
            f"{path} has a figure of kernel {kernel} that is no number of instructions: {RECORD}"
        )
    return Recorded(str(entry["release"]), reason, figures)


def read(path: Path) -> dict[str, Recorded]:
    """What was recorded, by series of kernels; ValueError when the file is not what record() writes."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"{path} has schema {content['schema']}, this version reads {SCHEMA}: {RECORD}")
        return {kernel: _one(path, kernel, entry) for kernel, entry in content["kernels"].items()}
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): record figures with {RECORD}") from None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is no record of figures: write it anew with {RECORD}") from None


def require_reason(reason: str) -> None:
    """ValueError when it says nothing."""
    if not reason.strip():
        raise ValueError(f"figures are recorded with a reason: give one, as in {RECORD}")


def record(path: Path, new: Recorded) -> None:
    """Write what was counted on a kernel, and keep what others have."""
    require_reason(new.reason)
    known = read(path) if path.exists() else {}
    known[series_of(new.release)] = new
    kernels = {
        kernel: {
            "release": one.release,
            "reason": one.reason,
            "figures": {name: round(value, 1) for name, value in one.figures.items()},
        }
        for kernel, one in sorted(known.items())
    }
    path.write_text(json.dumps({"schema": SCHEMA, "kernels": kernels}, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Count, and write the file."""
    options = argparse.ArgumentParser(
        prog="python3 -m tests.bench.gate", description="Record the figures anew."
    )
    options.add_argument("--reason", required=True, help="why they are as they should be")
    options.add_argument("--kernel", default=KERNEL)
    chosen = options.parse_args()
    spec = Spec(kernel=chosen.kernel, smp=1, nvdimms=(Nvdimm(FAST_SIZE),), accel="tcg", icount=True, cpu=CPU)
    try:
        require_reason(chosen.reason)
        with VM(spec, LOGS) as vm:
            pool.prepare(vm)
            found = Recorded(vm.release, chosen.reason, measure(vm))
        record(FILE, found)
    except (VMError, images.Problem, ValueError, AssertionError) as error:
        print(f"gate: {error}", file=sys.stderr)
        return 2
    for name, value in found.figures.items():
        print(f"{TITLES[name]}: {value:.1f} instructions")
    print(f"written to {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
