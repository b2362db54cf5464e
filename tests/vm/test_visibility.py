# SPDX-License-Identifier: GPL-2.0-or-later
"""What the driver does can be followed: tracepoints, histograms, what the kernel measures of a table."""
from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from qemu import VM

from tests.harness import fio, lower, memory, volume
from tests.harness.volume import PAGE, Volume

TRACING = "/sys/kernel/tracing"
EXTENT_PAGES = 256
PATHS = ("read_hit", "read_miss", "write_fast", "write_bypass")


def _trace(vm: VM, commands: str) -> list[str]:
    """The events of the module while the commands run, each as NAME: FIELDS."""
    vm.run(f"mount -t tracefs none {TRACING} 2>/dev/null; echo > {TRACING}/trace")
    vm.run(f"echo 1 > {TRACING}/events/tiered/enable")
    vm.run(commands)
    text = vm.run(f"echo 0 > {TRACING}/events/tiered/enable; cat {TRACING}/trace").stdout
    return re.findall(r" (tiered_\w+: .*)", text)


@pytest.mark.vm(nvdimm="16M", disks="96M", kernel="6.1")
def test_tracepoints_tell_what_was_decided(vm: VM) -> None:
    v = volume.make(vm)
    dd = f"dd if={v.path} of=/dev/null iflag=direct status=none bs={PAGE} count=1"
    device = vm.run(f"stat -L -c %Hr:%Lr {v.path}").stdout.strip()
    write = f"dd if=/dev/zero of={v.path} oflag=direct status=none"
    events = _trace(
        vm,
        f"{dd} skip=7; sync {v.path}; {write} bs={PAGE} count=2 seek=100; {dd} skip=101;"
        f"{write} bs=1M count=1 seek=8; tierctl flush {v.name}",
    )
    mine = [event.replace(f" dev={device}", "") for event in events]
    for expected in (
        f"tiered_request: sector=56 bytes={PAGE} read_miss",
        "tiered_fill: page=7 filled",
        f"tiered_request: sector=800 bytes={PAGE} write_fast",
        f"tiered_request: sector=808 bytes={PAGE} read_hit",
        "tiered_request: sector=16384 bytes=1048576 write_bypass",
        "tiered_writeback: pages=2 written=2",
    ):
        assert mine.count(expected) == 1, f"not once: {expected}\n" + "\n".join(mine)
    v.close()


@pytest.mark.vm(nvdimm="16M", disks="96M", kernel="6.1")
def test_tracepoints_tell_of_bad_memory_and_states(vm: VM) -> None:
    v = Volume(vm).format()
    lower.leave_dirty(v, 8)
    below = lower.below(v)
    below.open(v)
    below.hold()
    with memory.healed_after(vm):
        place = memory.places(v)[5]
        memory.spoil(v, place.data)
        # The state is announced by a worker.
        announced = f"timeout 20 sh -c 'until grep -q tiered_state: {TRACING}/trace; do sleep 0.1; done'"
        read = f"dd if={v.path} of=/dev/null iflag=direct status=none bs={PAGE} count=1 skip=5"
        text = "\n".join(_trace(vm, f"! {read} && {announced}"))
        assert re.search(rf"tiered_bad_frame: dev=\S+ page=5 frame={place.frame} lost", text), text
        assert re.search(r"tiered_state: dev=\S+ state=", text), text
        below.work()
        v.close()
        below.remove()


@pytest.mark.vm(nvdimm="16M", disks="96M")
def test_histograms_agree_with_status(vm: VM) -> None:
    v = volume.make(vm)
    v.set_options("admission all")
    vm.run(f"dd if=/dev/zero of={v.path} oflag=direct status=none bs={PAGE} count=1000")
    vm.run(f"dd if={v.path} of=/dev/null iflag=direct status=none bs={PAGE} count=1200")
    v.set_options("")
    vm.run(f"dd if=/dev/zero of={v.path} oflag=direct status=none bs=1M count=2 seek=20")
    counters = v.counters()
    for path in PATHS:
        reply = vm.run(f"dmsetup message {v.name} 0 histogram {path}").stdout.split()
        assert reply.pop() == "-"
        buckets = [tuple(map(int, bucket.split(":"))) for bucket in reply]
        samples = sum(count for _, count in buckets)
        seen, median = 0, 0
        for end, count in buckets:
            seen += count
            if not median and 2 * seen >= samples:
                median = end
        assert samples > 0 and buckets == sorted(buckets), f"{path}: {reply}"
        assert median == counters[f"{path}_p50_ns"], f"{path}: {median}, status {counters}"
    mark = vm.log_mark()
    assert vm.run(f"dmsetup message {v.name} 0 histogram elsewhere", check=False).status
    assert "unknown path elsewhere; known are read_hit" in vm.log_since(mark)
    v.close()


