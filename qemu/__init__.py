# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual machines with emulated NVDIMMs and throttled disks, for tests and for people. See README.md."""
from __future__ import annotations

from qemu.errors import BootError, CommandFailed, LostVM, UsageError, VMError, VMTimeout
from qemu.machine import VM, Result, Running
from qemu.spec import Disk, Nvdimm, Spec, parse_disk, parse_nvdimm

__all__ = ["BootError", "CommandFailed", "Disk", "LostVM", "Nvdimm", "Result", "Running", "Spec",
           "UsageError", "VM", "VMError", "VMTimeout", "parse_disk", "parse_nvdimm"]
