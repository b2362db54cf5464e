# SPDX-License-Identifier: GPL-2.0-or-later
"""--powercut: which plugin is loaded with which arguments, and whether its record may be believed afterwards.

The plugin itself, its record and what is made of it are in powercut/.
"""
from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from qemu.errors import UsageError, VMError
from qemu.sizes import GIB, MIB, parse_size, round_up

BUILD = Path(__file__).resolve().parent.parent / "build" / "userspace" / "powercut"
TOOL = BUILD / "powercut"
HOW_TO_BUILD = "run make powercut-tools"
MODES = ("light", "full")
ARMED_BY = ("mark", "start")
NAMES = ("log", "mode", "arm", "disk")
# A PC with less memory has all of it below the hole for devices; with more, so much is below it.
LOW_MEMORY_LIMIT = 2816 * MIB
LOW_MEMORY = 2048 * MIB


@dataclass(frozen=True)
class Powercut:
    """What --powercut asks for."""
    log: Path
    mode: str = "light"
    arm: str = "mark"
    disk: Path | None = None

    def __post_init__(self) -> None:
        _check("mode", self.mode, MODES)
        _check("arm", self.arm, ARMED_BY)
        if not self.log.parent.is_dir():
            raise UsageError(f"--powercut log={self.log} cannot be: make the folder first.")


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"--powercut {name}={value} is not known: give {' or '.join(choices)}.")


def parse(text: str) -> Powercut:
    """What --powercut `text` means."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if name not in NAMES or not equals or not value:
            raise UsageError(f"'{part}' in --powercut is no option: write log=FILE and, as needed, "
                             "mode=full, arm=start, disk=FILE.")
        if name in found:
            raise UsageError(f"'{name}' stands twice in --powercut: give it once.")
        found[name] = value
    if "log" not in found:
        raise UsageError("--powercut wants to know where the record goes: add log=FILE.")
    disk = found.get("disk")
    return Powercut(Path(found["log"]).resolve(), found.get("mode", "light"), found.get("arm", "mark"),
                    Path(disk).resolve() if disk else None)


def base_address(mem: str) -> int:
    """Where QEMU's PC has room for NVDIMMs: the first GiB behind the memory. QEMU refuses any other."""
    dram = parse_size(mem)
    above = dram - LOW_MEMORY if dram >= LOW_MEMORY_LIMIT else 0
    return round_up(4 * GIB + above, GIB)


def plugin(version: str) -> Path:
    """The plugin for a version of QEMU, such as 7.2.22."""
    major, minor = (int(part) for part in version.split(".")[:2])
    if (7, 2) <= (major, minor) < (9, 0):
        return BUILD / "powercut-api1.so"
    if (major, minor) >= (9, 2):
        return BUILD / "powercut-api4.so"
    raise UsageError(f"--powercut does not know QEMU {version}: use 7.2 to 8.2, or 9.2 and later.")


def arguments(chosen: Powercut, version: str, nvdimm: Path, base: int) -> dict[str, object]:
    """The plugin's options, its own path first."""
    path = plugin(version)
    if not path.exists():
        raise UsageError(f"--powercut is not built: there is no {path}; {HOW_TO_BUILD}.")
    options: dict[str, object] = {"file": path, "nvdimm": nvdimm, "base": f"{base:#x}", "log": chosen.log,
                                  "mode": chosen.mode, "arm": chosen.arm}
    if chosen.disk is not None:
        options["disk"] = chosen.disk
    return options


def verify(chosen: Powercut) -> None:
    """VMError when there is no complete record, or one of something that could not be followed."""
    if not chosen.log.exists():
        raise VMError(f"The plugin recorded nothing, there is no {chosen.log}: let the guest arm it "
                      "(powercut-mark arm), or give arm=start.")
    done = subprocess.run([str(TOOL), "info", str(chosen.log)], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == 0:
        return
    fault = next((line.partition(" ")[2] for line in done.stdout.splitlines() if line.startswith("fault ")),
                 done.stderr.strip())
    raise VMError(f"The record {chosen.log} cannot be used: {fault}.")
