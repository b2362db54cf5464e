# SPDX-License-Identifier: GPL-2.0-or-later
"""What is put to the test: the driver, faulty drivers, and a target that has nothing to do with it."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from images import module
from images.kernels import Kernel

from tests.powercut import mutants

HERE = Path(__file__).resolve().parent
DRIVER_MODULE = "dm_tiered"


class Subject(Protocol):
    """A module, and how it is used."""

    @property
    def name(self) -> str:
        """As reports and folders call it."""

    @property
    def module(self) -> str:
        """As the kernel calls it."""

    @property
    def control(self) -> bool:
        """Whether it is no tiered volume."""

    @property
    def preload(self) -> str:
        """A library of the campaign's that `tierctl format` is run with, or none."""

    def build(self, kernel: Kernel, folder: Path) -> Path:
        """Its file; `folder` is for copies of sources."""


@dataclass(frozen=True)
class Driver:
    """The driver as it is."""

    name: str = "driver"
    module: str = DRIVER_MODULE
    control: bool = False
    preload: str = ""

    def build(self, kernel: Kernel, folder: Path) -> Path:
        """Its file."""
        del folder
        return module.build(kernel)


@dataclass(frozen=True)
class FaultyDriver:
    """The driver with a fault."""

    mutant: mutants.Mutant
    module: str = DRIVER_MODULE
    control: bool = False
    preload: str = ""

    @property
    def name(self) -> str:
        """The fault."""
        return self.mutant.name

    def build(self, kernel: Kernel, folder: Path) -> Path:
        """Its file."""
        source = mutants.make_source(self.mutant, folder / self.name)
        # The definition only gives each faulty driver a folder of its own.
        number = mutants.MUTANTS.index(self.mutant) + 1
        return module.build(kernel, defines=(f"TIERED_MUTANT={number}",), source=source)


@dataclass(frozen=True)
class FaultyFormat(Driver):
    """The driver as it is, with a volume that is made the wrong way."""

    name: str = "format-leaves-old-superblocks"
    preload: str = "powercut-hasty-format.so"


@dataclass(frozen=True)
class Control:
    """A small target of its own (forgetful/), with and without its fault."""

    forgets: bool
    module: str = "dm_forgetful"
    control: bool = True
    preload: str = ""

    @property
    def name(self) -> str:
        """Whether it forgets a fence."""
        return "control-that-forgets-a-fence" if self.forgets else "control"

    def build(self, kernel: Kernel, folder: Path) -> Path:
        """Its file."""
        del folder
        defines = ("FORGETFUL_FORGETS",) if self.forgets else ()
        return module.build(kernel, defines=defines, source=HERE / "forgetful", name="dm-forgetful")