@pytest.mark.vm(nvdimm="16M", disks="96M", kernel="6.1", append="ima_policy=critical_data")
def test_integrity_measurement_names_devices_and_options(vm: VM) -> None:
    v = volume.make(vm)
    v.set_options("writethrough admission all")
    vm.run("mount -t securityfs none /sys/kernel/security 2>/dev/null || test -d /sys/kernel/security/ima")
    lines = vm.run("cat /sys/kernel/security/ima/ascii_runtime_measurements").stdout.splitlines()
    # The last word of a measurement of kernel data is the data, in hexadecimal.
    loads = [bytes.fromhex(line.split()[-1]).decode() for line in lines if "dm_table_load" in line]
    fast, capacity = (vm.run(f"lsblk -dno MAJ:MIN {path}").stdout.strip() for path in (v.fast, v.capacity))
    wanted = (
        "target_name=tiered,target_version=",
        f"fast_device={fast},capacity_device={capacity},read_only=n,writethrough=y,",
        ",admission=all,memory_only=n;",
    )
    assert any(all(text in load for text in wanted) for load in loads), loads
    v.close()


def _why(v: Volume, offset_mib: int) -> str:
    """The last decision about the extent at an offset."""
    told = json.loads(v.vm.run(f"tierctl why {v.name} --json --offset {offset_mib}M").stdout)
    (extent,) = told["extents"]
    assert extent["offset_bytes"] == offset_mib << 20 and extent["text"] and extent["age_s"] < 600
    return str(extent["reason"])


@pytest.mark.vm(nvdimm="16M", disks="96M")
def test_why_tells_the_last_decision_of_an_extent(vm: VM) -> None:
    v = volume.make(vm)
    write = f"dd if=/dev/zero of={v.path} oflag=direct status=none"
    read = f"dd if={v.path} of=/dev/null iflag=direct status=none"
    requests = [
        f"{write} bs=4K count=1 seek={1 * 256}",
        f"{write} bs=1M count=1 seek=2",
        f"{write} bs=512 count=1 seek={3 * 2048 + 1}",
        f"{read} bs=4K count=200 skip={4 * 256}",
        f"{read} bs=1M count=1 skip=5",
        f"{read} bs=4K count=1 skip={6 * 256 + 99}",
        # Not flushed yet, which a fill would need: its worker says so.
        f"{read} bs=4K count=1 skip={2 * 256}",
    ]
    # Together: in a second without requests what is dirty goes home, with a flush.
    vm.run(" && ".join(requests))
    v.wait_for("fills_dropped", 1)
    v.wait_for("read_fills", 1)
    told = [_why(v, extent) for extent in range(1, 7)]
    assert told == [
        "filled_write",
        "dropped_unflushed",
        "passed_partial",
        "passed_stream",
        "passed_large",
        "filled_read",
    ], told
    v.set_options("admission none")
    vm.run(f"{read} bs=4K count=1 skip={7 * 256}")
    assert _why(v, 7) == "passed_option"
    # More than the fast tier holds: what was clean had to go.
    v.set_options("admission all")
    fio.run(vm, v.path, rw="read", bs="64k", offset="8M", size="32M", iodepth=1)
    v.wait_for("evictions", 1)
    everything = vm.run(f"tierctl why {v.name}").stdout
    assert re.search(r"^ *\d+\.0 MiB +\d+ +evicted: a clean page", everything, re.MULTILINE), everything
    refused = vm.run(f"tierctl why {v.name} --offset 96M", check=False)
    assert refused.status == 1 and "ends at 96.0 MiB; give an --offset below that" in refused.stderr
    v.close()


@pytest.mark.vm(nvdimm="16M", disks="300M")
def test_heat_is_what_the_medium_says(vm: VM) -> None:
    v = volume.make(vm)
    v.set_options("admission all")
    # In two parts that no single reply covers; the second is read again.
    for offset, size in (("1M", "4M"), ("290M", "2M")):
        fio.run(vm, v.path, rw="randwrite", bs="4k", offset=offset, size=size, io_size="1M", iodepth=1)
    vm.run(f"dd if={v.path} of=/dev/null iflag=direct status=none bs=1M skip=290 count=2")
    v.flush()
    told = json.loads(vm.run(f"tierctl heat {v.name} --json").stdout)
    for_people = vm.run(f"tierctl heat {v.name}").stdout.splitlines()
    v.close()
    resident = Counter(page // EXTENT_PAGES for page in memory.places(v))
    assert set(resident) == {1, 2, 3, 4, 290, 291}
    assert told["extent_bytes"] == EXTENT_PAGES * PAGE
    assert {e["offset_bytes"] >> 20: e["resident_pages"] for e in told["extents"]} == resident
    assert all(e["dirty_pages"] == 0 for e in told["extents"])
    assert all(e["recent_pages"] > 0 for e in told["extents"][-2:])
    assert len(for_people) == 1 + len(resident)


@pytest.mark.vm(nvdimm="16M", disks="96M")
def test_heat_counts_pages_and_not_frames_at_rest(vm: VM) -> None:
    v = Volume(vm).format()
    below = lower.below(v)
    below.open(v, "admission all")
    below.hold()  # what is dirty stays so
    fio.run(vm, v.path, rw="write", bs="64k", offset="2M", size="3M", iodepth=1)
    fio.run(vm, v.path, rw="randwrite", bs="4k", offset="2M", size="2M", iodepth=1)
    extents = json.loads(vm.run(f"tierctl heat {v.name} --json").stdout)["extents"]
    below.work()
    assert [(e["offset_bytes"] >> 20, e["resident_pages"], e["dirty_pages"]) for e in extents] == [
        (mib, EXTENT_PAGES, EXTENT_PAGES) for mib in (2, 3, 4)
    ]
    v.flush()
    vm.run(f"dmsetup remove {v.name}")
    below.remove()
