# SPDX-License-Identifier: GPL-2.0-or-later
"""A running QEMU that cannot outlive who started it."""
from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from qemu.errors import UsageError

INSTALL = "install the package qemu-system-x86"


def find(name: str) -> str:
    """The path of QEMU's executable."""
    path = shutil.which(name)
    if path is None:
        raise UsageError(f"There is no {name} on this host: {INSTALL}, or name another one in TIERED_QEMU.")
    return path


@functools.cache
def version(name: str) -> str:
    """QEMU's version, such as 7.2.22."""
    done = subprocess.run([find(name), "--version"], stdout=subprocess.PIPE, check=True, text=True)
    words = done.stdout.split()
    return words[words.index("version") + 1]


class Process:
    """QEMU as a child process."""

    def __init__(self, arguments: Sequence[str], sockets: Sequence[socket.socket], errors: Path) -> None:
        self._errors = errors
        descriptors = [sock.fileno() for sock in sockets]
        # setpriv: the kernel kills QEMU when the thread that started it ends, however it ends.
        command = ["setpriv", "--pdeathsig", "KILL", "--", find(arguments[0]), *arguments[1:]]
        with errors.open("ab") as stderr:
            # A session of its own: a Ctrl-C is for us to handle, not for QEMU to die of.
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                           pass_fds=descriptors, start_new_session=True)
        for sock in sockets:
            sock.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether QEMU has not ended yet."""
        return self._child.poll() is None

    @property
    def refused(self) -> bool:
        """Whether QEMU ended with a complaint of its own."""
        return self._child.poll() == 1 and bool(self.messages())

    def wait(self, seconds: float) -> bool:
        """Wait for QEMU's end; False when it is still running after `seconds`."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End QEMU at once, as a power cut does: not one more instruction of the guest."""
        if self.running:
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def messages(self) -> str:
        """What QEMU itself had to say."""
        return self._errors.read_text(encoding="utf-8", errors="replace").strip()
