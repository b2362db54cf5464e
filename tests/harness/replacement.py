# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults that are planted into the sources: one piece of one file is replaced."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Replacement:
    """One fault."""

    name: str
    file: str
    find: str
    replacement: str


def replace(text: str, fault: Replacement, source: str, listed_in: str) -> str:
    """The faulty text of the fault's file, called `source`. ValueError when it has to follow the source."""
    count = text.count(fault.find)
    if count != 1 or fault.find == fault.replacement:
        raise ValueError(f"mutant {fault.name}: its piece of {source} is there {count} times: "
                         f"bring {listed_in} up to date")
    return text.replace(fault.find, fault.replacement)
