# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo is tested by damage done to its volume behind its back: it must tell every promise that broke."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.demo import plants
from tests.demo.judge import Promise
from tests.harness.settings import CHECKOUT, Settings

BROKEN = 1
EXPECTED = {Promise.FILES, Promise.FILE_SYSTEM, Promise.ORDERS, Promise.DATABASE}


@pytest.mark.usefixtures("alone")
@pytest.mark.limit(60)
def test_demo_tells_every_damage(settings: Settings, tmp_path: Path) -> None:
    damage = [word for kind in plants.KINDS for word in ("--plant", kind)]
    machine = ["--kernel", settings.kernel, "--accel", settings.accel]
    command = [sys.executable, "-m", "tests.demo", "--quick", "--build", str(tmp_path), *machine, *damage]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    assert done.returncode == BROKEN, done.stdout
    told = {promise for promise in Promise if f"Broken promise: {promise.value}. But " in done.stdout}
    assert told == EXPECTED, done.stdout
