# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of the manual page of operations, as they stand there, so that tests can run them."""
from __future__ import annotations

import re

from tests.harness.settings import CHECKOUT

PAGE = CHECKOUT / "userspace" / "man" / "tiered-operations.7"
# A comment names the block of literal lines that follows it.
BLOCK = re.compile(r'^\.\\" commands: (\w+)\n\.Bd -literal.*\n((?:[^.].*\n)+)\.Ed$', re.MULTILINE)


def operations() -> dict[str, str]:
    """The blocks of commands by their names."""
    blocks: dict[str, str] = {}
    for name, lines in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        assert name not in blocks, f"{PAGE} has two blocks {name}"
        blocks[name] = lines
    return blocks


def literal_blocks() -> int:
    """How many blocks of literal lines the page has, named or not."""
    return PAGE.read_text(encoding="utf-8").count("\n.Bd -literal")
