# SPDX-License-Identifier: GPL-2.0-or-later
"""fio in a guest."""
from __future__ import annotations

import json
from typing import Any

from qemu import VM, Running

MIXED_SIZES = "512/15:1k/5:4k/40:12k/5:16k/10:64k/20:1m/5"


def command(device: str, **options: Any) -> str:
    """A fio command of one job on a device; an option with the value True is a flag."""
    words = ["fio", "--name=job", f"--filename={device}", "--direct=1", "--output-format=json"]
    chosen: dict[str, Any] = {"ioengine": "libaio", **options}
    for name, value in chosen.items():
        words.append(f"--{name}" if value is True else f"--{name}={value}")
    # The report goes to a file, so that a failure shows what went wrong and not pages of JSON.
    return " ".join([*words, "--output=/tmp/fio.$$ && cat /tmp/fio.$$"])


def parse(stdout: str) -> dict[str, Any]:
    """What a command of command() reports of its job."""
    # Warnings may come before the JSON.
    report = json.loads(stdout[stdout.index("{\n"):])
    job: dict[str, Any] = report["jobs"][0]
    assert job["error"] == 0, stdout
    return job


def run(vm: VM, device: str, timeout: float = 60.0, **options: Any) -> dict[str, Any]:
    """Run a job and return what fio reports of it."""
    return parse(vm.run(command(device, **options), timeout=timeout).stdout)


def start(vm: VM, device: str, **options: Any) -> Running:
    """Start a job in the background; end() waits for it."""
    return vm.spawn(command(device, **options))


def end(running: Running, timeout: float = 60.0) -> dict[str, Any]:
    """Wait for a job that start() began."""
    return parse(running.wait(timeout, check=True).stdout)


def verify_options(seed: int, size: str, **options: Any) -> dict[str, Any]:
    """Options of a job that writes in mixed sizes at QD 16 and verifies every byte."""
    return {
        "rw": "randwrite",
        "bssplit": MIXED_SIZES,
        "iodepth": 16,
        "size": size,
        "verify": "crc32c",
        "verify_fatal": 1,
        "randseed": seed,
        **options,
    }
