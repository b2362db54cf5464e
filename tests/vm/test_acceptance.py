# SPDX-License-Identifier: GPL-2.0-or-later
"""The command by which anyone sees that the testbed and the module work."""
from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.harness.settings import CHECKOUT, Settings

COMMAND = "modprobe dm-tiered; ndctl list -N; dmsetup targets"


@pytest.mark.usefixtures("alone")
def test_one_command_shows_an_fsdax_namespace_and_the_target(settings: Settings, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            CHECKOUT / "qemu" / "vm",
            "run",
            "--kernel",
            settings.kernel,
            "--accel",
            settings.accel,
            "--nvdimm",
            "256M",
            "--disk",
            "1G",
            "--result",
            tmp_path / "result.json",
            "--",
            "sh",
            "-c",
            COMMAND,
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    assert json.loads((tmp_path / "result.json").read_text()) == {"outcome": "exited", "status": 0}
    namespaces, bracket, targets = done.stdout.partition("]\n")
    if not bracket:  # ndctl prints a single namespace without a list around it
        namespaces, _, targets = done.stdout.partition("}\n")
        namespaces += "}"
    found = json.loads(namespaces + bracket.strip())
    found = found if isinstance(found, list) else [found]
    assert [(one["mode"], one["blockdev"]) for one in found] == [("fsdax", "pmem0")]
    assert "tiered" in [line.split()[0] for line in targets.splitlines()]
