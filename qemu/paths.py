# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the files of one VM lie."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Files:
    """All that a command line of QEMU refers to."""
    kernel: Path
    initrd: Path
    root: Path
    console: Path
    state: Path

    def nvdimm(self, number: int) -> Path:
        """The file behind an NVDIMM."""
        return self.state / f"nvdimm{number}.img"

    def disk(self, number: int) -> Path:
        """The file behind a disk."""
        return self.state / f"disk{number}.img"

    @property
    def kept_root(self) -> Path:
        """The file behind the disk on which a guest with systemd keeps what it writes to its root."""
        return self.state / "root.img"
