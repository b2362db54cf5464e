# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's machine monitor (QMP), for what only QEMU itself can do: query devices, change throttles."""
from __future__ import annotations

import json
import socket
from typing import Any

from qemu.errors import LostVM, VMError

# QEMU answers between two things it does; on a busy host this can take seconds.
ANSWER_SECONDS = 60.0


class Monitor:
    """The line to one QEMU's monitor."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.settimeout(ANSWER_SECONDS)
        self._stream = sock.makefile("rb")
        self._greeted = False

    def _read(self) -> dict[str, Any]:
        try:
            line = self._stream.readline()
        except OSError:
            line = b""
        if not line:
            raise LostVM("QEMU does not answer on its monitor.")
        message: dict[str, Any] = json.loads(line)
        return message

    def execute(self, command: str, **arguments: Any) -> Any:
        """The answer to a command; give an argument whose name has a dash as **{"the-name": value}."""
        if not self._greeted:
            self._read()
            self._greeted = True
            self.execute("qmp_capabilities")
        try:
            self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        except OSError:
            raise LostVM("QEMU does not answer on its monitor.") from None
        while True:
            message = self._read()
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise VMError(f"QEMU refuses {command}: {message['error']['desc']}.")

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._socket.close()
