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

from images import kernels, module
from qemu import VM, Nvdimm, Spec, VMError, powerloss
from qemu.recorded_disk import RecordedDisk

from tests.powercut import mutants
from tests.powercut.symbols import Symbols

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build" / "powercut"
PROGRAMS = CHECKOUT / "build" / "userspace" / "campaign"
WORKLOAD = "powercut-workload"
DISK = "20M"  # volume_pages of plan.hpp
# Seconds for KVM; here it is the emulator, whose factor is 6, and the plugin on top.
WORKLOAD_SECONDS = 150.0


@dataclass(frozen=True)
class Run:
    """One recorded run of the workload: by which driver, on how many processors, which operations."""

    kernel: str
    processors: int
    seed: int
    operations: int
    fill: bool = True  # first fill the fast tier, so that frames are evicted
    mutant: mutants.Mutant | None = None

    @property
    def folder(self) -> Path:
        """Where its record is kept."""
        name = self.mutant.name if self.mutant else "driver"
        return BUILD / f"{name}-{self.kernel}-smp{self.processors}-seed{self.seed}"

    @property
    def key(self) -> dict[str, Any]:
        """What a kept record must agree with."""
        return {"seed": self.seed, "operations": self.operations, "processors": self.processors,
                "fill": self.fill}


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


def build_module(run: Run) -> Path:
    """The driver of the run, with its lines."""
    kernel = kernels.get(run.kernel)
    if run.mutant is None:
        return module.build(kernel)
    source = mutants.make_source(run.mutant, BUILD / "source" / run.mutant.name)
    # The definition only gives each faulty driver a folder of its own.
    number = mutants.MUTANTS.index(run.mutant) + 1
    return module.build(kernel, defines=(f"TIERED_MUTANT={number}",), source=source)


def record(run: Run) -> Symbols:
    """Run the workload in a machine; the symbols of that boot. VMError when it or its record fails."""
    driver = build_module(run)
    shutil.rmtree(run.folder, ignore_errors=True)
    share = run.folder / "share"
    share.mkdir(parents=True)
    shutil.copy(driver, share / "dm-tiered.ko")
    shutil.copy(PROGRAMS / WORKLOAD, share)
    with RecordedDisk(DISK, run.folder) as disk:
        options = f"log={run.folder / 'record'},mode=full,disk={disk.counter}"
        spec = Spec(kernel=run.kernel, smp=run.processors, nvdimms=(Nvdimm("16M"),), share=share,
                    powercut=options, arguments=disk.qemu_arguments())
        with VM(spec, run.folder) as vm:
            symbols = _drive(vm, run, driver)
    powerloss.verify(powerloss.parse(options))
    (run.folder / "run.json").write_text(json.dumps(run.key), encoding="utf-8")
    return symbols


def _drive(vm: VM, run: Run, driver: Path) -> Symbols:
    # For what it depends on; the driver itself is the one in the share.
    vm.run("modprobe dm-tiered && rmmod dm-tiered && insmod /mnt/share/dm-tiered.ko")
    start = int(vm.run("cat /sys/module/dm_tiered/sections/.text").stdout, 16)
    kallsyms = vm.run("cat /proc/kallsyms").stdout
    vm.run(f"/mnt/share/{WORKLOAD} {run.seed} {int(run.fill)} {run.operations}", timeout=WORKLOAD_SECONDS)
    if run.mutant is None:
        vm.run("tierctl close v0 && rmmod dm-tiered")
    return Symbols(kallsyms, start, driver)


def judge(run: Run, seed: int, cuts: int, first: int = 0, stop: bool = False) -> Verdict:
    """Judge the images of numbers `first` and up of a recorded run, on all processors of the host."""
    if json.loads((run.folder / "run.json").read_text(encoding="utf-8")) != run.key:
        raise VMError(f"The record in {run.folder} is of another run: record it again.")
    parts = 1 if stop else min(os.cpu_count() or 1, cuts)
    bounds = [first + cuts * part // parts for part in range(parts + 1)]
    verdict = Verdict()
    with ThreadPoolExecutor(parts) as pool:
        for found in pool.map(lambda pair: _judge_part(run, seed, pair, stop), zip(bounds, bounds[1:])):
            verdict.add(found)
    return verdict


def _judge_part(run: Run, seed: int, numbers: tuple[int, int], stop: bool) -> dict[str, Any]:
    first, end = numbers
    words = [str(PROGRAMS / "powercut-judge"), str(run.folder / "record"), str(run.folder / "disk.log"),
             f"--workload-seed={run.seed}", f"--fill={int(run.fill)}", f"--amount={run.operations}",
             f"--seed={seed}", f"--first={first}", f"--cuts={end - first}"]
    if stop:
        words += ["--stop", "--reports", "1"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise VMError(done.stderr.strip() or f"powercut-judge ended with status {done.returncode}.")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def describe(failure: dict[str, Any], symbols: Symbols | None) -> list[str]:
    """A failure in words: what is wrong, and which stores decide it."""
    lines = [f"{failure['wrong']} (cut {failure['cut']}, before event {failure['event']}; "
             f"operation {failure['begun']} was begun, {failure['acknowledged']} acknowledged)"]
    decided = {"loss": "lost", "survival": "survived"}.get(failure["decided_by"])
    if decided is None:
        lines.append(f"decided by {failure['decided_by']}")
    for word in failure["words"][:4]:
        place = symbols.store(word["store"]) if symbols else f"{word['store']['pc']:#x}"
        lines.append(f"{decided}: the word at byte {word['byte']:#x}, stored at {place}")
    if len(failure["words"]) > 4:
        lines.append(f"and {len(failure['words']) - 4} more words")
    return lines
