# SPDX-License-Identifier: GPL-2.0-or-later
"""What an address of the guest's kernel is: a line of the module, or a function of the kernel."""
from __future__ import annotations

import bisect
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# An instruction and return addresses that were found on the stack: "pc" and "callers".
Place = dict[str, Any]

CALLERS_TOLD = 3
KALLSYMS = "kallsyms"
MODULE = "module.ko"
START = "text.json"


class Symbols:
    """The guest's symbols and the module's lines."""

    def __init__(self, kallsyms: str, text_start: int, module: Path) -> None:
        found = []
        for line in kallsyms.splitlines():
            address, kind, name = line.split()[:3]
            if kind in "tT":
                found.append((int(address, 16), name))
        found.sort()
        self._kallsyms = kallsyms
        self._addresses = [address for address, _ in found]
        self._names = [name for _, name in found]
        self._text_start = text_start
        self.module = module
        self._text_bytes = _text_bytes(module)

    def save(self, folder: Path) -> None:
        """Keep them with the record of the boot."""
        (folder / KALLSYMS).write_text(self._kallsyms, encoding="utf-8")
        (folder / START).write_text(json.dumps(self._text_start), encoding="utf-8")
        shutil.copy(self.module, folder / MODULE)

    @classmethod
    def load(cls, folder: Path) -> Symbols:
        """Those that were kept there."""
        start = json.loads((folder / START).read_text(encoding="utf-8"))
        return cls((folder / KALLSYMS).read_text(encoding="utf-8"), start, folder / MODULE)

    def name(self, address: int) -> str:
        """`file.c:12 (function)` for the module's code, `function+0x12` for the kernel's."""
        if self._is_module(address):
            return self._line(address - self._text_start)
        at = bisect.bisect_right(self._addresses, address) - 1
        if at < 0 or address < self._addresses[0]:
            return f"{address:#x}"
        return f"{self._names[at]}+{address - self._addresses[at]:#x}"

    def _line(self, offset: int) -> str:
        words = ["addr2line", "-i", "-s", "-f", "-j", ".text", "-e", str(self.module), f"{offset:#x}"]
        said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
        # From the innermost inlined helper outwards.
        return " < ".join(f"{line.split(' ')[0]} ({name})" for name, line in zip(said[::2], said[1::2]))

    def _is_module(self, address: int) -> bool:
        return 0 <= address - self._text_start < self._text_bytes

    def _stack(self, place: Place) -> Iterator[int]:
        """The module's addresses, from the innermost outwards. A return address is behind its call."""
        if self._is_module(place["pc"]):
            yield place["pc"]
        yield from (caller - 1 for caller in place["callers"] if self._is_module(caller - 1))

    def line_of(self, place: Place) -> str | None:
        """The module's line that did it, if the module did."""
        address = next(self._stack(place), None)
        return None if address is None else self.name(address)

    def tell(self, place: Place) -> str:
        """The instruction and its callers in the module, as far as the stack told them."""
        pc = place["pc"]
        stack = [self.name(address) for address in self._stack(place)]
        if not stack:
            return self.name(pc)
        here = stack[0] if self._is_module(pc) else f"{stack[0]}, in {self.name(pc)}"
        callers = [caller for caller in dict.fromkeys(stack[1:]) if caller != stack[0]][:CALLERS_TOLD]
        return f"{here}; called from {' from '.join(callers)}" if callers else here


def _text_bytes(module: Path) -> int:
    done = subprocess.run(["readelf", "-SW", str(module)], stdout=subprocess.PIPE, text=True, check=True)
    found = re.search(r"\] \.text +PROGBITS +\w+ +\w+ +(\w+)", done.stdout)
    if found is None:
        raise ValueError(f"{module} has no code: build it again")
    return int(found[1], 16)
