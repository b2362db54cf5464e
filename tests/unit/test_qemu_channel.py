# SPDX-License-Identifier: GPL-2.0-or-later
"""The line to the guest's agent, against an agent that is played here."""
from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from qemu.channel import HEADER, MAX_PAYLOAD, Channel, Frame, Parser, ToGuest, ToHost, Window
from qemu.errors import LostVM

SOON = 10.0


class Agent:
    """The other end of the line."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._parser = Parser()
        self._waiting: list[Frame] = []

    def say(self, kind: ToHost, number: int = 0, payload: bytes = b"") -> None:
        self._socket.sendall(Frame(kind, number, payload).pack())

    def end(self, number: int, status: int) -> None:
        self.say(ToHost.EXITED, number, struct.pack("<I", status))

    def raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def hear(self) -> Frame:
        while not self._waiting:
            data = self._socket.recv(1 << 16)
            assert data, "the host hung up"
            self._waiting += self._parser.feed(data)
        return self._waiting.pop(0)

    def die(self) -> None:
        self._socket.close()


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Agent]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(SOON)
    channel = Channel(ours)
    yield channel, Agent(theirs)
    theirs.close()
    channel.close()


def soon() -> float:
    return time.monotonic() + SOON


def test_parser_takes_any_cut_of_the_stream() -> None:
    frames = [Frame(ToHost.READY, 0), Frame(ToHost.OUTPUT, 3, b"\0\n\xff" * 1000),
              Frame(ToHost.EXITED, 3, b"1234")]
    stream = b"".join(frame.pack() for frame in frames)
    for step in (1, 2, HEADER.size, 1000, len(stream)):
        parser = Parser()
        got = [frame for at in range(0, len(stream), step) for frame in parser.feed(stream[at:at + step])]
        assert got == frames


def test_readiness_is_waited_for_without_a_question(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    assert not channel.wait_ready(time.monotonic() + 0.05)
    agent.say(ToHost.READY)
    assert channel.wait_ready(soon())


def test_command_goes_in_and_its_output_comes_out(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    command = channel.start(["sh", "-c", "printf 'a b'"])
    frame = agent.hear()
    assert (frame.kind, frame.number) == (ToGuest.RUN, command.number)
    assert frame.payload == struct.pack("<III", 0, 24, 80) + b"sh\0-c\0printf 'a b'\0"
    assert not command.wait_started(time.monotonic() + 0.05)
    agent.say(ToHost.STARTED, command.number)
    agent.say(ToHost.OUTPUT, command.number, b"a ")
    agent.say(ToHost.ERROR, command.number, b"\xff\0")
    agent.say(ToHost.OUTPUT, command.number, b"b")
    agent.end(command.number, 3)
    assert command.wait_started(soon()) and command.wait(soon())
    assert (bytes(command.stdout), bytes(command.stderr), command.status) == (b"a b", b"\xff\0", 3)
    assert command.started is not None and command.ended is not None and command.started <= command.ended


def test_commands_side_by_side_do_not_mix(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    one, two = channel.start(["one"]), channel.start(["two"])
    agent.say(ToHost.OUTPUT, two.number, b"2")
    agent.say(ToHost.OUTPUT, one.number, b"1")
    agent.end(two.number, 2)
    assert two.wait(soon()) and one.status is None
    agent.end(one.number, 1)
    assert one.wait(soon())
    assert [bytes(command.stdout) for command in (one, two)] == [b"1", b"2"]
    assert [command.status for command in (one, two)] == [1, 2]


def test_frames_after_the_end_of_a_command_are_nobodys(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    command = channel.start(["x"])
    agent.end(command.number, 0)
    assert command.wait(soon())
    agent.say(ToHost.OUTPUT, command.number, b"late")
    agent.say(ToHost.READY)
    assert channel.wait_ready(soon())
    assert not command.stdout


def test_output_is_passed_on_live(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    seen: list[tuple[bytes, bool]] = []
    heard = threading.Event()

    def sink(data: bytes, error: bool) -> None:
        seen.append((data, error))
        heard.set()
    command = channel.start(["x"], sink)
    agent.say(ToHost.ERROR, command.number, b"e")
    assert heard.wait(SOON) and command.status is None
    agent.end(command.number, 0)
    assert command.wait(soon())
    assert seen == [(b"e", True)] and not command.stderr


def test_megabytes(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    command = channel.start(["x"])
    piece = bytes(range(256)) * 100
    for _ in range(200):
        agent.say(ToHost.OUTPUT, command.number, piece)
    agent.end(command.number, 0)
    assert command.wait(soon())
    assert bytes(command.stdout) == piece * 200


def test_a_vm_that_goes_is_noticed_at_once(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    command = channel.start(["x"])
    killer = threading.Timer(0.1, agent.die)
    killer.start()
    began = time.monotonic()
    with pytest.raises(LostVM):
        command.wait(None)
    assert time.monotonic() - began < SOON
    assert channel.lost
    with pytest.raises(LostVM):
        command.check()
    command.send(b"into the void")
    killer.join()


def test_a_status_that_arrived_counts_although_the_vm_went(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    command = channel.start(["x"])
    agent.end(command.number, 5)
    agent.die()
    assert command.wait(soon()) and command.status == 5


def test_half_a_frame_at_the_end_is_no_frame(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    command = channel.start(["x"])
    agent.raw(Frame(ToHost.EXITED, command.number, b"\0\0\0\0").pack()[:-1])
    agent.die()
    with pytest.raises(LostVM):
        command.wait(soon())


def test_input_is_cut_to_what_the_port_takes(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    command = channel.start(["cat"])
    agent.hear()
    data = b"x" * (MAX_PAYLOAD + 5)
    command.send(data)
    command.close_input()
    command.signal(9)
    command.resize(Window(50, 132))
    frames = [agent.hear() for _ in range(5)]
    assert [frame.kind for frame in frames] == [ToGuest.INPUT] * 3 + [ToGuest.SIGNAL, ToGuest.WINDOW]
    assert b"".join(frame.payload for frame in frames[:2]) == data and frames[2].payload == b""
    assert frames[3].payload == struct.pack("<I", 9) and frames[4].payload == struct.pack("<II", 50, 132)


def test_a_dump_ends_with_its_answer(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends

    def reply() -> None:
        if agent.hear().kind == ToGuest.DUMP:
            agent.say(ToHost.DUMPED)
    answer = threading.Thread(target=reply)
    answer.start()
    began = time.monotonic()
    channel.dump(soon())
    assert time.monotonic() - began < SOON / 2
    answer.join()
