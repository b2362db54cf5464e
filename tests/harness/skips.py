# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of tests that may be skipped: a suite that skips in silence is green for years."""
from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Allowed:
    """One line of the list: a pattern of test ids, and a regular expression that the reason must match."""

    test: str
    reason: re.Pattern[str]

    def covers(self, nodeid: str, reason: str) -> bool:
        """Whether this line allows that test to be skipped for that reason."""
        return fnmatch.fnmatchcase(nodeid, self.test) and self.reason.search(reason) is not None


def read(path: Path) -> list[Allowed]:
    """The list in `path`: `TEST-ID-PATTERN | REASON-REGEX` a line, # begins a comment."""
    allowed = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        test, bar, reason = (part.strip() for part in line.partition("|"))
        if not test or not bar or not reason:
            raise ValueError(f"{path}:{number}: write 'TEST-ID-PATTERN | REASON-REGEX'.")
        allowed.append(Allowed(test, re.compile(reason)))
    return allowed
