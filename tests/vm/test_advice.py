# SPDX-License-Identifier: GPL-2.0-or-later
"""What tierctl advises about the size of a fast tier, out of the sample that the driver keeps."""
from __future__ import annotations

import json

import pytest
from qemu import VM

from tests.harness import fio, volume
from tests.harness.refusal import refused
from tests.harness.volume import PAGE

REQUEST_PAGES = 2
ROUNDS = 4


@pytest.mark.vm(nvdimm="32M", disks="128M")
def test_sample_tells_what_other_sizes_would_do(vm: VM) -> None:
    v = volume.make(vm)
    frames = v.counters()["frames_total"]
    pages = frames * 3 // 2 // REQUEST_PAGES * REQUEST_PAGES
    refused(vm, "tierctl advise v0", "has only [0-9]+ of the 500.*ask again.*tierctl advise v0 --trace")
    fio.run(
        vm,
        v.path,
        rw="randread",
        norandommap=True,
        randrepeat=0,  # or every round would be the same
        bs=REQUEST_PAGES * PAGE,
        size=pages * PAGE,
        io_size=ROUNDS * pages * PAGE,
        iodepth=16,
        timeout=90,
    )
    print(vm.run("tierctl advise v0").stdout)
    advice = json.loads(vm.run("tierctl advise v0 --json").stdout)
    requests = advice["samples"] * advice["one_in"]
    done = ROUNDS * pages // REQUEST_PAGES
    assert abs(requests / done - 1) < 0.3, f"{requests} of {done} requests were sampled"
    assert abs(advice["footprint_bytes"] / (pages * PAGE) - 1) < 0.3, advice
    assert [size["fast_bytes"] for size in advice["sizes"]] == [
        int(frames * PAGE * factor) for factor in (0.5, 1, 2, 4)
    ]
    half, same, twice, four = (size["hit_ratio"] for size in advice["sizes"])
    # Two of three pages have room, so nearly as many hit; with twice the room all but those not seen yet.
    assert half + 0.15 < same < twice - 0.15, advice
    assert twice > 0.85 and abs(four - twice) < 0.02, advice
    assert abs(same - advice["sampled_hit_ratio"]) < 0.15, advice
    v.close()
    refused(vm, "tierctl advise v0", "not open")
