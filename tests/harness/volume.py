# SPDX-License-Identifier: GPL-2.0-or-later
"""A volume in a guest, as tests handle it: made and opened by tierctl, looked at through its status."""
from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any

from qemu import VM

from tests.harness import pool
from tests.harness.settings import CHECKOUT

MIB = 1 << 20
PAGE = 4096
NAME = "v0"
DEADLINE_SECONDS = 20.0


def fields() -> list[str]:
    """The names of the numeric fields of the status line, in order, from the header that defines them."""
    text = (CHECKOUT / "driver" / "core" / "status.h").read_text(encoding="utf-8")
    return re.findall(r"^\tFIELD\((\w+)\)", text, re.MULTILINE)


@dataclass(frozen=True)
class Volume:
    """A volume called `name` over `fast` and `capacity`."""

    vm: VM
    name: str = NAME
    fast: str = "/dev/pmem0"
    capacity: str = "/dev/vda"

    @property
    def path(self) -> str:
        """The volume as a block device."""
        return f"/dev/mapper/{self.name}"

    def format(self, options: str = "") -> Volume:
        """Make it."""
        self.vm.run(f"tierctl format {self.name} --fast {self.fast} {self.capacity} {options}")
        return self

    def open(self, options: str = "") -> Volume:
        """Open it."""
        self.vm.run(f"tierctl open {self.name} {options}")
        return self

    def close(self) -> None:
        """Close it."""
        self.vm.run(f"tierctl close {self.name}")

    def table(self) -> str:
        """Its table line."""
        return self.vm.run(f"dmsetup table {self.name}").stdout.strip()

    def set_options(self, options: str) -> None:
        """Reload its table with other options, such as 'admission all', in place of those it has."""
        words = options.split()
        base = " ".join(self.table().split()[:6])
        line = f"{base} {len(words)} {options}" if words else base
        self.vm.run(f"dmsetup reload {self.name} --table '{line}' && dmsetup resume {self.name}")

    def state(self) -> str:
        """rw, ro, degraded or fail."""
        return self.vm.run(f"dmsetup status {self.name}").stdout.split()[3]

    def counters(self) -> dict[str, int]:
        """The numbers of the status line by name."""
        words = self.vm.run(f"dmsetup status {self.name}").stdout.split()
        assert words[2] == "tiered" and len(words) > 5, f"not a live volume: {' '.join(words)}"
        names = fields()
        assert len(words) - 5 >= len(names), f"{len(words) - 5} fields of {len(names)}: {' '.join(words)}"
        return dict(zip(names, map(int, words[5:])))

    def status(self) -> dict[str, Any]:
        """What tierctl says for programs."""
        status: dict[str, Any] = json.loads(self.vm.run(f"tierctl status {self.name} --json").stdout)
        return status

    def message(self, text: str) -> None:
        """Send the target a message."""
        self.vm.run(f"dmsetup message {self.name} 0 {text}")

    def flush(self) -> None:
        """Have every dirty page written home, and wait for it."""
        self.vm.run(f"tierctl flush {self.name}")
        assert self.counters()["frames_dirty"] == 0

    def wait_for(self, counter: str, value: int) -> None:
        """Wait until a counter is at least `value`; what it counts happens in the background."""
        deadline = time.monotonic() + DEADLINE_SECONDS * self.vm.factor
        while (now := self.counters()[counter]) < value:
            assert time.monotonic() < deadline, f"{counter} is {now} and does not reach {value}"
            time.sleep(0.2)

    def sha256(self, path: str | None = None) -> str:
        """The checksum of the volume's contents, or of another device's, as they are below the page cache."""
        device = path or self.path
        # Not through a pipe from dd: waking each other up for each piece is dear on emulated processors.
        result = self.vm.run(f"blockdev --flushbufs {device}; sha256sum {device}", timeout=120)
        return result.stdout.split()[0]

    def check(self, *allowed: int) -> None:
        """Require tierctl check of the closed volume to end with one of `allowed` (0 by default)."""
        result = self.vm.run(f"tierctl check {self.name} --verify-clean", check=False, timeout=120)
        said = "\n".join(f"{result.stdout}{result.stderr}".splitlines()[:10])
        assert result.status in (allowed or (0,)), f"check says {result.status}:\n{said}"


def make(vm: VM, options: str = "", **where: str) -> Volume:
    """A new volume, open."""
    return Volume(vm, **where).format(options).open()


def power_cut(vm: VM) -> None:
    """Kill the machine between two instructions and boot it again on what it wrote."""
    vm.cut_power()
    vm.boot()
    pool.prepare(vm)
