# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of a VM: boot, commands, power cut, power-off. One object is one machine with its devices."""
from __future__ import annotations

import shlex
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from qemu import accel, command, guest_files
from qemu.backing import State
from qemu.channel import Channel, Frame, RemoteCommand, Sink, ToGuest, Window
from qemu.errors import BootError, CommandFailed, LostVM, UsageError, VMError, VMTimeout
from qemu.monitor import Monitor
from qemu.paths import Files
from qemu.process import Process
from qemu.scratch import Scratch
from qemu.spec import Spec

# Limits in seconds for KVM; slower accelerators stretch them.
BOOT_SECONDS = 20.0
# A kernel on its way up that prints nothing for so long has stopped.
SILENT_SECONDS = 5.0
STOP_SECONDS = 15.0
DUMP_SECONDS = 1.0
# After the stream to the agent ended, QEMU is on its way out.
END_SECONDS = 10.0
FIRST_PROCESS = "Run /init as init process"
TAIL_LINES = 25
# An oops with its panic is shorter than this.
RECENT_LINES = 120
LINES_BEFORE = 6
TROUBLE = ("BUG:", "Oops", "Kernel panic", "init: ", "general protection fault", "sysrq: Show Blocked",
           "sysrq: Trigger")


@dataclass(frozen=True)
class Result:
    """How a command ended."""
    status: int
    stdout: str
    stderr: str
    seconds: float
    output: bytes = b""


def excerpt(console: str) -> list[str]:
    """The lines of a console that tell most: from the first recent trouble on, else the last ones."""
    lines = console.rstrip().splitlines()
    recent = max(0, len(lines) - RECENT_LINES)
    for at in range(recent, len(lines)):
        if any(word in lines[at] for word in TROUBLE):
            start = max(0, at - LINES_BEFORE)
            return lines[start:start + TAIL_LINES]
    return lines[-TAIL_LINES:]


