# SPDX-License-Identifier: GPL-2.0-or-later
"""Records runs of the workload and has their images judged."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from images import kernels
from qemu import VM, Nvdimm, Spec, VMError, powerloss
from qemu.recorded_disk import RecordedDisk

from tests.powercut.subjects import Driver, Subject
from tests.powercut.symbols import Symbols

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build" / "powercut"
PROGRAMS = CHECKOUT / "build" / "userspace" / "campaign"
WORKLOAD = "powercut-workload"
NVDIMM = "16M"  # namespace_bytes of subject.hpp
DISK = "20M"  # volume_pages of plan.hpp
# Seconds for KVM; here it is the emulator, whose factor is 6, and the plugin on top.
WORKLOAD_SECONDS = 150.0


@dataclass(frozen=True)
class Run:
    """One recorded run of the workload: over what, on how many processors, which operations."""

    kernel: str
    processors: int
    seed: int
    operations: int
    fill: bool = True  # first fill the fast tier, so that frames are evicted
    subject: Subject = Driver()
    memory: bool = False  # use the volume as memory too

    @property
    def kind(self) -> str:
        """What the workload is told that it works on."""
        if self.subject.control:
            return "control"
        return "memory" if self.memory else "volume"

    @property
    def folder(self) -> Path:
        """Where its record is kept."""
        return BUILD / f"{self.subject.name}-{self.kernel}-smp{self.processors}-seed{self.seed}"

    @property
    def key(self) -> dict[str, Any]:
        """What a kept record must agree with."""
        return {"seed": self.seed, "operations": self.operations, "processors": self.processors,
                "fill": self.fill, "kind": self.kind}


@dataclass(frozen=True)
class Choice:
    """How the images of a run are chosen."""

    per_stack: bool = False  # one moment for each place in the code
    read_lines: bool = False  # nothing is lost of lines that nobody reads afterwards

    def options(self) -> list[str]:
        """For the judge."""
        return ["--per-stack"] * self.per_stack + ["--read-lines"] * self.read_lines


@dataclass
class Verdict:
    """What the images of a run came to."""

    images: int = 0
    moments: int = 0
    events: int = 0
    failed: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: dict[str, Any]) -> None:
        """Take in what a further judge found."""
        self.images += other["images"]
        self.failed += other["failed"]
        self.moments, self.events = other["moments"], other["events"]
        self.failures += other["failures"]


def record(run: Run) -> Symbols:
    """Run the workload in a machine; the symbols of that boot. VMError when it or its record fails."""
    module = run.subject.build(kernels.get(run.kernel), BUILD / "source")
    shutil.rmtree(run.folder, ignore_errors=True)
    share = run.folder / "share"
    share.mkdir(parents=True)
    shutil.copy(module, share)
    for program in filter(None, (WORKLOAD, run.subject.preload)):
        shutil.copy(PROGRAMS / program, share)
    with RecordedDisk(DISK, run.folder) as disk:
        options = f"log={run.folder / 'record'},mode=full,disk={disk.counter}"
        spec = Spec(kernel=run.kernel, smp=run.processors, nvdimms=(Nvdimm(NVDIMM),), share=share,
                    powercut=options, arguments=disk.qemu_arguments())
        with VM(spec, run.folder) as vm:
            symbols = _drive(vm, run, module)
    powerloss.verify(powerloss.parse(options))
    symbols.save(run.folder)
    (run.folder / "run.json").write_text(json.dumps(run.key), encoding="utf-8")
    return symbols


def _drive(vm: VM, run: Run, module: Path) -> Symbols:
    # For what it depends on; the module itself is the one in the share.
    vm.run(f"modprobe dm-tiered && rmmod dm-tiered && insmod /mnt/share/{module.name}")
    start = int(vm.run(f"cat /sys/module/{run.subject.module}/sections/.text").stdout, 16)
    kallsyms = vm.run("cat /proc/kallsyms").stdout
    preload = f"env LD_PRELOAD=/mnt/share/{run.subject.preload} tierctl"
    environment = f"TIERCTL_FORMAT='{preload}' " if run.subject.preload else ""
    vm.run(f"{environment}/mnt/share/{WORKLOAD} {run.seed} {int(run.fill)} {run.operations} {run.kind}",
           timeout=WORKLOAD_SECONDS)
    if run.subject == Driver():
        vm.run("tierctl close v0 && rmmod dm-tiered")
    return Symbols(kallsyms, start, module)


def kept(run: Run) -> bool:
    """Whether there is a record of the run. VMError when the one that is there is of another run."""
    key = run.folder / "run.json"
    if not key.exists():
        return False
    if json.loads(key.read_text(encoding="utf-8")) != run.key:
        raise VMError(f"The record in {run.folder} is of another run: record it again.")
    return True


def judge(run: Run, seed: int, cuts: int, first: int = 0, stop: bool = False,
          choice: Choice = Choice()) -> Verdict:
    """Judge the images of numbers `first` and up of a recorded run, on all processors of the host."""
    kept(run)
    parts = 1 if stop else min(os.cpu_count() or 1, cuts)
    bounds = [first + cuts * part // parts for part in range(parts + 1)]
    options = choice.options() + (["--stop", "--reports", "1"] if stop else [])
    verdict = Verdict()
    with ThreadPoolExecutor(parts) as pool:
        for found in pool.map(lambda pair: run_judge(run, seed, pair, options), zip(bounds, bounds[1:])):
            verdict.add(found)
    return verdict


def run_judge(run: Run, seed: int, numbers: tuple[int, int], options: list[str]) -> dict[str, Any]:
    """What the judge says about the images from one number up to another."""
    first, end = numbers
    words = [str(PROGRAMS / "powercut-judge"), str(run.folder / "record"), str(run.folder / "disk.log"),
             f"--workload-seed={run.seed}", f"--fill={int(run.fill)}", f"--amount={run.operations}",
             f"--seed={seed}", f"--first={first}", f"--cuts={end - first}", *options]
    if run.kind != "volume":
        words.append(f"--{run.kind}")
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise VMError(done.stderr.strip() or f"powercut-judge ended with status {done.returncode}.")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
