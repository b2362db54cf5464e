# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs workloads on peers: a machine for each peer, its devices new for each workload."""
from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from qemu import VM, VMError

from tests.bench import rig
from tests.bench.peers import Peer
from tests.bench.results import Results
from tests.bench.rig import Rig
from tests.bench.workloads import Workload


class Campaign:
    """One run of the bench."""

    def __init__(self, kernel: str, tier: str, logs: Path) -> None:
        self._kernel = kernel
        self._logs = logs
        self._lock = threading.Lock()
        self.results = Results(tier=tier)

    def run(self, peers: Sequence[Peer], workloads: Sequence[Workload], machines: int) -> Results:
        """Measure; so many machines at once, for their clocks do not feel each other."""
        with ThreadPoolExecutor(machines) as pool:
            for future in [pool.submit(self._measure, peer, workloads) for peer in peers]:
                future.result()
        return self.results

    def _measure(self, peer: Peer, workloads: Sequence[Workload]) -> None:
        """All that concerns a peer. A machine that a workload breaks is replaced."""
        left = [workload for workload in workloads if workload.concerns(peer)]
        while left:
            with rig.machine(self._kernel, self._logs / peer.name) as vm:
                self.results.kernel = vm.release
                while left and self._one(vm, peer, left.pop(0)):
                    pass

    def _one(self, vm: VM, peer: Peer, workload: Workload) -> bool:
        """Measure one workload; False when the machine should not be used again."""
        started = time.monotonic()
        machine = Rig(vm, replace(rig.TIERS[self.results.tier], cache_mib=workload.cache_mib))
        try:
            machine.plug()
            found = workload.measure(machine, peer.start(machine))
            peer.stop(machine)
            machine.unplug()
        except (VMError, AssertionError, ValueError) as error:
            with self._lock:
                self.results.failed[f"{workload.name} {peer.name}"] = str(error).splitlines()[0]
            print(f"bench: {workload.name} on {peer.title} failed: {error}", file=sys.stderr, flush=True)
            return False
        with self._lock:
            self.results.add(workload.name, peer.name, found)
        values = ", ".join(f"{name} {value:,.6g}" for name, value in found.value.items())
        print(f"{workload.name} on {peer.title}: {values} ({time.monotonic() - started:.0f} s)", flush=True)
        return True
