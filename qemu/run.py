# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu/vm run: one VM, one command, its output and status."""
from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import images

from qemu import powerloss, process
from qemu.channel import RemoteCommand
from qemu.errors import LostVM, UsageError, VMError
from qemu.machine import VM
from qemu.spec import Spec

TIMEOUT = 124
LOST = 125


@dataclass(frozen=True)
class Limits:
    """Seconds from the command's start; not stretched, because they were asked for literally."""
    timeout: float | None = None
    cut: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run ended: exited, timeout, lost or cut; the status is the one to exit with."""
    outcome: str
    status: int


class Printer:
    """Passes a command's output on as it comes."""

    def __init__(self) -> None:
        self.broken = False

    def __call__(self, data: bytes, error: bool) -> None:
        view = memoryview(data)
        try:
            while view and not self.broken:
                view = view[os.write(2 if error else 1, view):]
        except BrokenPipeError:
            self.broken = True


def announce(vm: VM) -> None:
    """Say once what runs, and why with that accelerator."""
    print(f"vm: QEMU {process.version(vm.spec.qemu)}, kernel {vm.release}, accelerator {vm.verdict.accel} "
          f"({vm.verdict.reason})", file=sys.stderr, flush=True)


def once(spec: Spec, arguments: Sequence[str], limits: Limits, result: Path | None, log: Path | None,
         quiet: bool) -> int:
    """Boot a VM, run the command, and return the exit status."""
    if result is not None:
        _clear(result)
    try:
        outcome = _run(spec, arguments, limits, log, quiet)
    except UsageError:
        raise
    except (VMError, images.Problem) as error:
        print(f"vm: {error}", file=sys.stderr)
        outcome = Outcome("lost", LOST)
    if result is not None:
        result.write_text(json.dumps(asdict(outcome)) + "\n", encoding="utf-8")
    return outcome.status


def _clear(result: Path) -> None:
    """Take an earlier run's result away, so that it cannot be mistaken for this one's."""
    try:
        result.write_text("", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--result {result} cannot be written: {error.strerror}.") from None


def _run(spec: Spec, arguments: Sequence[str], limits: Limits, log: Path | None, quiet: bool) -> Outcome:
    vm = VM(spec, log)
    try:
        if not quiet:
            announce(vm)
        vm.boot()
        outcome = _command(vm, arguments, limits)
        if outcome.outcome == "exited" and (spec.state is not None or spec.powercut):
            vm.stop()  # what the guest still holds in its page cache belongs to the state, and to the record
    finally:
        vm.close()
    if outcome.outcome == "exited" and spec.powercut:
        powerloss.verify(powerloss.parse(spec.powercut))
    return outcome


def _command(vm: VM, arguments: Sequence[str], limits: Limits) -> Outcome:
    printer = Printer()
    remote = vm.start_command(arguments, printer)
    remote.close_input()
    try:
        return _watch(vm, remote, printer, limits)
    except LostVM:
        raise LostVM(f"The VM was lost while '{shlex.join(arguments)}' ran: {vm.account()}") from None


def _watch(vm: VM, remote: RemoteCommand, printer: Printer, limits: Limits) -> Outcome:
    remote.wait_started(None)
    assert remote.started is not None
    cut = remote.started + limits.cut if limits.cut is not None else None
    late = remote.started + limits.timeout if limits.timeout is not None else None
    deadline = min((moment for moment in (cut, late) if moment is not None), default=None)
    while not remote.wait(_soon(deadline)):
        if deadline is not None and time.monotonic() >= deadline:
            return _stop(vm, cut == deadline, limits)
        if printer.broken:
            remote.signal(signal.SIGPIPE)  # as if the command itself had met the closed pipe
    assert remote.status is not None
    return Outcome("exited", remote.status)


def _soon(deadline: float | None) -> float:
    """Look now and then whether anybody still reads the output."""
    soon = time.monotonic() + 1.0
    return soon if deadline is None else min(soon, deadline)


def _stop(vm: VM, cut: bool, limits: Limits) -> Outcome:
    if cut:
        vm.cut_power()
        return Outcome("cut", 0)
    print(f"vm: The command did not end within {limits.timeout:g} s.\n{vm.give_up()}", file=sys.stderr)
    return Outcome("timeout", TIMEOUT)
