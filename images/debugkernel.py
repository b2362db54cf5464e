# SPDX-License-Identifier: GPL-2.0-or-later
"""The debug kernel, built from the distribution's kernel source package."""
from __future__ import annotations

from pathlib import Path

from images.distribution import Distribution, KernelSource
from images.host import Problem


def candidate(host: Distribution, source: KernelSource) -> tuple[str, str]:
    raise Problem(f"not yet {host.name} {source.name}")


def build(host: Distribution, source: KernelSource, root: Path) -> dict[str, str]:
    raise Problem(f"not yet {host.name} {source.name} {root}")
