# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin costs: `python3 -m tests.powercut.cost` boots machines with and without it, in turns, and
compares the processor time that QEMU took, which other programs on the host disturb less than they disturb
the clock. 0 when both bars hold:

* idle, a boot takes at most 15 % more;
* armed, in light and in full mode, a phase that does little but store to persistent memory takes at most
  5 times as much.
"""
from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import images
from qemu import VM, Nvdimm, Spec, VMError

IDLE_BAR = 1.15
ARMED_BAR = 5.0
RUNS = 9
NVDIMM = "16M"
# Stores around the cache by the kernel, and small ones that are flushed and fenced each.
PHASE = ("for n in 1 2 3 4 5 6 7 8; do "
         "dd if=/dev/zero of=/dev/pmem0 bs=4k count=4096 oflag=direct status=none; done; "
         "fio --name=small --filename=/dev/pmem0 --rw=randwrite --bs=512 --size=4M --direct=1 "
         "--ioengine=psync --fsync=1 --minimal >/dev/null")
PHASE_SECONDS = 120.0


@dataclass(frozen=True)
class Variant:
    """A machine, with or without the plugin; `mode` of a record that is armed, or none."""

    name: str
    plugin: bool
    mode: str = ""

    def spec(self, kernel: str, folder: Path) -> Spec:
        """One processor: several have a thread each without the plugin, and share one with it."""
        options = f"log={folder / 'record'}{f',mode={self.mode}' if self.mode else ''}"
        return Spec(kernel=kernel, smp=1, nvdimms=(Nvdimm(NVDIMM),), accel="tcg",
                    powercut=options if self.plugin else "")


WITHOUT, IDLE = Variant("without", False), Variant("idle", True)
ARMED = (Variant("light", True, "light"), Variant("full", True, "full"))


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def boot_cost(variant: Variant, kernel: str) -> float:
    """Processor time from QEMU's start until the machine takes commands."""
    with tempfile.TemporaryDirectory(prefix="powercut-cost-") as folder:
        with VM(variant.spec(kernel, Path(folder))) as vm:
            seconds = cpu_seconds(vm.pid)
            vm.kill()
        return seconds


def phase_cost(variant: Variant, kernel: str) -> float:
    """Processor time of the phase."""
    with tempfile.TemporaryDirectory(prefix="powercut-cost-") as folder:
        with VM(variant.spec(kernel, Path(folder))) as vm:
            if variant.mode:
                vm.run("powercut-mark arm")
            before = cpu_seconds(vm.pid)
            vm.run(PHASE, timeout=PHASE_SECONDS)
            seconds = cpu_seconds(vm.pid) - before
            vm.kill()
        return seconds


def in_turns(cost: Callable[[Variant, str], float], variants: tuple[Variant, ...], kernel: str,
             runs: int) -> dict[Variant, float]:
    """The median of each variant; what disturbs the host meets all alike."""
    found: dict[Variant, list[float]] = {variant: [] for variant in variants}
    for _ in range(runs):
        for variant in variants:
            found[variant].append(cost(variant, kernel))
            print(f"  {variant.name}: {found[variant][-1]:.2f} s", flush=True)
    return {variant: statistics.median(seconds) for variant, seconds in found.items()}


def verdict(what: str, factor: float, bar: float) -> bool:
    """Say whether a bar holds."""
    held = factor <= bar
    print(f"{what}: {factor:.2f} times the processor time, at most {bar:.2f}: "
          f"{'holds' if held else 'DOES NOT HOLD'}", flush=True)
    return held


def measure(kernel: str, runs: int) -> bool:
    """Measure both, and say whether all bars hold."""
    boots = in_turns(boot_cost, (WITHOUT, IDLE), kernel, runs)
    held = [verdict("a boot, idle", boots[IDLE] / boots[WITHOUT], IDLE_BAR)]
    phases = in_turns(phase_cost, (WITHOUT, *ARMED), kernel, runs)
    held += [verdict(f"a phase, armed in {one.name} mode", phases[one] / phases[WITHOUT], ARMED_BAR)
             for one in ARMED]
    return all(held)


def main() -> int:
    """Measure, and return the exit status: 1 when a bar does not hold."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.powercut.cost", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", default="6.1")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each variant (default {RUNS})")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs {options.runs} measures nothing: give 1 or more")
    try:
        return 0 if measure(options.kernel, options.runs) else 1
    except (VMError, images.Problem) as error:
        print(f"cost: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
