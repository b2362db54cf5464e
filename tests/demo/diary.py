# SPDX-License-Identifier: GPL-2.0-or-later
"""Progress for who watches, and a log of every command for who looks into it afterwards."""
from __future__ import annotations

import sys
import time
from pathlib import Path

from qemu import VM, Result
from qemu.channel import RemoteCommand, Sink

# More of a command's output than this helps nobody.
MAX_OUTPUT = 4000


class Diary:
    """Lines with the seconds since the start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.began = time.monotonic()
        path.write_text("", encoding="utf-8")

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.began

    def note(self, text: str) -> None:
        """For the log only."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{self.seconds:7.2f} {text.rstrip()}\n")

    def say(self, text: str) -> None:
        """Progress, for the log as well."""
        self.note(text)
        print(f"demo: {self.seconds:5.1f} s  {text}", file=sys.stderr, flush=True)


class Guest:
    """The machine, with every command in the diary."""

    def __init__(self, vm: VM, diary: Diary) -> None:
        self.vm = vm
        self._diary = diary

    def run(self, text: str, limit: float = 60.0, check: bool = True, input: bytes = b"") -> Result:
        """Run a shell command; `limit` is in seconds for KVM."""
        self._diary.note(f"$ {text}")
        result = self.vm.run(f"set -e; {text}", timeout=limit, check=False, input=input)
        output = (result.stdout + result.stderr)[:MAX_OUTPUT]
        self._diary.note(f"[status {result.status}, {result.seconds:.2f} s] {output}")
        if check and result.status != 0:
            raise CommandBroke(text, result)
        return result

    def start(self, text: str, sink: Sink | None = None) -> RemoteCommand:
        """Start a shell command in the background."""
        self._diary.note(f"$ {text} &")
        remote = self.vm.start_command(["sh", "-c", text], sink)
        remote.close_input()
        return remote


class CommandBroke(Exception):
    """A command in the guest failed; the text fits into a sentence."""

    def __init__(self, text: str, result: Result) -> None:
        said = (result.stderr or result.stdout).strip().splitlines()
        last = said[-1] if said else "without a word"
        super().__init__(f"'{text}' ended with status {result.status} ({last})")
