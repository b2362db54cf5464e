# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine that every peer is measured in: a processor whose instructions are its clock, a slow tier.

With -icount a nanosecond of the guest's clock is an instruction and time in which nothing happens is skipped,
so a run repeats whatever the host is doing. It is blind to caches, to TLBs, to what fences cost, and to
contention. Nothing in the window that is measured may wait for the host's clock: the slow tier is therefore
null_blk in the guest, with a timer of the guest's, and not a disk of QEMU's. A disk that turns is null_blk
below a target that takes the time of seeks (spindle/). Without ERMS in the CPU model,
because one `rep movsb` would count 4,096 instructions a page.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from images import kernels, module
from qemu import VM, Nvdimm, Spec

FAST = "/dev/pmem0"
SLOW = "/dev/slow"
FAST_SIZE = "512M"
SLOW_MIB = 4096
MEMORY = "6G"  # what the slow tier holds lies in the guest's memory
CPU = "max,-erms"
# Seconds for KVM, stretched for emulation: the longest runs simulate two minutes of a busy processor.
COMMAND_SECONDS = 600.0

# What holds the bytes; its own time passes only where no spindle is above it.
STORE_UP = """\
set -e
modprobe null_blk nr_devices=0
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
cd /sys/kernel/config/nullb
mkdir {name}
cd {name}
for setting in size={mib} memory_backed=1 blocksize=4096 irqmode={irq_mode} queue_mode=2 submit_queues=1 \\
\t\thw_queue_depth=1 completion_nsec={operation_ns} mbps={mbps} cache_size={cache_mib} power=1; do
\techo "${{setting#*=}}" >"${{setting%%=*}}"
done
"""
STORE_DOWN = (
    "echo 0 >/sys/kernel/config/nullb/{name}/power && rmdir /sys/kernel/config/nullb/{name} && rmmod null_blk"
)
SPINDLE_UP = """\
set -e
echo 1 >/sys/block/{name}/queue/rotational
insmod {module}
sectors=$(blockdev --getsz /dev/{name})
dmsetup create spindle --table "0 $sectors spindle /dev/{name} {seek_us} {mbps} {flush_us}"
ln -s /dev/mapper/spindle {slow}
"""
SPINDLE_DOWN = "rm {slow} && dmsetup remove spindle && rmmod dm-spindle"
SPINDLE = Path(__file__).resolve().parent / "spindle"
SPINDLE_IN_GUEST = "/root/dm-spindle.ko"


@dataclass(frozen=True)
class SlowTier:
    """A disk that serves one operation at a time."""

    operation_us: int = 500
    mbps: int = 200
    seek_us: int = 0  # of a disk that turns, in place of operation_us (spindle/)
    cache_mib: int = 0  # a volatile cache of this size: a FLUSH costs an operation; 0: none, it costs nothing
    at_once: bool = False  # operations end while they are submitted: all time that passes is instructions

    @property
    def turns(self) -> bool:
        """Whether it is a spindle."""
        return self.seek_us > 0

    @property
    def store(self) -> str:
        """The block device that holds the bytes, as /sys/block calls it."""
        return "platters" if self.turns else "slow"


TIERS = {
    "ssd": SlowTier(),
    "hdd": SlowTier(operation_us=0, mbps=150, seek_us=8000),
}


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
    slow: SlowTier

    def plug(self) -> None:
        """Bring a new, empty slow tier."""
        slow = self.slow
        self.shell(
            STORE_UP.format(
                name=slow.store,
                mib=SLOW_MIB,
                irq_mode=0 if slow.turns or slow.at_once else 2,
                operation_ns=slow.operation_us * 1000,
                mbps=0 if slow.turns else slow.mbps,
                cache_mib=slow.cache_mib,
            )
        )
        if slow.turns:
            built = module.build(kernels.get(self.vm.spec.kernel), source=SPINDLE, name="dm-spindle")
            self.vm.put(built, SPINDLE_IN_GUEST)
            self.shell(
                SPINDLE_UP.format(
                    name=slow.store,
                    module=SPINDLE_IN_GUEST,
                    seek_us=slow.seek_us,
                    mbps=slow.mbps,
                    flush_us=slow.seek_us if slow.cache_mib else 0,
                    slow=SLOW,
                )
            )

    def unplug(self) -> None:
        """Take the slow tier away, with all that it holds."""
        if self.slow.turns:
            self.shell(SPINDLE_DOWN.format(slow=SLOW))
        self.shell(STORE_DOWN.format(name=self.slow.store))

    def shell(self, script: str) -> str:
        """Run a script and return what it printed."""
        return self.vm.run(script, timeout=COMMAND_SECONDS).stdout

    def idle(self, seconds: int) -> None:
        """Let time pass; it is skipped where nothing happens."""
        self.shell(f"sleep {seconds}")

    def traffic(self) -> Traffic:
        """What reached the slow tier so far (Documentation/block/stat.rst)."""
        field = [int(word) for word in self.shell(f"cat /sys/block/{self.slow.store}/stat").split()]
        return Traffic(field[0], field[2] * 512, field[4], field[6] * 512, field[15])


def machine(kernel: str, logs: Path) -> VM:
    """The machine, not booted yet."""
    spec = Spec(
        kernel=kernel, smp=1, mem=MEMORY, nvdimms=(Nvdimm(FAST_SIZE),), accel="tcg", icount=True, cpu=CPU
    )
    return VM(spec, logs)
