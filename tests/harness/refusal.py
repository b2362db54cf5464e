# SPDX-License-Identifier: GPL-2.0-or-later
"""How tierctl refuses: status not 0, one plain sentence on stderr."""
from __future__ import annotations

import re

from qemu import VM


def refused(vm: VM, command: str, words: str) -> None:
    """Require the command to be refused, with a sentence in which the pattern `words` is found."""
    result = vm.run(command, check=False)
    assert result.status not in (0, 126, 127), f"was done: {command}\n{result.stdout}"
    assert (
        result.stderr.startswith("tierctl: ") and result.stderr.count("\n") == 1
    ), f"{command}\n{result.stderr}"
    assert re.search(words, result.stderr), f"{command}\n{result.stderr}"
