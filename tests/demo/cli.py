# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's command line: prepares, runs the story, prints the account; 0 only when every promise held."""
from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import TextIO

import images
from images import kernels
from qemu import VM, VMError, process
from qemu.spec import ACCELERATORS

from tests.demo import plan, plants, report, shop, story, tree
from tests.demo.diary import Diary
from tests.demo.plan import Plan
from tests.demo.story import Demo, Goods

BUILD = Path(__file__).resolve().parents[2] / "build"
KEPT = 0
BROKEN = 1
COULD_NOT_RUN = 2


def parser() -> argparse.ArgumentParser:
    """The options; those for tests of the demo itself are not shown."""
    top = argparse.ArgumentParser(prog="python3 -m tests.demo", description="A volume survives a power cut.")
    add = top.add_argument
    add("--kernel", default="6.1", help="kernel of the machine (default 6.1)")
    add("--accel", default="auto", choices=ACCELERATORS, help="default auto: KVM where it works, else TCG")
    add("--build", type=Path, default=BUILD / "demo", help="where to put logs (default build/demo)")
    add("--timing", action="store_true", help="say how long it took to start the machine")
    add("--quick", action="store_true", help=argparse.SUPPRESS)
    add("--plant", action="append", default=[], choices=plants.KINDS, help=argparse.SUPPRESS)
    return top


class Busy(Exception):
    """Another demo uses the folder."""


def _claim(folder: Path) -> TextIO:
    """The lock of a folder, held while it is open."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise Busy(f"Another demo runs in {folder}: wait for its end.") from None
    return lock


def prepare(kernel: str, amounts: Plan, folder: Path) -> Goods:
    """The file tree with its checksums, and the shop's database."""
    found = tree.pack(kernels.get(kernel).build.parent, amounts.files)
    tree.write_manifest(found, folder / "files.b2sum")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "shop.db"
        shop.create(str(path), amounts.items)
        return Goods(found, path.read_bytes(), shop.catalogue(amounts.items))


def _started(pid: int) -> float:
    """When a process started, in seconds since the host's boot."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return int(text.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


def _tell(demo: Demo, options: argparse.Namespace, seconds: float) -> int:
    print(f"\nWhat happened, in {seconds:.0f} s:")
    for line in report.lines(demo.account):
        print(f"  {line}")
    if not demo.broken:
        print(f"Every promise was kept. (logs in {options.build})")
        return KEPT
    for broken in demo.broken:
        print(broken)
    print(f"Logs: {options.build}/demo.log and console.log; contents of the devices: {options.build}/state.")
    return BROKEN


def _run(options: argparse.Namespace) -> int:
    amounts = plan.QUICK if options.quick else plan.FULL
    state = story.fresh(options.build / "state")
    (options.build / "console.log").unlink(missing_ok=True)
    diary = Diary(options.build / "demo.log")
    diary.say("preparing the kernel, the guest and the module")
    with ThreadPoolExecutor(1) as pool:
        vm = VM(plan.machine(options.kernel, options.accel, state), options.build)
        goods = pool.submit(prepare, options.kernel, amounts, options.build)
        qemu = f"QEMU {process.version(vm.spec.qemu)}"
        machine = f"{qemu}, Linux {vm.release}, {vm.verdict.accel}"
        diary.say(f"starting a machine ({machine}: {vm.verdict.reason})")
        with vm:
            if options.timing:
                diary.say(f"QEMU started {_started(vm.pid) - _started(os.getpid()):.2f} s after this process")
            demo = Demo(vm, amounts, goods, diary, options.plant)
            demo.account.machine = machine
            demo.run()
    status = _tell(demo, options, diary.seconds)
    if status == KEPT:
        shutil.rmtree(state)
    return status


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


def main() -> int:
    """Run the demo; returns the exit status."""
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _claim(options.build):
            return _run(options)
    except VMError as error:
        print(f"demo: {error}\nLogs are in {options.build}.", file=sys.stderr)
        return COULD_NOT_RUN
    except (images.Problem, Busy) as error:
        print(f"demo: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    except OSError as error:
        print(f"demo: {error}: see whether the host has space and memory left.", file=sys.stderr)
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
