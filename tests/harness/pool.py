# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps at most one machine alive and gives it to every test of its shape, cleaned in between."""
from __future__ import annotations

import shutil
from pathlib import Path

from qemu import VM

from tests.harness.settings import GUEST
from tests.harness.shapes import Shape

# Bits of /proc/sys/kernel/tainted that a module from outside the tree sets by being loaded.
OUT_OF_TREE = 1 << 12 | 1 << 13
# Leaves the machine as it was after its boot: nothing mounted, no mapped device, no module, empty devices.
CLEAN = r"""
set -e
cd /
awk '$2 ~ "^/mnt/" && $2 != "/mnt/share" && $2 != "/mnt/lower" {print $2}' /proc/mounts | sort -r | xargs -r umount
tries=0
while dmsetup info -c --noheadings -o name 2>/dev/null | grep -q -v '^No devices'; do
	names=$(dmsetup info -c --noheadings -o name --sort open)
	for name in $names; do dmsetup remove "$name" 2>/tmp/remove.log || true; done
	tries=$((tries + 1))
	[ $tries -lt 8 ] || { echo "a mapped device cannot be removed: $(cat /tmp/remove.log)" >&2; exit 1; }
done
if [ -e /sys/module/dm_tiered ]; then rmmod dm_tiered; fi
for disk in /dev/vd?; do [ ! -b $disk ] || blkdiscard -f $disk; done
for pmem in /dev/pmem?; do
	[ ! -b $pmem ] || dd if=/dev/zero of=$pmem bs=64K count=1 oflag=direct conv=fsync status=none
done
rm -rf /tmp/* /mnt/test
"""


class Pool:
    """The machine that is alive, if any."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._shape: Shape | None = None
        self._vm: VM | None = None
        self._used: set[Path] = set()

    def get(self, shape: Shape) -> VM:
        """A machine of this shape, booted and clean, with the module loaded and the guest's scripts in /root."""
        if self._vm is not None and (self._shape != shape or shape.fresh or not self._vm.alive):
            self.discard()
        if self._vm is None:
            self._vm = self._boot(shape)
            self._shape = shape
        prepare(self._vm)
        return self._vm

    def _boot(self, shape: Shape) -> VM:
        folder = self._logs / shape.name
        if folder not in self._used:
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier run
            self._used.add(folder)
        vm = VM(shape.spec, folder)
        try:
            vm.boot()
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
    """What every boot needs before a test can use it: the module, and the scripts of tests/guest in /root/tests."""
    vm.run("modprobe dm-tiered && mkdir -p /root/tests /mnt/test")
    if vm.run("ls /root/tests").stdout.split():
        return
    for script in sorted(GUEST.glob("*.py")):
        vm.put(script, f"/root/tests/{script.name}")


def clean(vm: VM) -> None:
    """Undo what a test did. That everything can be removed, the module too, is itself a requirement."""
    vm.run(CLEAN)


def taint(vm: VM) -> int:
    """How the kernel was tainted, by more than the module's being from outside the tree."""
    return int(vm.run("cat /proc/sys/kernel/tainted").stdout) & ~OUT_OF_TREE
