# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu/vm gdb: a VM whose processors a debugger controls through QEMU's gdb stub."""
from __future__ import annotations

import dataclasses
import socket
import sys
from pathlib import Path

from qemu.errors import UsageError
from qemu.machine import VM
from qemu.run import announce
from qemu.shell import attach
from qemu.spec import Spec

MODULE = "dm_tiered"


def debug(spec: Spec, log: Path | None, port: int) -> int:
    """Boot a VM with a gdb stub, say how to attach, and give a shell."""
    _check_free(port)
    stub = ("-gdb", f"tcp:127.0.0.1:{port}")
    spec = dataclasses.replace(spec, append=f"{spec.append} nokaslr", arguments=(*spec.arguments, *stub))
    vm = VM(spec, log)
    try:
        announce(vm)
        vm.boot()
        lines = ["vm: attach from another terminal with:", *_instructions(vm, port)]
        print("\n".join(lines), file=sys.stderr)
        return attach(vm)
    finally:
        vm.close()


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise UsageError(f"--port {port} cannot be used ({error}): give another one.") from None


def _instructions(vm: VM, port: int) -> list[str]:
    """The command to type, with the symbols there are."""
    words = ["gdb"]
    if vm.symbols is not None:
        words.append(str(vm.symbols))
    words += ["-ex", f"'target remote 127.0.0.1:{port}'"]
    text = vm.run(f"modprobe -q dm-tiered && cat /sys/module/{MODULE}/sections/.text", check=False)
    if text.status == 0 and vm.module is not None:
        words += ["-ex", f"'add-symbol-file {vm.module} {text.stdout.strip()}'"]
    notes = [f"    {' '.join(words)}"]
    if vm.symbols is None:
        notes.append("    (kernel symbols: none in this kernel's packages; --kernel debug has them)")
    return notes
