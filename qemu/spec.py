# SPDX-License-Identifier: GPL-2.0-or-later
"""What a virtual machine is made of. Frozen and hashable, so that users of the same shape can share a VM."""
from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from qemu import powerloss
from qemu.errors import UsageError
from qemu.sizes import KIB, MIB, format_size, parse_size, round_up

# The kernel maps persistent memory in pages of this size; a namespace that is no multiple loses its end.
FSDAX_ALIGN = 2 * MIB
# One unit of FSDAX_ALIGN before the data holds the namespace's own block.
FSDAX_RESERVE = FSDAX_ALIGN
# libnvdimm wants every region to start at a multiple of this, and the next NVDIMM starts where this one ends.
REGION_ALIGN = 16 * MIB
# libnvdimm refuses fsdax on much less.
MIN_NVDIMM = 16 * MIB
MIN_LABEL = 128 * KIB
MAX_NVDIMMS = 8
MAX_DISKS = 16
ACCELERATORS = ("auto", "kvm", "tcg")
PERSISTENCE = ("", "cpu", "mem-ctrl")
INITS = ("agent", "systemd")
# Options of the memory behind an NVDIMM; every other option is one of the NVDIMM device itself.
BACKEND_OPTIONS = frozenset({"align", "discard-data", "dump", "merge", "pmem", "prealloc", "readonly"})
# Options of the drive below a disk; every other option is one of the virtio-blk device itself.
DRIVE_OPTIONS = frozenset({"aio", "cache", "detect-zeroes", "discard", "rerror", "werror"})

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Nvdimm:
    """One emulated NVDIMM that shows `size` usable bytes as /dev/pmemN."""
    size: str
    options: Options = ()

    def __post_init__(self) -> None:
        usable = self.usable
        if usable < MIN_NVDIMM or usable % FSDAX_ALIGN:
            raise UsageError(f"An NVDIMM of {self.size} cannot be: give a multiple of "
                             f"{format_size(FSDAX_ALIGN)}, at least {format_size(MIN_NVDIMM)}.")
        label = self.label_size
        if label < MIN_LABEL or label % (4 * KIB):
            raise UsageError(f"label-size={format_size(label)} cannot be: give a multiple of 4K, at least "
                             f"{format_size(MIN_LABEL)}.")

    @property
    def usable(self) -> int:
        """Bytes of /dev/pmemN."""
        return parse_size(self.size)

    @property
    def namespace(self) -> int:
        """Bytes of the namespace: its own block and the data."""
        return self.usable + FSDAX_RESERVE

    @property
    def region(self) -> int:
        """Bytes of the NVDIMM without its labels."""
        return round_up(self.namespace, REGION_ALIGN)

    @property
    def label_size(self) -> int:
        """Bytes of the label area."""
        return parse_size(dict(self.options).get("label-size", format_size(MIN_LABEL)))

    @property
    def file_size(self) -> int:
        """Bytes of the file that backs it: the labels lie at its end."""
        return self.region + self.label_size


@dataclass(frozen=True)
class Disk:
    """One virtio disk, throttled by QEMU when `iops` or `bps` say so."""
    size: str
    iops: int = 0
    bps: str = ""
    options: Options = ()

    def __post_init__(self) -> None:
        if self.bytes < 512 or self.bytes % 512:
            raise UsageError(f"A disk of {self.size} cannot be: give a multiple of 512 bytes above zero.")
        if self.iops < 0:
            raise UsageError(f"iops={self.iops} cannot be: give a number above zero, or leave it out.")
        if self.bps:
            parse_size(self.bps)

    @property
    def bytes(self) -> int:
        """Bytes of the disk."""
        return parse_size(self.size)


@dataclass(frozen=True)
class Spec:
    """A virtual machine."""
    kernel: str = "6.1"
    smp: int = 2
    mem: str = "1G"
    nvdimms: tuple[Nvdimm, ...] = ()
    disks: tuple[Disk, ...] = ()
    share: Path | None = None
    state: Path | None = None
    accel: str = "auto"
    icount: bool = False
    cpu: str = "max"
    append: str = ""
    persistence: str = ""
    init: str = "agent"
    powercut: str = ""
    qemu: str = field(default_factory=lambda: os.environ.get("TIERED_QEMU", "qemu-system-x86_64"))
    arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_choice("--accel", self.accel, ACCELERATORS)
        _check_choice("--persistence", self.persistence, PERSISTENCE)
        _check_choice("--init", self.init, INITS)
        if not 1 <= self.smp <= 64:
            raise UsageError(f"--smp {self.smp} cannot be: give 1 to 64 processors.")
        if parse_size(self.mem) < 256 * MIB:
            raise UsageError(f"--mem {self.mem} is too little for the guest: give 256M or more.")
        if len(self.nvdimms) > MAX_NVDIMMS:
            raise UsageError(f"{len(self.nvdimms)} NVDIMMs are too many: give at most {MAX_NVDIMMS}.")
        if len(self.disks) > MAX_DISKS:
            raise UsageError(f"{len(self.disks)} disks are too many: give at most {MAX_DISKS}.")
        if self.icount and self.smp != 1:
            raise UsageError("--icount counts the instructions of one processor: add --smp 1.")
        if self.icount and self.accel == "kvm":
            raise UsageError("--icount needs the emulator, not KVM: leave out --accel kvm.")
        if self.powercut:
            self._check_powercut()
        if self.share is not None and not self.share.is_dir():
            raise UsageError(f"--share {self.share} is no folder: make it first.")

    def _check_powercut(self) -> None:
        powerloss.parse(self.powercut)
        if self.accel == "kvm":
            raise UsageError("--powercut needs the emulator, not KVM: leave out --accel kvm.")
        if not self.nvdimms:
            raise UsageError("--powercut watches the first NVDIMM: add --nvdimm.")


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        known = ", ".join(choice for choice in choices if choice)
        raise UsageError(f"{option} {value} is not known: give one of {known}.")


def _split(text: str) -> tuple[str, dict[str, str]]:
    """SIZE[,opt=value...] in its parts."""
    size, *rest = text.split(",")
    options: dict[str, str] = {}
    for part in rest:
        name, equals, value = part.partition("=")
        if not name or not equals or not value:
            raise UsageError(f"'{part}' in '{text}' is no option: write name=value.")
        if name in options:
            raise UsageError(f"'{name}' stands twice in '{text}': give it once.")
        options[name] = value
    return size, options


def parse_nvdimm(text: str) -> Nvdimm:
    """The NVDIMM that --nvdimm `text` means."""
    size, options = _split(text)
    return Nvdimm(size, tuple(options.items()))


def parse_disk(text: str) -> Disk:
    """The disk that --disk `text` means."""
    size, options = _split(text)
    iops = options.pop("iops", "0")
    if not iops.isdecimal():
        raise UsageError(f"iops={iops} in '{text}' is not a number: write iops=2000.")
    return Disk(size, int(iops), options.pop("bps", ""), tuple(options.items()))
