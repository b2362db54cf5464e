# SPDX-License-Identifier: GPL-2.0-or-later
"""A failure in words: what is wrong, and the lines of the driver that decide it. README.md says what each
line means."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.powercut.symbols import Place, Symbols

WORDS_TOLD = 4
DECIDED = {"loss": "lost", "survival": "survived"}


@dataclass(frozen=True)
class Account:
    """What is told of a failure; `named`: whether a line of the driver is in it."""

    lines: list[str]
    named: bool


def describe(failure: dict[str, Any], symbols: Symbols | None) -> Account:
    """A failure in words."""
    lines = [f"{failure['wrong']} (cut {failure['cut']}, before event {failure['event']}; "
             f"operation {failure['begun']} was begun, {failure['acknowledged']} acknowledged)"]
    if failure["decided_by"] not in DECIDED:
        lines.append(f"decided by {failure['decided_by']}")
    named = False
    for what, place in _places(failure, symbols):
        lines.append(f"{what} {_text(place, symbols)}")
        named = named or (symbols is not None and symbols.line_of(place) is not None)
    if len(failure["words"]) > WORDS_TOLD:
        lines.append(f"and {len(failure['words']) - WORDS_TOLD} more words")
    return Account(lines, named)


def _places(failure: dict[str, Any], symbols: Symbols | None) -> list[tuple[str, Place]]:
    """The places that decide, the best first, each with what happened there."""
    word, operation = failure["word"], failure["operation"]
    places = [(f"{DECIDED[failure['decided_by']]}: the word at byte {one['byte']:#x}, stored at",
               one["store"]) for one in failure["words"][:WORDS_TOLD]]
    # A program's own stores through a mapping are no line of the driver's.
    if any(_by_driver([place], symbols) for _, place in places):
        return places
    if word:
        places.append((f"says so: the word at byte {word['byte']:#x}, last stored at", word["store"]))
    end = _by_driver(failure["ended"], symbols)
    if end is not None:
        places.append((f"acknowledged: operation {operation}, which the driver ended or answered at", end))
    step = _by_driver(failure["before"], symbols)
    if step is not None and not any(_by_driver([place], symbols) for _, place in places):
        places.append(("before it: the driver last stored, flushed or fenced at", step))
    return places


def _by_driver(places: list[Place], symbols: Symbols | None) -> Place | None:
    """The first that the driver is part of."""
    return next((place for place in places if symbols and symbols.line_of(place)), None)


def _text(place: Place, symbols: Symbols | None) -> str:
    return symbols.tell(place) if symbols else f"{place['pc']:#x}"
