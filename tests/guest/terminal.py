# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command on a terminal of its own, gives the terminal another size, and ends the command by SIGINT.

terminal.py COMMAND... prints JSON: the exit status and what was shown at each of two sizes and at the end.
"""
from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios

SIZES = ((24, 80), (10, 40))
FRAME_END = b"\x1b[J"


def resize(fd: int, rows: int, columns: int) -> None:
    """Give the terminal a size; its foreground process gets SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read_until(fd: int, end: bytes | None) -> str:
    """What is shown until `end` has come, or until the terminal is closed."""
    shown = b""
    while end is None or end not in shown:
        if not select.select([fd], [], [], 60)[0]:
            raise SystemExit(f"nothing more came in a minute after {shown!r}")
        try:
            piece = os.read(fd, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not piece:
            break
        shown += piece
    return shown.decode()


def main() -> None:
    """Run it."""
    child, fd = pty.fork()
    if child == 0:
        # The size is there before the command asks for it.
        resize(0, *SIZES[0])
        os.execvp(sys.argv[1], sys.argv[1:])
    first = read_until(fd, FRAME_END)
    resize(fd, *SIZES[1])
    second = read_until(fd, FRAME_END)
    os.kill(child, signal.SIGINT)
    end = read_until(fd, None)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps({"status": status, "first": first, "second": second, "end": end}))


main()
