# SPDX-License-Identifier: GPL-2.0-or-later
"""What can go wrong with a VM, kept apart by kind: the caller's mistake, the VM, and the command in it."""
from __future__ import annotations


class VMError(Exception):
    """Anything that ends the use of a VM; its text is a plain sentence."""


class UsageError(VMError):
    """What was asked for cannot be; nothing was started."""


class BootError(VMError):
    """QEMU did not start, or the guest did not come up."""


class LostVM(VMError):
    """The VM went away (panic, QEMU's end, power cut) while something was expected of it."""


class VMTimeout(VMError):
    """A command did not end in time; its VM is ended, as what hangs in it would disturb the next command."""


class CommandFailed(VMError):
    """A command ended with a status other than zero where zero was required."""

    def __init__(self, text: str, status: int, stdout: str, stderr: str) -> None:
        super().__init__(text)
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
