# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides between KVM and emulation (TCG) by trying: a /dev/kvm that opens may still not boot a stock kernel.

The trial is a boot of the very kernel as far as its init, within a fixed time; its verdict is kept in the
cache until the host boots again or the kernel or QEMU change.
"""
from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import images

from qemu import command, process
from qemu.errors import UsageError
from qemu.guest_files import BootFiles, prepare, write_initrd
from qemu.made_file import made
from qemu.paths import Files
from qemu.scratch import Scratch
from qemu.spec import Spec

DEVICE = Path("/dev/kvm")
PROBE_SECONDS = 15.0
MARKER = b"tiered-probe-passed"
# How much longer things may take than with KVM.
TCG_FACTOR = 6.0
# One emulated processor at a time, and an exit from translated code at every timer.
ICOUNT_FACTOR = 3.0
# KASAN and lock debugging in the debug kernel.
DEBUG_FACTOR = 5.0


@dataclass(frozen=True)
class Verdict:
    """An accelerator and why it is that one."""
    accel: str
    reason: str


def _obstacle() -> str | None:
    """Why KVM need not be tried at all."""
    if not DEVICE.exists():
        return f"there is no {DEVICE}"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"{DEVICE} may not be opened by this user (add the user to its group)"
    return None


def _key(spec: Spec, boot: BootFiles) -> str:
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    facts = (process.version(spec.qemu), boot.release, boot.version, boot_id, os.uname().release)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]


def _probe(spec: Spec, boot: BootFiles) -> Verdict:
    """Boot the kernel with KVM as far as its init."""
    trial = Spec(kernel=spec.kernel, qemu=spec.qemu, append="tiered.probe")
    scratch = Scratch()
    try:
        folder = scratch.path
        files = Files(boot.kernel, folder / "initrd", boot.root, folder / "console", folder)
        write_initrd(trial, boot, files.initrd)
        files.console.touch()
        pairs = [socket.socketpair() for _ in range(2)]
        arguments = command.build(trial, files, "kvm", *(theirs.fileno() for _, theirs in pairs))
        qemu = process.Process(arguments, [theirs for _, theirs in pairs], folder / "errors")
        try:
            return _watch(qemu, files.console)
        finally:
            qemu.kill()
            for ours, _ in pairs:
                ours.close()
    finally:
        scratch.remove()


def _watch(qemu: process.Process, console: Path) -> Verdict:
    began = time.monotonic()
    while time.monotonic() - began < PROBE_SECONDS:
        ended = not qemu.running  # before the look at the console, which is complete then
        if MARKER in console.read_bytes():
            return Verdict("kvm", f"a probe boot took {time.monotonic() - began:.1f} s")
        if ended:
            said = qemu.messages().splitlines()
            return Verdict("tcg", f"QEMU ends with KVM ({said[-1] if said else 'without a word'})")
        time.sleep(0.05)
    return Verdict("tcg", f"{DEVICE} opens, but a kernel does not boot with it within {PROBE_SECONDS:.0f} s")


def _remembered(spec: Spec, boot: BootFiles) -> Verdict:
    store = images.cache_dir() / "accel" / f"{_key(spec, boot)}.json"
    if store.exists():
        return Verdict(**json.loads(store.read_text(encoding="utf-8")))
    print(f"vm: trying KVM with a boot of kernel {boot.release}, which takes {PROBE_SECONDS:.0f} s at most",
          file=sys.stderr, flush=True)
    verdict = _probe(spec, boot)
    with made(store) as own:
        own.write_text(json.dumps(asdict(verdict)), encoding="utf-8")
    return verdict


def decide(spec: Spec, boot: BootFiles) -> Verdict:
    """The accelerator for `spec`; UsageError when it insists on KVM in vain."""
    if spec.accel == "tcg":
        return Verdict("tcg", "asked for")
    if spec.icount:
        return Verdict("tcg", "--icount needs it")
    if spec.powercut:
        return Verdict("tcg", "--powercut needs it")
    obstacle = _obstacle()
    verdict = Verdict("tcg", obstacle) if obstacle else _remembered(spec, boot)
    if spec.accel == "kvm" and verdict.accel != "kvm":
        raise UsageError(f"--accel kvm cannot be: {verdict.reason}. Leave it out to use the emulator.")
    return verdict


def verdict(kernel: str = "6.1") -> Verdict:
    """What --accel auto means on this host for a kernel."""
    spec = Spec(kernel=kernel)
    return decide(spec, prepare(spec))


def factor(spec: Spec, accel: str) -> float:
    """By how much to stretch time limits that were chosen for KVM."""
    stretch = TCG_FACTOR if accel == "tcg" else 1.0
    if spec.icount:
        stretch *= ICOUNT_FACTOR
    if spec.kernel == "debug":
        stretch *= DEBUG_FACTOR
    return stretch
