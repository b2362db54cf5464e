# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate on the kernel's log: which lines make a test red, whatever it thinks of itself."""
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# How the kernel announces that something is wrong with itself, as opposed to with a device or a request.
TROUBLE = re.compile(
    "|".join(
        (
            r"\bWARNING: ",  # WARN_ON and lockdep
            r"\bBUG: ",
            r"kernel BUG at",
            r"\bOops\b",
            r"Kernel panic",
            r"general protection fault",
            r"Internal error",
            r"possible (circular|recursive) locking",
            r"inconsistent lock state",
            r"suspicious RCU usage",
            r"INFO: task .* blocked for more than",
            r"rcu: INFO:",
            r"soft lockup",
            r"hard LOCKUP",
            r"workqueue lockup",
            r"refcount_t: ",
            r"list_(add|del) corruption",
            r"slab .*corrupt",
            r"BUG .*: (Poison|Redzone|Object)",
            r"Objects remaining in ",
            r"sleeping function called from invalid context",
            r"scheduling while atomic",
            r"kmemleak: .*new suspected memory leaks",
            r"UBSAN: ",
            r"KASAN: ",
            r"KCSAN: ",
            r"\bCall Trace:",
            r"unregister_netdevice: waiting",
            r"DEBUG_LOCKS_WARN_ON",
            r"Bad (page|rss-counter|swap)",
        )
    )
)
# The log's own time stamp in front of a line.
STAMP = re.compile(r"^(<\d+>)?\[ *\d+\.\d+\](\[ *[TC]\d+\])? ?")


@dataclass(frozen=True)
class Expected:
    """Lines that a test provokes on purpose, and why that is all right."""

    pattern: re.Pattern[str]
    reason: str


def trouble_in(log: str, expected: Iterable[Expected] = ()) -> list[str]:
    """The lines of `log` that tell of trouble and that nobody expected."""
    allowed = [one.pattern for one in expected]
    lines = (STAMP.sub("", line) for line in log.splitlines())
    return [line for line in lines if TROUBLE.search(line) and not any(one.search(line) for one in allowed)]
