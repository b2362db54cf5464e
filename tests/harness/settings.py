# SPDX-License-Identifier: GPL-2.0-or-later
"""What the command line says about a run, in one frozen object."""
from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import shards

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build"
DEFAULT_KERNEL = "6.1"
GUEST = CHECKOUT / "tests" / "guest"


@dataclass(frozen=True)
class Settings:
    """One run of the suite."""

    kernel: str
    accel: str
    seed: int
    soak: bool
    logs: Path
    allowed_skips: Path
    shard: shards.Shard

    def amount(self, short: int, long: int) -> int:
        """How often to do something: `long` in a soak."""
        return long if self.soak else short

    def random(self, name: str) -> random.Random:
        """A source of random choices for the test `name`: the same for the same seed."""
        return random.Random(f"{self.seed}/{name}")


def add_options(parser: pytest.Parser) -> None:
    """The options that tests/run passes on."""
    group = parser.getgroup("dm-tiered")
    group.addoption("--kernel", default=DEFAULT_KERNEL, help="kernel of the machines (6.1, 6.12, 7.2, debug)")
    group.addoption("--accel", default="auto", help="auto, kvm or tcg")
    group.addoption("--seed", type=int, default=None, help="seed of every random choice (default: a new one)")
    group.addoption("--soak", action="store_true", help="long counts, and go on where an earlier soak ended")
    group.addoption("--shard", default="1/1", help="run only this part of the tests, as NUMBER/COUNT")
    group.addoption("--logs", type=Path, default=BUILD / "vm", help="folder for the machines' console logs")
    group.addoption(
        "--allowed-skips",
        type=Path,
        default=CHECKOUT / "tests" / "allowed-skips.txt",
        help="file with the tests that may be skipped",
    )


def read(config: pytest.Config) -> Settings:
    """The settings of this run."""
    seed = config.getoption("--seed")
    return Settings(
        kernel=str(config.getoption("--kernel")),
        accel=str(config.getoption("--accel")),
        seed=random.SystemRandom().randrange(1 << 31) if seed is None else int(seed),
        soak=bool(config.getoption("--soak")),
        logs=Path(config.getoption("--logs")).resolve(),
        allowed_skips=Path(config.getoption("--allowed-skips")),
        shard=shards.parse(config.getoption("--shard")),
    )
