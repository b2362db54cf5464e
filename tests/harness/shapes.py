# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the `vm` marker: which machine a test declares."""
from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from qemu import Spec, parse_disk, parse_nvdimm

from tests.harness.settings import Settings


@dataclass(frozen=True)
class Shape:
    """A machine, and whether the test wants it to itself."""

    spec: Spec
    fresh: bool

    @property
    def name(self) -> str:
        """A name for the folder with this machine's logs."""
        spec = self.spec
        parts = [
            spec.kernel,
            f"smp{spec.smp}",
            spec.mem,
            *(f"nvdimm-{nvdimm.size}" for nvdimm in spec.nvdimms),
            *(f"disk-{disk.size}{_limits(disk.iops, disk.bps)}" for disk in spec.disks),
        ]
        if spec.icount:
            parts.append("icount")
        return re.sub(r"[^A-Za-z0-9.-]+", "-", "_".join(parts))


def _limits(iops: int, bps: str) -> str:
    return (f"-iops{iops}" if iops else "") + (f"-bps{bps}" if bps else "")


def _list(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _build(
    settings: Settings,
    *,
    nvdimm: str | Iterable[str] = (),
    disks: str | Iterable[str] = (),
    kernel: str | None = None,
    smp: int = 2,
    mem: str = "1G",
    icount: bool = False,
    cpu: str = "max",
    append: str = "",
    fresh: bool = False,
) -> Shape:
    spec = Spec(
        kernel=kernel or settings.kernel,
        smp=1 if icount else smp,
        mem=mem,
        nvdimms=tuple(parse_nvdimm(text) for text in _list(nvdimm)),
        disks=tuple(parse_disk(text) for text in _list(disks)),
        accel=settings.accel if not icount else "tcg",
        icount=icount,
        cpu=cpu,
        append=append,
    )
    return Shape(spec, fresh)


def of(item: pytest.Item, settings: Settings) -> Shape | None:
    """The machine that `item` declares; None when it drives none."""
    marker = item.get_closest_marker("vm")
    if marker is None:
        return None
    known = set(inspect.signature(_build).parameters) - {"settings"}
    unknown = sorted(set(marker.kwargs) - known)
    if marker.args or unknown:
        raise pytest.UsageError(
            f"{item.nodeid}: the vm marker takes only {', '.join(sorted(known))} by name."
        )
    return _build(settings, **marker.kwargs)
