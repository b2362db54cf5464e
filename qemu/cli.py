# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of qemu/vm."""
from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import images

from qemu import doctor, gdb, run, shell
from qemu.errors import UsageError, VMError
from qemu.spec import ACCELERATORS, INITS, PERSISTENCE, Spec, parse_disk, parse_nvdimm

USAGE = 2
LOST = 125
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

EPILOG = """exit status of run: the command's own; 124 when it did not end within --timeout; 125 when the VM
was lost or could not be started; 0 when --cut-power-after cut it; 2 for a mistake in the options. --result
tells them apart from the same numbers coming from the command."""


class Interrupted(BaseException):
    """A signal that asks us to end; a BaseException so that nothing but the clean-up stands in its way."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # the clean-up is under way
    raise Interrupted(number)


def _add_machine(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("machine").add_argument
    add("--kernel", default="6.1", metavar="K", help="6.1 (default), 6.12, 7.2 or debug")
    add("--smp", type=int, metavar="N", help="processors (default 2; 1 with --icount)")
    add("--mem", default="1G", metavar="SIZE", help="memory (default 1G)")
    add("--nvdimm", action="append", default=[], metavar="SIZE[,opt=value...]",
        help="an NVDIMM of SIZE usable bytes, /dev/pmem0 and so on in fsdax mode; other options are those of "
             "QEMU's nvdimm and memory-backend-file, such as label-size=2M")
    add("--disk", action="append", default=[], metavar="SIZE[,iops=N][,bps=SIZE][,opt=value...]",
        help="a disk, /dev/vda and so on, throttled by QEMU; other options are those of virtio-blk-pci")
    add("--share", type=Path, metavar="DIR", help="host folder, read-write at /mnt/share in the guest")
    add("--state", type=Path, metavar="DIR", help="keep NVDIMMs and disks in DIR, and reuse them")
    add("--log", type=Path, metavar="DIR", help="keep the console's log in DIR")
    add("-q", "--quiet", action="store_true", help="do not say which QEMU, kernel and accelerator run")
    _add_emulation(parser)


def _add_emulation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("emulation").add_argument
    add("--accel", default="auto", metavar="|".join(ACCELERATORS),
        help="default auto: KVM where a probe boot shows that it works, else TCG")
    add("--icount", action="store_true", help="guest time counts instructions, which is repeatable")
    add("--cpu", default="max", metavar="MODEL", help="as QEMU's -cpu (default max)")
    add("--append", default="", metavar="ARGS", help="more parameters for the guest's kernel")
    add("--persistence", default="", metavar="|".join(filter(None, PERSISTENCE)),
        help="from where stores are durable: CPU caches (cpu) or only the memory controller (mem-ctrl)")
    add("--init", default="agent", metavar="|".join(INITS), help="what runs the guest")
    add("--powercut", default="", metavar="log=FILE[,mode=full][,arm=start]",
        help="record what happens to the first NVDIMM, to make crash images of (powercut/README.md)")
    add("--qemu-arg", action="append", default=[], metavar="ARG", help="an argument for QEMU")


def parser() -> argparse.ArgumentParser:
    """The options of qemu/vm."""
    top = argparse.ArgumentParser(prog="qemu/vm",
                                  description="Virtual machines with emulated NVDIMMs and throttled disks.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="run|shell|gdb|doctor")
    one = verbs.add_parser("run", help="boot a fresh VM, run a command in it, exit with its status",
                           epilog=EPILOG, usage="qemu/vm run [options] -- COMMAND [ARG...]")
    _add_machine(one)
    add = one.add_argument_group("command").add_argument
    add("--timeout", type=_seconds, metavar="SECONDS", help="end the VM when the command takes longer")
    add("--cut-power-after", type=_seconds, metavar="SECONDS",
        help="kill the VM this long after the command's start")
    add("--result", type=Path, metavar="FILE", help="write outcome and status as JSON")
    add("command", nargs="+", metavar="COMMAND")
    _add_machine(verbs.add_parser("shell", help="boot a VM and give a shell in it, the module loaded"))
    debugger = verbs.add_parser("gdb", help="boot a VM that waits for a debugger, then give a shell in it")
    _add_machine(debugger)
    debugger.add_argument("--port", type=int, default=1234, help="local TCP port for gdb (default 1234)")
    verbs.add_parser("doctor", help="say what was found: QEMU, KVM, kernels, image, space")
    return top


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds above zero")
    return value


def spec_of(options: argparse.Namespace) -> Spec:
    """The machine that the options describe."""
    smp = options.smp if options.smp is not None else (1 if options.icount else 2)
    return Spec(kernel=options.kernel, smp=smp, mem=options.mem,
                nvdimms=tuple(parse_nvdimm(text) for text in options.nvdimm),
                disks=tuple(parse_disk(text) for text in options.disk),
                share=options.share, state=options.state, accel=options.accel, icount=options.icount,
                cpu=options.cpu, append=options.append, persistence=options.persistence, init=options.init,
                powercut=options.powercut, arguments=tuple(options.qemu_arg))


def _dispatch(options: argparse.Namespace) -> int:
    if options.verb == "doctor":
        return doctor.examine()
    spec = spec_of(options)
    if options.verb == "shell":
        return shell.interactive(spec, options.log, options.quiet)
    if options.verb == "gdb":
        return gdb.debug(spec, options.log, options.port)
    limits = run.Limits(options.timeout, options.cut_power_after)
    return run.once(spec, options.command, limits, options.result, options.log, options.quiet)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run qemu/vm and return its exit status."""
    options = parser().parse_args(arguments)
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        return _dispatch(options)
    except UsageError as error:
        print(f"vm: {error}", file=sys.stderr)
        return USAGE
    except (VMError, images.Problem) as error:
        print(f"vm: {error}", file=sys.stderr)
        return LOST
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python's last flush must not complain again
        return 128 + signal.SIGPIPE
    except OSError as error:  # such as a full disk
        print(f"vm: {error}: see to space and permissions (qemu/vm doctor).", file=sys.stderr)
        return LOST
    except Interrupted as interrupt:
        return 128 + interrupt.number
