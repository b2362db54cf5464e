# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk below a volume that can be told to fail: a mapped device over the real one, its table exchanged."""
from __future__ import annotations

from dataclasses import dataclass

from qemu import VM

from tests.harness.volume import Volume

NAME = "lower"


@dataclass(frozen=True)
class Lower:
    """The mapped device, over the whole of `disk` or over its first `sectors`."""

    vm: VM
    disk: str
    sectors: int

    @property
    def path(self) -> str:
        """The mapped device."""
        return f"/dev/mapper/{NAME}"

    def _load(self, target: str) -> None:
        self._load_lines(f"0 {self.sectors} {target}")

    def _load_lines(self, *lines: str) -> None:
        self.hold()
        table = "\n".join(lines)
        self.vm.run(f"echo '{table}' | dmsetup load {NAME} && dmsetup resume {NAME}")

    def hold(self) -> None:
        """Keep everything waiting, until another table is loaded."""
        # Without --noflush a suspend would wait for the volume's requests, which may wait for us.
        self.vm.run(f"dmsetup suspend --nolockfs --noflush {NAME}")

    def work(self) -> None:
        """Pass everything on."""
        self._load(f"linear {self.disk} 0")

    def grown(self, sectors: int) -> Lower:
        """The device over so many sectors, working."""
        larger = Lower(self.vm, self.disk, sectors)
        larger.work()
        return larger

    def fail(self) -> None:
        """Fail everything."""
        self._load("error")

    def fail_page(self, page: int) -> None:
        """Fail everything that touches one page; the rest works."""
        at, end = page * 8, page * 8 + 8
        self._load_lines(
            f"0 {at} linear {self.disk} 0",
            f"{at} 8 error",
            f"{end} {self.sectors - end} linear {self.disk} {end}",
        )

    def fail_writes(self) -> None:
        """Fail writes and flushes; reads work."""
        self._load(f"flakey {self.disk} 0 0 3600 1 error_writes")

    def open(self, v: Volume, options: str = "") -> None:
        """Open a volume that was formatted over the disk with this device in the disk's place."""
        table = f"0 {self.sectors} tiered {v.fast} 1 {self.path} {len(options.split())} {options}"
        self.vm.run(f"dmsetup create {v.name} --table '{table}'")

    def remove(self) -> None:
        """Take the mapped device away."""
        self.vm.run(f"dmsetup remove {NAME}")


def below(v: Volume, sectors: int | None = None) -> Lower:
    """A mapped device over the volume's disk, in working order."""
    size = sectors or int(v.vm.run(f"blockdev --getsz {v.capacity}").stdout)
    v.vm.run(f"modprobe dm-flakey; dmsetup create {NAME} --table '0 {size} linear {v.capacity} 0'")
    return Lower(v.vm, v.capacity, size)


def leave_dirty(v: Volume, pages: int) -> None:
    """Write random data to the first pages of a new volume and leave it closed with just these dirty."""
    lower = below(v)
    lower.open(v, "admission all")
    lower.hold()  # what is written home in idle moments gets nowhere, and fails in the end
    v.vm.run(f"dd if=/dev/urandom of={v.path} bs=4K count={pages} oflag=direct status=none")
    assert v.counters()["frames_dirty"] == pages
    lower.fail()
    v.vm.run(f"dmsetup remove {v.name}")
    lower.remove()
