# SPDX-License-Identifier: GPL-2.0-or-later
"""What an address of the guest's kernel is: a line of the driver, or a function of the kernel."""
from __future__ import annotations

import bisect
import re
import subprocess
from pathlib import Path


class Symbols:
    """The guest's symbols and the driver's lines."""

    def __init__(self, kallsyms: str, text_start: int, module: Path) -> None:
        found = []
        for line in kallsyms.splitlines():
            address, kind, name = line.split()[:3]
            if kind in "tT":
                found.append((int(address, 16), name))
        found.sort()
        self._addresses = [address for address, _ in found]
        self._names = [name for _, name in found]
        self._text_start = text_start
        self._module = module
        self._text_bytes = _text_bytes(module)

    def name(self, address: int) -> str:
        """`file.c:12 (function)` for the driver's code, `function+0x12` for the kernel's."""
        if 0 <= address - self._text_start < self._text_bytes:
            return self._line(address - self._text_start)
        at = bisect.bisect_right(self._addresses, address) - 1
        if at < 0 or address < self._addresses[0]:
            return f"{address:#x}"
        return f"{self._names[at]}+{address - self._addresses[at]:#x}"

    def _line(self, offset: int) -> str:
        words = ["addr2line", "-i", "-s", "-f", "-j", ".text", "-e", str(self._module), f"{offset:#x}"]
        said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
        # From the innermost inlined helper outwards.
        return " < ".join(f"{line.split(' ')[0]} ({name})" for name, line in zip(said[::2], said[1::2]))

    def is_driver(self, address: int) -> bool:
        """Whether the address is in the driver's code."""
        return 0 <= address - self._text_start < self._text_bytes

    def store(self, place: dict[str, object]) -> str:
        """Where a store was made: its instruction and, if need be, its nearest caller in the driver."""
        pc = place["pc"]
        callers = place["callers"]
        assert isinstance(pc, int) and isinstance(callers, list)
        here = self.name(pc)
        if self.is_driver(pc):
            return here
        caller = next((one for one in callers if self.is_driver(one)), None)
        # A return address is behind its call.
        return here if caller is None else f"{self.name(caller - 1)}, in {here}"


def _text_bytes(module: Path) -> int:
    done = subprocess.run(["readelf", "-SW", str(module)], stdout=subprocess.PIPE, text=True, check=True)
    found = re.search(r"\] \.text +PROGBITS +\w+ +\w+ +(\w+)", done.stdout)
    if found is None:
        raise ValueError(f"{module} has no code: build it again")
    return int(found[1], 16)
