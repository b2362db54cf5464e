# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the instructions of a request go, function by function: python3 -m tests.bench.paths PATH.

Two runs of the same load with different numbers of requests are counted by qemu/profile's plugin; their
difference is what the requests themselves take, without fio's start.
"""
from __future__ import annotations

import argparse
import bisect
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import images
from qemu import VM, Nvdimm, Spec, VMError, process
from qemu.powerloss import BUILD as POWERCUT

from tests.bench import peers
from tests.bench.rig import COMMAND_SECONDS, CPU, FAST_SIZE, MEMORY, Rig, SlowTier
from tests.harness import fio

PLUGINS = POWERCUT.parent / "profile"
BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"
FEW, MANY = 2048, 18432
HOT = "64M"
KERNEL = 1 << 63

PATHS: dict[str, dict[str, Any]] = {
    "read-hit": {"ioengine": "psync", "rw": "randread"},
    "read-hit-aio": {"ioengine": "libaio", "iodepth": 16, "rw": "randread"},
    "write": {"ioengine": "psync", "rw": "randwrite"},
    "durable-write": {"ioengine": "psync", "rw": "randwrite", "fdatasync": 1},
    "read-64k": {"ioengine": "psync", "rw": "randread", "bs": "64k"},
}


@dataclass(frozen=True)
class Symbols:
    """The guest kernel's functions by address."""

    addresses: list[int]
    names: list[str]

    def name(self, address: int) -> str:
        """The function that an address is in."""
        if address < KERNEL:
            return "(programs)"
        at = bisect.bisect_right(self.addresses, address) - 1
        return self.names[at] if at >= 0 else hex(address)


def _symbols(vm: VM) -> Symbols:
    found = []
    for line in vm.run("cat /proc/kallsyms").stdout.splitlines():
        address, kind, name, *module = line.split()
        if kind in "tTwW":
            found.append((int(address, 16), f"{name} {module[0]}" if module else name))
    found.sort()
    return Symbols([address for address, _ in found], [name for _, name in found])


def _count(path: Path, symbols: Symbols) -> Counter[str]:
    """Instructions by function in one window."""
    counts: Counter[str] = Counter()
    for line in path.read_text(encoding="ascii").splitlines():
        address, instructions, executions = line.split()
        counts[symbols.name(int(address, 16))] += int(instructions) * int(executions)
    return counts


def _plugin() -> Path:
    old = tuple(map(int, process.version("qemu-system-x86_64").split(".")[:2])) < (9, 0)
    path = PLUGINS / f"profile-api{1 if old else 4}.so"
    if not path.exists():
        raise VMError(f"There is no {path}: run make profile-tools.")
    return path


def _machine(kernel: str, out: Path) -> VM:
    spec = Spec(
        kernel=kernel,
        smp=1,
        mem=MEMORY,
        nvdimms=(Nvdimm(FAST_SIZE),),
        accel="tcg",
        cpu=CPU,
        arguments=("-plugin", f"{_plugin()},out={out}"),
    )
    return VM(spec, BUILD / "vm" / "profile")


def measure(kernel: str, peer: peers.Peer, path: str) -> dict[str, float]:
    """Instructions a request by function."""
    out = BUILD / "profile"
    out.parent.mkdir(parents=True, exist_ok=True)
    with _machine(kernel, out) as vm:
        rig = Rig(vm, SlowTier(operation_us=1, mbps=0))
        rig.plug()
        device = peer.start(rig)
        rig.shell(fio.command(device, rw="randwrite", bs="16k", size=HOT, iodepth=4))
        rig.idle(5)
        for count in (FEW, MANY):
            options = {
                "bs": "4k",
                "size": HOT,
                "norandommap": True,
                "randrepeat": 1,
                "number_ios": count,
                **PATHS[path],
            }
            vm.run(
                f"powercut-mark arm; {fio.command(device, **options)}; powercut-mark disarm",
                timeout=COMMAND_SECONDS,
            )
        symbols = _symbols(vm)
        few, many = (_count(out.with_name(f"profile.{window}"), symbols) for window in (1, 2))
    return {name: (many[name] - few[name]) / (MANY - FEW) for name in many}


def show(each: dict[str, float], top: int) -> None:
    """The dearest functions."""
    print(f"{sum(each.values()):9,.0f}  instructions a request")
    for name, instructions in sorted(each.items(), key=lambda item: -item[1])[:top]:
        print(f"{instructions:9,.1f}  {name}")


def main() -> int:
    """Measure one path and print it."""
    options = argparse.ArgumentParser(prog="python3 -m tests.bench.paths")
    options.add_argument("path", choices=PATHS)
    options.add_argument("--peer", default=peers.OURS, choices=peers.BY_NAME)
    options.add_argument("--kernel", default="6.1")
    options.add_argument("--top", type=int, default=60, help="so many functions (default 60)")
    chosen = options.parse_args()
    try:
        show(measure(chosen.kernel, peers.BY_NAME[chosen.peer], chosen.path), chosen.top)
        return 0
    except (VMError, images.Problem) as error:
        print(f"paths: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
