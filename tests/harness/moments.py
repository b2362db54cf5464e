# SPDX-License-Identifier: GPL-2.0-or-later
"""Power cuts at chosen moments of a command: before the n-th of its calls that change something."""
from __future__ import annotations

import time

from qemu import VM

from tests.harness import volume

RUN = "exec python3 /root/tests/moments.py"
DEADLINE_SECONDS = 60.0


def count(vm: VM, command: str, *allowed: int) -> int:
    """How many such calls the command makes on its way to its end, which is one of `allowed` (or 0)."""
    result = vm.run(f"{RUN} 0 {command}", timeout=120)
    word, status, calls = result.stdout.splitlines()[-1].split()
    assert word == "ended:" and int(status) in (allowed or (0,)), f"{command}: {result}"
    return int(calls)


def cut(vm: VM, command: str, number: int) -> str:
    """Run the command up to its call `number`, cut the power, boot again. That call's name, or 'the end'."""
    running = vm.spawn(f"{RUN} {number} {command}")
    deadline = time.monotonic() + DEADLINE_SECONDS * vm.factor
    while b"held: " not in running.remote.stdout and running.poll() is None:
        assert time.monotonic() < deadline, f"it does not come to its call {number}: {command}"
        time.sleep(0.01)
    said = bytes(running.remote.stdout).decode()
    volume.power_cut(vm)
    return said.partition("held: ")[2].strip() or "the end"
