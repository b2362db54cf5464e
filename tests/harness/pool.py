# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps at most one machine alive and gives it to every test of its shape, cleaned in between."""
from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from qemu import VM

from tests.harness.settings import GUEST
from tests.harness.shapes import Shape

# Bits of /proc/sys/kernel/tainted that a module from outside the tree sets by being loaded.
OUT_OF_TREE = 1 << 12 | 1 << 13

# Called for each machine that prepare() has seen to, while it is set (tests/breakage).
on_boot: Callable[[VM], None] | None = None


class Pool:
    """The machine that is alive, if any."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._shape: Shape | None = None
        self._vm: VM | None = None
        self._used: set[Path] = set()

    def get(self, shape: Shape) -> VM:
        """A machine of this shape, booted and clean, with the module loaded."""
        if self._vm is not None and (self._shape != shape or shape.fresh or not self._vm.alive):
            self.discard()
        if self._vm is None:
            self._vm = self._boot(shape)
            self._shape = shape
        return self._vm

    def _boot(self, shape: Shape) -> VM:
        folder = self._logs / shape.name
        if folder not in self._used:
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier run
            self._used.add(folder)
        vm = VM(shape.spec, folder)
        try:
            vm.boot()
            prepare(vm)
        except BaseException:
            vm.close()
            raise
        return vm

    def discard(self) -> None:
        """End the machine; the next test gets a new one."""
        if self._vm is not None:
            self._vm.close()
            self._vm = None


def prepare(vm: VM) -> None:
    """What every boot needs before a test can use it: the module, and tests/guest as /root/tests."""
    vm.run("modprobe dm-tiered && mkdir -p /root/tests /mnt/test")
    for script in sorted(path for path in GUEST.iterdir() if path.is_file()):
        vm.put(script, f"/root/tests/{script.name}")
    if on_boot is not None:
        on_boot(vm)


def clean(vm: VM) -> bool:
    """Undo what a test did. That everything can be removed, the module too, is itself a requirement.

    False when the kernel is tainted, by more than the module's being from outside the tree."""
    result = vm.run("sh /root/tests/clean.sh")
    return int(result.stdout) & ~OUT_OF_TREE == 0
