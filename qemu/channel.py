# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end of the line to the guest's agent: commands go in, their output and status come out.

Frames as in guest/agent.cpp. A thread takes them off the socket as they come, so the guest never waits for
the host; the end of the stream means that the VM is gone. Nothing is asked and answered against a clock: the
agent says once that it is ready, and of each command that it started and that it ended.
"""
from __future__ import annotations

import enum
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qemu.errors import LostVM

HEADER = struct.Struct("<B3xII")
# As much as one write to the guest's port carries.
MAX_PAYLOAD = 31 * 1024


class ToGuest(enum.IntEnum):
    """Frames for the agent."""
    RUN = 1
    INPUT = 2
    WINDOW = 3
    SIGNAL = 4
    DUMP = 5
    POWEROFF = 6


class ToHost(enum.IntEnum):
    """Frames of the agent."""
    READY = 65
    STARTED = 66
    OUTPUT = 67
    ERROR = 68
    EXITED = 69
    DUMPED = 70


@dataclass(frozen=True)
class Frame:
    """One message of either direction."""
    kind: int
    number: int
    payload: bytes = b""

    def pack(self) -> bytes:
        """The frame as it goes over the line."""
        return HEADER.pack(self.kind, self.number, len(self.payload)) + self.payload


class Parser:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        self._buffer += data
        frames = []
        at = 0
        while len(self._buffer) - at >= HEADER.size:
            kind, number, length = HEADER.unpack_from(self._buffer, at)
            end = at + HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append(Frame(kind, number, bytes(self._buffer[at + HEADER.size:end])))
            at = end
        del self._buffer[:at]
        return frames


@dataclass(frozen=True)
class Window:
    """The size of a terminal."""
    rows: int = 24
    columns: int = 80

    def pack(self) -> bytes:
        """Rows and columns as the agent reads them."""
        return struct.pack("<II", self.rows, self.columns)


# Called with each piece of output as it comes, and whether it is standard error; from the channel's thread.
Sink = Callable[[bytes, bool], None]


class RemoteCommand:
    """A command in the guest, as far as the host has heard of it."""

    def __init__(self, channel: Channel, number: int, sink: Sink | None) -> None:
        self._channel = channel
        self._sink = sink
        self.number = number
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.started: float | None = None
        self.ended: float | None = None
        self.status: int | None = None

    def take(self, frame: Frame) -> None:
        """Note what the agent says of this command."""
        if frame.kind == ToHost.STARTED:
            self.started = time.monotonic()
        elif frame.kind == ToHost.EXITED:
            self.ended = time.monotonic()
            (self.status,) = struct.unpack("<I", frame.payload)
        elif self._sink is not None:
            self._sink(frame.payload, frame.kind == ToHost.ERROR)
        elif frame.kind == ToHost.ERROR:
            self.stderr += frame.payload
        else:
            self.stdout += frame.payload

    def send(self, data: bytes) -> None:
        """Give the command input."""
        for at in range(0, len(data), MAX_PAYLOAD):
            self._channel.send(Frame(ToGuest.INPUT, self.number, data[at:at + MAX_PAYLOAD]))

    def close_input(self) -> None:
        """Let the command see the end of its input."""
        self._channel.send(Frame(ToGuest.INPUT, self.number))

    def resize(self, window: Window) -> None:
        """Tell the command's terminal its new size."""
        self._channel.send(Frame(ToGuest.WINDOW, self.number, window.pack()))

    def signal(self, number: int) -> None:
        """Send a signal to the command and its children."""
        self._channel.send(Frame(ToGuest.SIGNAL, self.number, struct.pack("<I", number)))

    def check(self) -> None:
        """LostVM when nothing will be heard of the command any more."""
        if self._channel.lost:
            raise LostVM("The VM was lost.")

    def wait_started(self, deadline: float | None) -> bool:
        """Wait until the command runs; False when the deadline (of time.monotonic) passes before."""
        return self._channel.wait_for(lambda: self.started is not None, deadline)

    def wait(self, deadline: float | None) -> bool:
        """Wait for the command's end; False when the deadline passes before, LostVM when none will come."""
        return self._channel.wait_for(lambda: self.status is not None, deadline)


class Channel:
    """The line to one agent."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._commands: dict[int, RemoteCommand] = {}
        self._ready = False
        self._dumped = False
        self._lost = False
        self._last = 0
        self._thread = threading.Thread(target=self._receive, name="vm-channel", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> bool:
        """Whether the stream has ended."""
        return self._lost

    def _receive(self) -> None:
        parser = Parser()
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            for frame in parser.feed(data):
                self._dispatch(frame)
        with self._changed:
            self._lost = True
            self._changed.notify_all()

    def _dispatch(self, frame: Frame) -> None:
        with self._changed:
            if frame.kind == ToHost.READY:
                self._ready = True
            elif frame.kind == ToHost.DUMPED:
                self._dumped = True
            command = self._commands.get(frame.number)
        if command is not None:
            command.take(frame)
        with self._changed:
            if command is not None and command.status is not None:
                del self._commands[frame.number]
            self._changed.notify_all()

    def send(self, frame: Frame) -> None:
        """Send a frame. A VM that is gone is noticed by who waits, not here."""
        try:
            with self._sending:
                self._socket.sendall(frame.pack())
        except OSError:
            pass

    def wait_for(self, condition: Callable[[], bool], deadline: float | None) -> bool:
        """Wait for a condition; False when the deadline passes before, LostVM when the VM goes before."""
        with self._changed:
            while not condition():
                if self._lost:
                    raise LostVM("The VM was lost.")
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def wait_ready(self, deadline: float | None) -> bool:
        """Wait until the agent runs."""
        return self.wait_for(lambda: self._ready, deadline)

    def dump(self, deadline: float) -> None:
        """Have the guest print what its tasks are at, if it can; until the deadline."""
        self._dumped = False
        self.send(Frame(ToGuest.DUMP, 0))
        try:
            self.wait_for(lambda: self._dumped, deadline)
        except LostVM:
            pass  # it died of it: the console tells

    def start(self, arguments: Sequence[str], sink: Sink | None = None,
              terminal: Window | None = None) -> RemoteCommand:
        """Start a command in the guest."""
        with self._changed:
            self._last += 1
            command = RemoteCommand(self, self._last, sink)
            self._commands[command.number] = command
        head = struct.pack("<I", terminal is not None) + (terminal or Window()).pack()
        words = b"".join(os.fsencode(argument) + b"\0" for argument in arguments)
        self.send(Frame(ToGuest.RUN, command.number, head + words))
        return command

    def close(self) -> None:
        """Hang up and end the thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end went first
        self._thread.join()
        self._socket.close()
