# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command and holds it before one of its calls that change something: moments.py NUMBER COMMAND ARG...

Counted are writes to files and devices, fsync, rename, unlink, and what device-mapper is told or, by verbs
that wait for what they told it, asked. Before call NUMBER (from 1 on) the command is stopped for good and
`held: CALL` is printed, for somebody who cuts the power then; a command that comes to its end, as with the
number 0, gives `ended: STATUS CALLS`. Follows the process that it starts, by the ptrace of x86-64, and none
that this starts.
"""
from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

TRACEME, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
TRACESYSGOOD, EXITKILL = 1, 1 << 20
SYSCALL_STOP = signal.SIGTRAP | 0x80
INFO_BYTES = 88
ENTRY = 1
WRITE, IOCTL = 1, 16
CALLS = {
    WRITE: "write",
    18: "pwrite",
    74: "fsync",
    75: "fdatasync",
    82: "rename",
    87: "unlink",
    263: "unlinkat",
}
STANDARD_ERROR = 2
DM_TYPE = 0xFD
DM_COMMANDS = {3: "create", 4: "remove", 6: "suspend or resume", 9: "load", 12: "status", 14: "message"}
ASKED, TOLD = "device-mapper's status", "device-mapper's message"

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> None:
    """The system call, or an exception."""
    if libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")


def start(command: list[str]) -> int:
    """The command, stopped before it is executed."""
    pid = os.fork()
    if pid == 0:
        ptrace(TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execvp(command[0], command)
    os.waitpid(pid, 0)
    ptrace(SETOPTIONS, pid, 0, TRACESYSGOOD | EXITKILL)
    return pid


def changing_call(pid: int) -> str | None:
    """The name of the call that the process is about to make, if it is one of those that count."""
    info = ctypes.create_string_buffer(INFO_BYTES)
    ptrace(GET_SYSCALL_INFO, pid, INFO_BYTES, ctypes.addressof(info))
    number, first, second = struct.unpack_from("<3Q", info.raw, 24)
    if info.raw[0] != ENTRY or (number == WRITE and first <= STANDARD_ERROR):
        return None
    if number == IOCTL and second >> 8 & 0xFF == DM_TYPE and second & 0xFF in DM_COMMANDS:
        return f"device-mapper's {DM_COMMANDS[second & 0xFF]}"
    return CALLS.get(number)


def follow(pid: int, number: int) -> None:
    """Run it to its end, or to its call `number`."""
    calls, deliver, waits = 0, 0, False
    while True:
        ptrace(SYSCALL, pid, 0, deliver)
        _, status = os.waitpid(pid, 0)
        deliver = 0
        if not os.WIFSTOPPED(status):
            print(f"ended: {os.waitstatus_to_exitcode(status)} {calls}", flush=True)
            return
        if os.WSTOPSIG(status) == SYSCALL_STOP:
            call = changing_call(pid)
            waits = waits or call == TOLD
            call = None if call == ASKED and not waits else call
            calls += call is not None
            if call and calls == number:
                print(f"held: {call}", flush=True)
                signal.pause()
        elif os.WSTOPSIG(status) != signal.SIGTRAP:  # which only tells of the execve
            deliver = os.WSTOPSIG(status)


if __name__ == "__main__":
    follow(start(sys.argv[2:]), int(sys.argv[1]))
