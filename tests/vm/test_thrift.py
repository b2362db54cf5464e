# SPDX-License-Identifier: GPL-2.0-or-later
"""`admission thrifty`: the policy core decides in the module.

That the data are right whatever it decides is for test_verify and the rest of the suite; here it is whether
it decides well. What it costs is in test_speed.
"""
from __future__ import annotations

from typing import Any

import pytest
from qemu import VM

from tests.harness import fio, volume
from tests.harness.volume import MIB, PAGE, Volume

VOLUME_MIB = 96
HOT_MIB = 8
# A resident page in so many is explored: filled whatever is expected of it (core/policy.c).
EXPLORED = 16


def _thrifty(vm: VM) -> Volume:
    v = volume.make(vm)
    v.set_options("admission thrifty")
    return v


def _read(v: Volume, **options: Any) -> tuple[int, int]:
    """Run a job of reads; the pages that hit and that missed."""
    before = v.counters()
    fio.run(v.vm, v.path, timeout=120, **{"rw": "randread", "bs": "4k", "ioengine": "psync", **options})
    after = v.counters()
    return (
        after["read_hits"] - before["read_hits"],
        after["read_misses"] - before["read_misses"],
    )


def _hot(v: Volume, seed: int) -> float:
    """The hit ratio of random reads of the hot set."""
    hits, misses = _read(v, size=f"{HOT_MIB}M", io_size="32M", norandommap=True, randseed=seed)
    return hits / (hits + misses)


@pytest.mark.vm(nvdimm="16M", disks=f"{VOLUME_MIB}M")
@pytest.mark.limit(120)
def test_a_hot_set_stays_while_the_volume_is_read(vm: VM) -> None:
    v = _thrifty(vm)
    for seed in range(3):
        before = _hot(v, seed)
    assert before > 0.95, f"the hot set is not resident: {before:.1%} hits"
    hits, misses = _read(v, rw="read", bs="64k", size=f"{VOLUME_MIB}M")
    assert misses > (VOLUME_MIB - HOT_MIB) * MIB // PAGE * 0.8, "the scan was no scan"
    after = _hot(v, 9)
    print(f"hits of the hot set: {before:.2%} before a scan, {after:.2%} after it")
    # One point is the aim, which the driver does not reach yet (driver/README.md).
    assert after >= before - 0.3
    v.close()
    v.check()


@pytest.mark.vm(nvdimm="16M", disks=f"{VOLUME_MIB}M")
@pytest.mark.limit(120)
def test_what_comes_once_is_not_filled(vm: VM) -> None:
    v = _thrifty(vm)
    frames = v.counters()["frames_total"]
    # Every page once, in random order.
    hits, misses = _read(v, size=f"{VOLUME_MIB}M")
    fills = v.counters()["read_fills"]
    explored = (misses - frames) / EXPLORED
    print(f"{misses} misses, {fills} fills, of {frames} frames; {explored:.0f} are to be explored")
    assert hits + misses == VOLUME_MIB * MIB // PAGE
    assert fills <= frames + 1.5 * explored
    v.close()
