# SPDX-License-Identifier: GPL-2.0-or-later
"""What a volume costs for each frame: memory, space on the fast tier, instructions to open it.

With -icount a nanosecond of processor time is an instruction. What does not depend on the number of frames
is taken out by comparing a small fast tier with a large one.
"""
from __future__ import annotations

import pytest
from qemu import VM

from tests.bench.budgets import DRAM_BYTES_A_FRAME, INSTRUCTIONS_A_FRAME, METADATA_SHARE
from tests.bench.scale import Driver
from tests.harness import fio
from tests.harness.volume import MIB, PAGE, Volume

SLACK = 0.01


def _volumes(vm: VM) -> list[Volume]:
    """A small one and one with four times the frames, full of pages, closed."""
    made = []
    for number, capacity in enumerate(("/dev/vda", "/dev/vdb")):
        v = Volume(vm, f"v{number}", f"/dev/pmem{number}", capacity).format().open()
        v.set_options("admission all")
        fio.run(vm, v.path, rw="write", bs="256k", size=f"{(64, 256)[number]}M", iodepth=1)
        counters = v.counters()
        assert counters["frames_free"] < 0.2 * counters["frames_total"], "the load hardly found a page"
        made.append(v)
    return made


# Prints the processor time of the command that it is given, in nanoseconds; waiting is not in it.
PROCESSOR_TIME = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(round((used.ru_utime + used.ru_stime) * 1e9))
"""


def _opening(v: Volume) -> int:
    """The instructions it takes to create the volume from its table line; the words are loaded meanwhile."""
    line = v.table()
    times = []
    for _ in range(3):
        v.close()
        create = f"dmsetup create {v.name} --table '{line}'"
        times.append(v.vm.run(f"python3 -c '{PROCESSOR_TIME}' {create}").stdout)
    return min(map(int, times))


def _allocated_kib(vm: VM) -> int:
    """What the kernel has taken by vmalloc, where all tables of a volume come from."""
    sizes = vm.run("grep -E 'dm_tiered' /proc/vmallocinfo || true").stdout.splitlines()
    return sum(int(line.split()[1]) for line in sizes) // 1024


def _require_what_is_reckoned(counters: dict[str, int]) -> None:
    """Sizes of large volumes are reckoned (tests/bench/scale.py); of a small one it must come true."""
    driver, frames = Driver(), counters["frames_total"]
    assert counters["dram_bytes"] == pytest.approx(driver.dram_bytes(frames, 288 * MIB), rel=SLACK)
    assert driver.geometry(frames * PAGE + counters["metadata_bytes"]) == (frames, counters["metadata_bytes"])


@pytest.mark.vm(nvdimm=["64M", "256M"], disks=["96M", "288M"], icount=True, cpu="max,-erms")
@pytest.mark.limit(90)
def test_cost_of_a_frame(vm: VM) -> None:
    volumes = _volumes(vm)
    counters = [v.counters() for v in volumes]
    frames = [c["frames_total"] for c in counters]
    opening = [_opening(v) for v in volumes]
    instructions = (opening[1] - opening[0]) / (frames[1] - frames[0])
    dram = [c["dram_bytes"] / c["frames_total"] for c in counters]
    metadata = [c["metadata_bytes"] / (c["metadata_bytes"] + c["frames_total"] * PAGE) for c in counters]
    print(f"opening: {opening} instructions for {frames} frames, {instructions:.0f} a frame")
    print(f"memory: {dram[1]:.1f} bytes a frame; fast tier: {metadata[1]:.2%} for words and superblocks")
    assert 0 < instructions <= INSTRUCTIONS_A_FRAME
    assert dram[1] <= DRAM_BYTES_A_FRAME
    assert all(share <= METADATA_SHARE for share in metadata)
    _require_what_is_reckoned(counters[1])
    for v in volumes:
        v.close()


@pytest.mark.vm(nvdimm=["64M", "256M"], disks=["96M", "288M"])
@pytest.mark.not_on_debug("the shadows of its checkers come from vmalloc as well")
def test_memory_is_what_status_says(vm: VM) -> None:
    v = Volume(vm, fast="/dev/pmem1", capacity="/dev/vdb").format()
    before = _allocated_kib(vm)
    v.open()
    taken = (_allocated_kib(vm) - before) * 1024
    said = v.counters()["dram_bytes"]
    v.close()
    print(f"status says {said} bytes, vmalloc has {taken}")
    # Each vmalloc area has a page more than it was asked for; a few small things are not from vmalloc.
    assert 0.9 * said < taken < 1.05 * said + 16 * PAGE
