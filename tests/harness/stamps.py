# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tests of a soak have passed already, so that an interrupted one goes on.

The stamps are kept by what was tested (the contents of the sources) and where (kernel, accelerator): after
any change the soak begins anew.
"""
from __future__ import annotations

import hashlib
from tests.harness.settings import BUILD, CHECKOUT, Settings

SOURCES = ("driver", "userspace", "qemu", "images", "tests")


def _content_key() -> str:
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((CHECKOUT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(CHECKOUT)).encode() + b"\0")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class Stamps:
    """A file with the ids of the tests that passed, one a line."""

    def __init__(self, settings: Settings) -> None:
        self._path = BUILD / "soak" / f"{_content_key()}-{settings.kernel}-{settings.accel}"
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        self.passed = frozenset(text.splitlines())

    def add(self, nodeid: str) -> None:
        """Note that a test passed."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(nodeid + "\n")
