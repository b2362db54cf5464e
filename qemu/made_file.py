# SPDX-License-Identifier: GPL-2.0-or-later
"""A file that others see whole or not at all, whoever makes it at the same time."""
from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def made(target: Path) -> Iterator[Path]:
    """A path of the caller's own to make `target` at; it gets its name when the block ends well.

    Threads of one process boot machines beside each other, so a process's number is not a name of one's own.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        own = Path(folder) / target.name
        yield own
        own.replace(target)
