# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu/vm shell: a shell in a VM, on a terminal of its own; kernel messages stay in the console's log."""
from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import termios
import tty
from pathlib import Path

from qemu.channel import RemoteCommand, Window
from qemu.machine import VM
from qemu.run import Printer, announce
from qemu.spec import Spec

LEAVE = b"\x1d"  # Ctrl-]
PREPARE = "modprobe -q dm-tiered || echo 'The module dm-tiered does not load.' >&2; "
# The image has no start-up files for bash.
INTERACTIVE = PREPARE + "export TERM={term} PS1='vm:\\w# '; exec bash --norc -i"


def _window() -> Window:
    size = shutil.get_terminal_size()
    return Window(size.lines, size.columns)


def interactive(spec: Spec, log: Path | None, quiet: bool) -> int:
    """Boot a VM, load the module, and give a shell until it ends."""
    vm = VM(spec, log)
    try:
        if not quiet:
            announce(vm)
        vm.boot()
        status = attach(vm)
        if spec.state is not None:
            vm.stop()
        return status
    finally:
        vm.close()


def attach(vm: VM) -> int:
    """A shell in a running VM; returns its status, or 0 when left by Ctrl-]."""
    if not sys.stdin.isatty():
        return _converse(vm.start_command(["sh", "-c", PREPARE + "exec bash"], Printer()))
    print("vm: a shell in the guest; 'exit' or Ctrl-] ends it and the VM.", file=sys.stderr, flush=True)
    term = "".join(letter for letter in os.environ.get("TERM", "dumb") if letter.isalnum() or letter in "-.+")
    remote = vm.start_command(["sh", "-c", INTERACTIVE.format(term=term)], Printer(), _window())
    before = termios.tcgetattr(0)
    old = signal.signal(signal.SIGWINCH, lambda _number, _frame: remote.resize(_window()))
    try:
        tty.setraw(0)
        return _converse(remote)
    finally:
        signal.signal(signal.SIGWINCH, old)
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _converse(remote: RemoteCommand) -> int:
    """Pass what is typed on until the shell ends."""
    while remote.status is None:
        remote.check()
        if not select.select([0], [], [], 0.1)[0]:
            continue
        typed = os.read(0, 4096)
        if LEAVE in typed:
            return 0
        if not typed:  # the end of a script that is piped in
            remote.close_input()
            remote.wait(None)
            break
        remote.send(typed)
    assert remote.status is not None
    return remote.status
