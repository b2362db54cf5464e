# SPDX-License-Identifier: GPL-2.0-or-later
"""The files behind a VM's NVDIMMs and disks: made sparse, kept in a folder, locked while a VM uses them."""
from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from qemu.errors import UsageError
from qemu.labels import empty_area
from qemu.sizes import MIB
from qemu.spec import Nvdimm, Spec

RECORD = "machine.json"
# What a guest with systemd may write to its root; sparse.
KEPT_ROOT = 512 * MIB


class State:
    """A folder with the contents of NVDIMMs and disks, for one VM at a time."""

    def __init__(self, path: Path, spec: Spec) -> None:
        self.path = path.resolve()
        _make_folder(self.path)
        try:
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(f"--state {path} cannot be used: {error.strerror}.") from None
        try:
            self._claim()
            self._fill(spec)
        except BaseException:
            self.close()
            raise

    def _claim(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"The state in {self.path} is in use by another VM: end that one first, "
                             "or give another --state.") from None

    def _fill(self, spec: Spec) -> None:
        record = self.path / RECORD
        known: dict[str, str] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
        for number, nvdimm in enumerate(spec.nvdimms):
            if _is_new(known, f"nvdimm{number}", f"{nvdimm.usable}+{nvdimm.label_size}", self.path):
                _make_nvdimm(self.path / f"nvdimm{number}.img", nvdimm)
        for number, disk in enumerate(spec.disks):
            if _is_new(known, f"disk{number}", str(disk.bytes), self.path):
                _make_sparse(self.path / f"disk{number}.img", disk.bytes)
        if spec.init == "systemd" and _is_new(known, "root", str(KEPT_ROOT), self.path):
            _make_sparse(self.path / "root.img", KEPT_ROOT)
        temporary = record.with_suffix(".new")
        temporary.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        temporary.replace(record)

    def close(self) -> None:
        """Let the next VM have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--state {path} cannot be used: {error.strerror}.") from None


def _is_new(known: dict[str, str], name: str, size: str, folder: Path) -> bool:
    """Whether a device is not in the state yet; a device of another size is refused."""
    found = known.get(name)
    if found is not None and found != size:
        raise UsageError(f"{name} in {folder} was made with {found} bytes and not {size}: "
                         "give the sizes it was made with, or another --state.")
    known[name] = size
    return found is None or not (folder / f"{name}.img").exists()


def _make_nvdimm(path: Path, nvdimm: Nvdimm) -> None:
    with path.open("wb") as file:
        file.truncate(nvdimm.file_size)
        file.seek(nvdimm.region)
        file.write(empty_area(nvdimm.label_size))


def _make_sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
