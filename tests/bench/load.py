# SPDX-License-Identifier: GPL-2.0-or-later
"""fio against a peer, and what of its report the workloads use."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qemu import Running, VM

from tests.bench.rig import COMMAND_SECONDS
from tests.harness import fio

# The same requests in every run.
REPEATABLE: dict[str, Any] = {"norandommap": True, "randrepeat": 1, "random_generator": "tausworthe64"}


@dataclass(frozen=True)
class Job:
    """One job's report."""

    report: dict[str, Any]

    def iops(self) -> float:
        """Operations a second, reads and writes together."""
        return float(self.report["read"]["iops"] + self.report["write"]["iops"])

    def mbps(self) -> float:
        """Millions of bytes a second."""
        return float(self.report["read"]["bw_bytes"] + self.report["write"]["bw_bytes"]) / 1e6

    def p50_us(self, direction: str) -> float:
        """The median completion time."""
        return float(self.report[direction]["clat_ns"]["percentile"]["50.000000"]) / 1000

    def mean_us(self, direction: str) -> float:
        """The mean time of an operation. A median comes in steps of 1.5 %, this one does not."""
        return float(self.report[direction]["lat_ns"]["mean"]) / 1000

    def p99_us(self, direction: str) -> float:
        """What one in a hundred exceeds."""
        return float(self.report[direction]["clat_ns"]["percentile"]["99.000000"]) / 1000

    def sync_us(self) -> float:
        """The mean time of an fsync."""
        return float(self.report["sync"]["lat_ns"]["mean"]) / 1000


def run(vm: VM, device: str, **options: Any) -> Job:
    """Run a job to its end."""
    return Job(fio.run(vm, device, timeout=COMMAND_SECONDS, **{**REPEATABLE, **options}))


def run_in_group(vm: VM, group: str, device: str, **options: Any) -> Job:
    """Run a job in a control group, whose limits it feels."""
    command = fio.command(device, **{**REPEATABLE, **options})
    result = vm.run(f"echo $$ >{group}/cgroup.procs && {command}", timeout=COMMAND_SECONDS)
    return Job(fio.parse(result.stdout))


def start(vm: VM, device: str, **options: Any) -> Running:
    """Start one beside others; end() waits for it."""
    return fio.start(vm, device, **{**REPEATABLE, **options})


def end(running: Running) -> Job:
    """Wait for a job that start() began."""
    return Job(fio.end(running, timeout=COMMAND_SECONDS))


def run_with_series(vm: VM, device: str, **options: Any) -> tuple[Job, list[float]]:
    """A job, and its operations in each second."""
    job = run(vm, device, write_iops_log="/tmp/series", log_avg_msec=1000, **options)
    lines = vm.run("cat /tmp/series_iops.*.log; rm /tmp/series_iops.*.log").stdout.splitlines()
    seconds: dict[int, float] = {}
    for line in lines:
        milliseconds, operations = line.split(",")[:2]
        second = (int(milliseconds) - 1) // 1000
        seconds[second] = seconds.get(second, 0.0) + float(operations)
    return job, [seconds.get(second, 0.0) for second in range(max(seconds, default=-1) + 1)]