class Running:
    """A command in the background."""

    def __init__(self, vm: VM, text: str, remote: RemoteCommand) -> None:
        self._vm = vm
        self._text = text
        self.remote = remote

    def poll(self) -> int | None:
        """The status when the command has ended."""
        return self.remote.status

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to the command and its children."""
        self.remote.signal(number)

    def wait(self, timeout: float | None = None, *, check: bool = False) -> Result:
        """Wait for the end; `timeout` is in seconds for KVM. VMTimeout ends the VM."""
        self._vm.await_end(self.remote, self._text, timeout)
        result = _result(self.remote)
        if check and result.status != 0:
            text = f"'{self._text}' ended with status {result.status}.\n{result.stderr}{result.stdout}"
            raise CommandFailed(text.rstrip(), result.status, result.stdout, result.stderr)
        return result


def _result(remote: RemoteCommand) -> Result:
    assert remote.status is not None and remote.started is not None and remote.ended is not None
    output, errors = bytes(remote.stdout), bytes(remote.stderr)
    return Result(remote.status, output.decode(errors="replace"), errors.decode(errors="replace"),
                  remote.ended - remote.started, output)


def _make_log(folder: Path) -> Path:
    path = folder / "console.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise UsageError(f"The log folder {folder} cannot be used: {error.strerror}.") from None
    return path


class VM:
    """A virtual machine. As a context manager it boots on entry and stops on exit."""

    def __init__(self, spec: Spec, log_dir: Path | None = None) -> None:
        self.spec = spec
        self._boot_files = guest_files.prepare(spec)
        self.verdict = accel.decide(spec, self._boot_files)
        self.factor = accel.factor(spec, self.verdict.accel)
        self._scratch = Scratch()
        try:
            self.log_dir = log_dir or self._scratch.path
            self.console_path = _make_log(self.log_dir)
            self._state = State(spec.state or self._scratch.path / "state", spec)
        except BaseException:
            self._scratch.remove()
            raise
        self._process: Process | None = None
        self._channel: Channel | None = None
        self._monitor: Monitor | None = None
        self._marks = 0

    # ---- life ---------------------------------------------------------------------------------

    def __enter__(self) -> VM:
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.stop()
        finally:
            self.close()

    @property
    def release(self) -> str:
        """The guest kernel's release."""
        return self._boot_files.release

    @property
    def symbols(self) -> Path | None:
        """The kernel with its symbols, when there is one."""
        return self._boot_files.symbols

    @property
    def module(self) -> Path | None:
        """The driver's module with its symbols, when the checkout has one."""
        return self._boot_files.module

    @property
    def state_path(self) -> Path:
        """The folder with the contents of the NVDIMMs and disks."""
        return self._state.path

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._running_process().pid

    @property
    def alive(self) -> bool:
        """Whether the machine runs."""
        return (self._process is not None and self._process.running
                and self._channel is not None and not self._channel.lost)

    def start(self) -> None:
        """Start QEMU without waiting for the guest."""
        if self.alive:
            raise UsageError("The VM runs already.")
        self._hang_up()
        files = Files(self._boot_files.kernel, self._scratch.path / "initrd", self._boot_files.root,
                      self.console_path, self._state.path)
        guest_files.write_initrd(self.spec, self._boot_files, files.initrd)
        ours, theirs = socket.socketpair()
        our_monitor, their_monitor = socket.socketpair()
        fds = (theirs.fileno(), their_monitor.fileno())
        arguments = command.build(self.spec, files, self.verdict.accel, *fds)
        self._process = Process(arguments, (theirs, their_monitor), self._scratch.path / "qemu.log")
        self._channel = Channel(ours)
        self._monitor = Monitor(our_monitor)

    def boot(self) -> None:
        """Start the machine, on the state as it is, and wait until it takes commands.

        A kernel that falls silent before its first process runs is started once more, with a line that says
        so: stock kernels on two vCPUs under TCG stop about once in a few hundred boots when they change their
        clock source. Nothing of the guest's user land, and so nothing that is tested, has run by then.
        """
        if not self._try_boot(may_give_up=True):
            print("vm: The kernel stopped on its way up; starting it once more.", file=sys.stderr, flush=True)
            self.kill()
            self._try_boot(may_give_up=False)

    def _try_boot(self, may_give_up: bool) -> bool:
        """Start the machine. False when its kernel stopped before its first process and we may give it up."""
        earlier = len(self.console())
        self.start()
        limit = BOOT_SECONDS * self.factor
        deadline = time.monotonic() + limit
        printed, heard = 0, time.monotonic()
        while (now := time.monotonic()) < deadline:
            try:
                if self._channel_to_guest().wait_ready(min(deadline, now + 1)):
                    return True
            except LostVM:
                raise self._refusal() or BootError(f"The VM did not come up: {self.account()}") from None
            console = self.console()[earlier:]
            if len(console) > printed:
                printed, heard = len(console), now
            elif may_give_up and now - heard > SILENT_SECONDS * self.factor and FIRST_PROCESS not in console:
                return False
        self.kill()
        raise BootError(f"The VM did not come up within {limit:.0f} s.\n{self._tail()}")

    def cut_power(self) -> None:
        """End the machine between two instructions. What it wrote to its NVDIMMs and disks so far stays."""
        if not self.alive:
            raise LostVM("There is no running VM to cut the power of.")
        self.kill()

    def kill(self) -> None:
        """Make sure that QEMU is gone."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Power off in order, so that all that was written is in the state; by force if it takes too long."""
        if self.alive and self._channel is not None and self._process is not None:
            self._channel.send(Frame(ToGuest.POWEROFF, 0))
            self._process.wait(STOP_SECONDS * self.factor)
        self.kill()

    def close(self) -> None:
        """Give everything back. A running machine loses its power."""
        self.kill()
        self._hang_up()
        self._state.close()
        self._scratch.remove()

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._monitor is not None:
            self._monitor.close()
        self._channel = self._monitor = None

    # ---- commands -----------------------------------------------------------------------------

    def run(self, text: str, timeout: float | None = 60.0, check: bool = True, input: bytes = b"") -> Result:
        """Run a shell command and wait for its end; `timeout` is in seconds for KVM."""
        return self.spawn(text, input).wait(timeout, check=check)

    def spawn(self, text: str, input: bytes = b"") -> Running:
        """Start a shell command in the background."""
        remote = self.start_command(["sh", "-c", text])
        remote.send(input)
        remote.close_input()
        return Running(self, text, remote)

    def start_command(self, arguments: Sequence[str], sink: Sink | None = None,
                      terminal: Window | None = None) -> RemoteCommand:
        """Start a program with its input open; `sink` gets the output as it comes."""
        if not self.alive:
            raise LostVM(f"The VM is gone: {self.account()}")
        return self._channel_to_guest().start(arguments, sink, terminal)

    def await_end(self, remote: RemoteCommand, text: str, timeout: float | None) -> None:
        """Wait for a command's end. `timeout` is in seconds for KVM and counts from now."""
        limit = None if timeout is None else timeout * self.factor
        try:
            ended = remote.wait(None if limit is None else time.monotonic() + limit)
        except LostVM:
            raise LostVM(f"The VM was lost while '{text}' ran: {self.account()}") from None
        if ended:
            return
        tail = self.give_up()
        raise VMTimeout(f"'{text}' did not end within {limit:.0f} s.\n{tail}")

    def give_up(self) -> str:
        """End a VM in which something hangs, and tell what its tasks were at."""
        if self.alive:
            channel = self._channel_to_guest()
            channel.dump(time.monotonic() + DUMP_SECONDS * self.factor)
        self.kill()
        return self._tail()

    def put(self, local: Path, remote: str) -> None:
        """Copy a small file into the guest."""
        self.run(f"cat > {shlex.quote(remote)}", input=local.read_bytes())

    def get(self, remote: str, local: Path) -> None:
        """Copy a small file out of the guest."""
        local.write_bytes(self.run(f"cat {shlex.quote(remote)}").output)

    # ---- logs ---------------------------------------------------------------------------------

    def console(self) -> str:
        """All that was printed on the console so far, over all boots."""
        return self.console_path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")

    def kernel_log(self) -> str:
        """The kernel's log."""
        return self.run("dmesg").stdout

    def log_mark(self) -> str:
        """A mark in the kernel's log for log_since."""
        self._marks += 1
        mark = f"tiered-mark-{self._marks}"
        self.run(f"echo '<6>{mark}' > /dev/kmsg")
        return mark

    def log_since(self, mark: str) -> str:
        """The kernel's log after a mark; all of it when the mark has been pushed out."""
        log = self.kernel_log()
        return log.partition(f"{mark}\n")[2] if f"{mark}\n" in log else log

    def monitor(self, name: str, **arguments: Any) -> Any:
        """The answer of QEMU's monitor to a command, such as monitor("query-block")."""
        if self._monitor is None or not self.alive:
            raise LostVM("There is no running VM to ask.")
        return self._monitor.execute(name, **arguments)

    # ---- inside -------------------------------------------------------------------------------

    def _running_process(self) -> Process:
        if self._process is None:
            raise VMError("The VM was not started.")
        return self._process

    def _channel_to_guest(self) -> Channel:
        if self._channel is None:
            raise VMError("The VM was not started.")
        return self._channel

    def _tail(self) -> str:
        lines = excerpt(self.console())
        return "\n".join(["The console's last lines:", *(f"    {line}" for line in lines)])

    def _refusal(self) -> UsageError | None:
        """QEMU's own complaint, when it ended before the guest's first instruction."""
        process = self._running_process()
        if not process.wait(END_SECONDS) or not process.refused:
            return None
        complaint = process.messages().splitlines()[-1]
        return UsageError(f"QEMU refuses this machine ({complaint}): correct the option.")

    def account(self) -> str:
        """Why the VM is gone, as far as can be told."""
        if self._process is None:
            return "it was not started."
        if not self._process.wait(END_SECONDS):
            return f"QEMU runs, but its guest hung up.\n{self._tail()}"
        said = self._process.messages()
        return "\n".join(part for part in ("QEMU ended.", said, self._tail()) if part)
