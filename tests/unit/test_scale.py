# SPDX-License-Identifier: GPL-2.0-or-later
"""What large fast tiers cost: derived from the sources, held against sums done by hand, and told as it is."""
from __future__ import annotations

import pytest

from tests.bench import scale
from tests.bench.budgets import DRAM_BYTES_A_FRAME, METADATA_SHARE
from tests.bench.scale import GIB, MIB, TIB, Driver, Machine


@pytest.fixture(name="driver", scope="module")
def _driver() -> Driver:
    return Driver()


def test_constants_are_those_of_the_headers() -> None:
    assert scale.constant("TIERED_FRAME_BYTES", "core/format.h") == 4096
    assert scale.constant("TIERED_EXTENT_BYTES", "core/format.h") == MIB
    with pytest.raises(ValueError, match="bring tests/bench/scale.py up to date"):
        scale.constant("TIERED_NOTHING", "core/format.h")


def test_a_gibibyte_by_hand(driver: Driver) -> None:
    # 8 KiB of superblocks, two tables of 8 bytes a frame in whole pages, frames of 4096.
    frames, metadata = driver.geometry(GIB)
    assert 8192 + 2 * 8 * frames <= metadata < 8192 + 2 * 8 * frames + 3 * 4096
    assert 0 <= GIB - metadata - 4096 * frames < 4096
    # 16 + 1 bytes a frame, 131072 buckets of 4 (a power of two not above the frames), 8192 stripes.
    tables = driver.index_bytes(frames) - 17 * frames - 4 * 131072
    assert 131072 < frames < 262144 and tables % 8192 == 0 and 16 <= tables // 8192 <= 64
    # A GiB of disk has 1024 extents: an entry each.
    assert driver.why_entries(frames, GIB) == 1024
    whys, samples = 8 * 1024, driver.sample_bytes(frames)
    assert driver.dram_bytes(frames, GIB) == driver.index_bytes(frames) + whys + samples
    # At most 32768 entries of 16 bytes.
    assert 0 <= samples - 16 * 32768 < 100


@pytest.mark.parametrize("fast", scale.FAST_TIERS)
def test_budgets_hold_at_every_size(driver: Driver, fast: int) -> None:
    machine = Machine(driver, fast)
    assert machine.metadata_bytes / fast <= METADATA_SHARE
    assert machine.dram_bytes / machine.frames <= DRAM_BYTES_A_FRAME


def test_times_by_hand(driver: Driver) -> None:
    machine = Machine(driver, TIB)
    assert machine.load_seconds == pytest.approx(machine.frames * (500 / 3 + 200) / 1e9)
    assert machine.walk_seconds == pytest.approx(machine.frames * 16 / 10e9)
    # 100 TiB are 1600 windows of 65536 MiB; all frames are looked at twice for each.
    assert machine.heat_seconds == pytest.approx(3200 * (machine.walk_seconds + machine.frames * 100e-9))
    assert machine.disks == 6
    assert machine.home_scattered_seconds == pytest.approx(0.6 * machine.frames * 0.008 / 6)
    within = scale.opened_within(driver, 90)
    assert Machine(driver, int(within)).load_seconds == pytest.approx(90, rel=0.001)


def test_no_volume_is_larger_than_its_format(driver: Driver) -> None:
    with pytest.raises(ValueError, match="no volume can have"):
        driver.geometry(17 * TIB)


def test_the_readme_says_what_is_reckoned() -> None:
    readme = scale.README.read_text(encoding="utf-8")
    assert scale.placed(readme, scale.text()) == readme, "run python3 -m tests.bench.scale --write"
    with pytest.raises(ValueError, match="lacks the marks"):
        scale.placed("no marks", "text")
