# SPDX-License-Identifier: GPL-2.0-or-later
"""What the writers of guest/acks.py have been told is durable, as they say it while they run."""
from __future__ import annotations

import time

from qemu import VM, Running

WRITERS = 4
REGIONS = "40M"  # all of the writers' together


def lines_of(running: Running) -> list[str]:
    """The complete lines that a command has printed so far."""
    return bytes(running.remote.stdout).decode().rpartition("\n")[0].splitlines()


def await_first(vm: VM, running: Running) -> None:
    deadline = time.monotonic() + 20 * vm.factor
    while len(lines_of(running)) < WRITERS:
        assert running.poll() is None, f"the writers ended: {running.wait(1)}"
        assert time.monotonic() < deadline, "the writers do not get anything acknowledged"
        time.sleep(0.05)


def acknowledged(lines: list[str]) -> list[int]:
    acked = [0] * WRITERS
    for line in lines:
        assert not line.startswith("error"), line
        writer, batch = map(int, line.split())
        acked[writer] = batch
    return acked
