# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine that every peer is measured in: a processor whose instructions are its clock, a slow tier.

With -icount a nanosecond of the guest's clock is an instruction and time in which nothing happens is skipped,
so a run repeats whatever the host is doing. It is blind to caches, to TLBs, to what fences cost, and to
contention. Nothing in the window that is measured may wait for the host's clock: the slow tier is therefore
null_blk in the guest, with a timer of the guest's, and not a disk of QEMU's. Without ERMS in the CPU model,
because one `rep movsb` would count 4,096 instructions a page.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qemu import VM, Nvdimm, Spec

FAST = "/dev/pmem0"
SLOW = "/dev/slow"
FAST_SIZE = "512M"
SLOW_MIB = 4096
MEMORY = "6G"  # what the slow tier holds lies in the guest's memory
CPU = "max,-erms"
# Seconds for KVM, stretched for emulation: the longest runs simulate two minutes of a busy processor.
COMMAND_SECONDS = 600.0

SLOW_UP = """\
set -e
modprobe null_blk nr_devices=0
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
cd /sys/kernel/config/nullb
mkdir slow
cd slow
for setting in size={mib} memory_backed=1 blocksize=4096 irqmode={irq_mode} queue_mode=2 submit_queues=1 \\
\t\thw_queue_depth=1 completion_nsec={operation_ns} mbps={mbps} cache_size={cache_mib} power=1; do
\techo "${{setting#*=}}" >"${{setting%%=*}}"
done
"""
SLOW_DOWN = (
    "echo 0 >/sys/kernel/config/nullb/slow/power && rmdir /sys/kernel/config/nullb/slow && rmmod null_blk"
)


@dataclass(frozen=True)
class SlowTier:
    """A disk that serves one operation at a time."""

    operation_us: int = 500
    mbps: int = 200
    cache_mib: int = 0  # a volatile cache of this size: a FLUSH costs an operation; 0: none, it costs nothing
    at_once: bool = False  # operations end while they are submitted: all time that passes is instructions


@dataclass(frozen=True)
class Traffic:
    """What reached the slow tier."""

    reads: int
    read_bytes: int
    writes: int
    write_bytes: int
    flushes: int

    def since(self, earlier: Traffic) -> Traffic:
        """What came after `earlier`."""
        return Traffic(
            self.reads - earlier.reads,
            self.read_bytes - earlier.read_bytes,
            self.writes - earlier.writes,
            self.write_bytes - earlier.write_bytes,
            self.flushes - earlier.flushes,
        )


@dataclass(frozen=True)
class Rig:
    """A machine and its slow tier."""

    vm: VM

    def plug(self, slow: SlowTier) -> None:
        """Bring a new, empty slow tier."""
        self.shell(
            SLOW_UP.format(
                mib=SLOW_MIB,
                irq_mode=0 if slow.at_once else 2,
                operation_ns=slow.operation_us * 1000,
                mbps=slow.mbps,
                cache_mib=slow.cache_mib,
            )
        )

    def unplug(self) -> None:
        """Take the slow tier away, with all that it holds."""
        self.shell(SLOW_DOWN)

    def shell(self, script: str) -> str:
        """Run a script and return what it printed."""
        return self.vm.run(script, timeout=COMMAND_SECONDS).stdout

    def idle(self, seconds: int) -> None:
        """Let time pass; it is skipped where nothing happens."""
        self.shell(f"sleep {seconds}")

    def traffic(self) -> Traffic:
        """What reached the slow tier so far (Documentation/block/stat.rst)."""
        field = [int(word) for word in self.shell("cat /sys/block/slow/stat").split()]
        return Traffic(field[0], field[2] * 512, field[4], field[6] * 512, field[15])


def machine(kernel: str, logs: Path) -> VM:
    """The machine, not booted yet."""
    spec = Spec(
        kernel=kernel, smp=1, mem=MEMORY, nvdimms=(Nvdimm(FAST_SIZE),), accel="tcg", icount=True, cpu=CPU
    )
    return VM(spec, logs)
