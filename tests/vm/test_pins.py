# SPDX-License-Identifier: GPL-2.0-or-later
"""Pinned ranges: they are brought into the fast tier, stay there whatever else goes on, and come back."""
from __future__ import annotations

import json
import time
from typing import Any

import pytest
from qemu import VM

from tests.harness import fio, lower, memory, volume
from tests.harness.refusal import refused
from tests.harness.volume import MIB, PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
DIRECT = "oflag=direct status=none"
PINNED = 6 * MIB
AT = MIB


def _pins(v: Volume, options: str = "") -> Any:
    return json.loads(v.vm.run(f"tierctl pin {v.name} --json {options}", timeout=120).stdout)


def _ranges(v: Volume) -> list[tuple[int, int]]:
    return [(pin["offset_bytes"], pin["length_bytes"]) for pin in _pins(v)["pins"]]


def _message(v: Volume) -> str:
    """What the driver itself says of the pins."""
    return v.vm.run(f"dmsetup message {v.name} 0 pins").stdout


def _pinned(vm: VM, admission: str = "all") -> Volume:
    """A volume with other contents on every page, and a range of it pinned and resident."""
    v = volume.make(vm)
    v.set_options(f"admission {admission}")
    vm.run(f"dd if=/dev/urandom of=/tmp/data bs=1M count={PINNED // MIB} status=none")
    vm.run(f"dd if=/tmp/data of={v.path} bs=1M seek={AT // MIB} {DIRECT}")
    told = _pins(v, f"--range 1M+{PINNED // MIB}M --wait")
    assert told["resident_bytes"] == told["pinned_bytes"] == PINNED, told
    return v


def _press(v: Volume) -> None:
    """Reads and writes of far more than the fast tier holds, until much of what it held has gone."""
    wanted = v.counters()["evictions"] + 2000
    deadline = time.monotonic() + 60 * v.vm.factor
    while v.counters()["evictions"] < wanted:
        assert time.monotonic() < deadline, "there was no pressure"
        for rw in ("randread", "randwrite"):
            fio.run(v.vm, v.path, timeout=120, rw=rw, bs="16k", offset="8M", size="40M", iodepth=4)


def _resident_where_pins_were(v: Volume) -> int:
    heat = json.loads(v.vm.run(f"tierctl heat {v.name} --json").stdout)["extents"]
    return sum(e["resident_pages"] for e in heat if AT <= e["offset_bytes"] < AT + PINNED)


def _reads_hit(v: Volume) -> None:
    before = v.counters()
    part = f"skip={AT >> 16} count={PINNED >> 16} iflag=direct status=none"
    v.vm.run(f"dd if={v.path} of=/tmp/read bs=64K {part} && cmp /tmp/read /tmp/data")
    after = v.counters()
    assert after["read_misses"] == before["read_misses"], "a pinned page was read from the disk"
    assert after["read_hits"] - before["read_hits"] == PINNED // PAGE


@MACHINE
@pytest.mark.limit(180)
@pytest.mark.parametrize("admission", ["all", "thrifty"])
def test_pins_stay_under_pressure_and_go_when_they_are_unpinned(vm: VM, admission: str) -> None:
    v = _pinned(vm, admission)
    _press(v)
    assert _pins(v)["resident_bytes"] == PINNED
    _reads_hit(v)
    v.set_options("admission all")
    vm.run(f"tierctl unpin {v.name} --all")
    assert _ranges(v) == []
    deadline = time.monotonic() + 60 * vm.factor
    while (left := _resident_where_pins_were(v)) >= PINNED // PAGE // 4 and time.monotonic() < deadline:
        _press(v)
    assert left < PINNED // PAGE // 4, f"{left} pages that were pinned once are still kept"
    v.close()
    v.check()


@MACHINE
@pytest.mark.limit(120)
def test_pins_come_back_after_closing_and_after_a_power_cut(vm: VM) -> None:
    v = _pinned(vm)
    vm.run(f"tierctl pin {v.name} --range 0+4K --range 90M+100K && tierctl unpin {v.name} --range 2M+1M")
    wanted = [(0, PAGE), (MIB, MIB), (3 * MIB, 4 * MIB), (90 * MIB, 25 * PAGE)]
    assert _ranges(v) == wanted
    v.close()
    v.open("--read-only")
    assert _ranges(v) == [], "nothing becomes resident in a volume that is only read"
    refused(vm, f"tierctl pin {v.name} --range 0+4K", "while the volume is read-only; open it for writing")
    v.close()
    v.open()
    assert _ranges(v) == wanted
    told = _pins(v, "--wait")
    assert told["resident_bytes"] == told["pinned_bytes"]
    records = vm.run("cat /var/lib/tiered/*.json").stdout
    volume.power_cut(vm)
    # The guest's root is new at each boot.
    name = json.loads(records)["uuid"]
    vm.run(f"mkdir -p /var/lib/tiered && cat > /var/lib/tiered/{name}.json <<'END'\n{records}END")
    v.open()
    assert _ranges(v) == wanted
    told = _pins(v, "--wait")
    assert told["resident_bytes"] == told["pinned_bytes"]
    vm.run(f"tierctl unpin {v.name} --all")
    v.close()
    v.open()
    assert _ranges(v) == []
    v.close()
    v.check()


@MACHINE
def test_what_cannot_be_pinned(vm: VM) -> None:
    v = _pinned(vm)
    before = _message(v)
    frames = v.counters()["frames_total"]
    for arguments, words in {
        "--range 96M+4K": "the pages of the volume end at 100663296 bytes",
        "--range 95M+2M": "2097152 bytes from 99614720 on are no range",
        "--range 4K+0": "0 bytes from 4096 on are no range",
        "--range 0+4X": "'0.4X' is no range; write OFFSET.LENGTH",
        "--range +4K": "is no range",
        "--range 4K+-4K": "is no range",
        "--range 18446744073709551616": "is no range",
        "--range 0+18446744073709551615": "18446744073709551615 bytes from 0 on are no range",
        "--range 1M+1M --range 97M": "the pages of the volume end",
        "--file /no/such/file": "cannot be opened",
        "--file /tmp/data": "is not in a file system right on this volume; give a --range",
        "--file /dev/zero": "is no file with contents",
        f"--range 8M+{frames // 2 * PAGE}": f"at most half of the frames.*, {frames // 2}; "
        f"{frames // 2 - PINNED // PAGE} are left and this needs {frames // 2}; pin less",
    }.items():
        refused(vm, f"tierctl pin {v.name} {arguments}", words)
        assert _message(v) == before, arguments
    for message, words in {
        "pin 0 0": "0 0 is no range of the volume, which has 24576 pages",
        "pin 24576 1": "no range",
        "pin 24575 2": "no range",
        "pin 0 18446744073709551615": "no range",
        "pin 1 x": "no range",
        "pin 0 1 5": "pairs",
        "unpin 24576 1": "no range",
        # All or none.
        "pin 0 1 24576 1": "24576 1 is no range",
    }.items():
        mark = vm.log_mark()
        assert vm.run(f"dmsetup message {v.name} 0 {message}", check=False).status, message
        assert words in vm.log_since(mark), message
        assert _message(v) == before, message
    many = " ".join(f"{2 * i + 8192} 1" for i in range(4096))
    mark = vm.log_mark()
    assert vm.run(f"dmsetup message {v.name} 0 pin {many}", check=False).status
    assert "4096 pinned ranges at most, and this would make 4097" in vm.log_since(mark)
    # As much as may be: the rest still takes overwrites and evicts.
    vm.run(f"tierctl unpin {v.name} --all && tierctl pin {v.name} --range 8M+{frames // 2 * PAGE} --wait")
    fio.run(vm, v.path, timeout=120, rw="randwrite", bs="4k", size="96M", io_size="16M", iodepth=8)
    told = _pins(v)
    assert told["resident_bytes"] == told["pinned_bytes"] == frames // 2 * PAGE
    v.close()
    v.check()


@MACHINE
def test_whole_pages_that_are_pinned_are_taken_whatever_the_admission(vm: VM) -> None:
    v = Volume(vm).format()
    below = lower.below(v)
    below.open(v, "admission none")
    # The filler cannot read, and tries again only after half a minute.
    below.fail()
    v.message("pin 64 128 512 1")
    vm.run("sleep 4")
    below.work()
    before = v.counters()
    assert before["frames_clean"] == 0, "the filler was not kept from filling"
    vm.run("dd if=/dev/urandom of=/tmp/data bs=1M count=1 status=none")
    vm.run(f"dd if=/tmp/data of={v.path} bs=1M {DIRECT}")
    after = v.counters()
    assert after["write_fills"] - before["write_fills"] == 128, "pinned pages went to the disk"
    assert after["write_bypass"] - before["write_bypass"] == 128, "others did not"
    # Less than a page of what is missing goes to the disk, and comes in from there.
    vm.run(f"dd if=/tmp/data of={v.path} bs=512 count=1 seek={512 * 8 + 1} {DIRECT}")
    assert v.counters()["write_bypass"] - after["write_bypass"] == 1
    v.message("pin 512 1")  # or it would wait for that half minute
    told = _pins(v, "--wait")
    assert told["resident_bytes"] == told["pinned_bytes"] == 129 * PAGE
    vm.run(f"dd if={v.path} bs=1M count=1 iflag=direct status=none | cmp - /tmp/data")
    v.close()
    below.remove()


@MACHINE
@pytest.mark.limit(120)
def test_discard_bad_memory_and_reloads_take_no_pin(vm: VM) -> None:
    v = _pinned(vm, "none")
    v.flush()
    # The rounds that pinning began have to be over: one of them would bring in what is discarded, unasked.
    vm.run("sleep 3")
    vm.run(f"blkdiscard -o 2M -l 1M {v.path}")
    vm.run("dd if=/dev/zero of=/tmp/data bs=1M seek=1 count=1 conv=notrunc status=none")
    assert _pins(v, "--wait")["resident_bytes"] == PINNED
    _reads_hit(v)
    with memory.healed_after(vm):
        page = AT // PAGE + 3
        memory.spoil(v, memory.places(v)[page].data)
        vm.run(f"dd if={v.path} of=/dev/null bs={PAGE} skip={page} count=1 iflag=direct status=none")
        v.wait_for("media_errors", 1)
        told = _pins(v, "--wait")
        assert told["resident_bytes"] == PINNED, "a page whose frame went bad was not brought back"
        v.set_options("admission all")
        vm.run(f"dmsetup suspend {v.name} && dmsetup resume {v.name}")
        assert _ranges(v) == [(AT, PINNED)]
        _press(v)
        assert _pins(v)["resident_bytes"] == PINNED
        _reads_hit(v)
        v.close()


@MACHINE
@pytest.mark.limit(120)
def test_filling_stops_with_the_volume_and_goes_on_with_it(vm: VM) -> None:
    v = volume.make(vm)
    whole = {"device": "disk0", "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}
    vm.monitor("block_set_io_throttle", bps=400 << 10, **whole)
    vm.run(f"tierctl pin {v.name} --range 0+6M")
    v.wait_for("read_fills", 16)
    vm.run(f"dmsetup suspend {v.name}", timeout=60)
    here = v.counters()["read_fills"]
    assert here < 6 * MIB // PAGE, "it was over before it was interrupted"
    vm.run("sleep 2")
    assert v.counters()["read_fills"] == here, "pages are filled while the volume is suspended"
    vm.run(f"dmsetup resume {v.name}")
    v.wait_for("read_fills", here + 16)
    vm.run(f"tierctl unpin {v.name} --all")
    vm.run("sleep 6")  # what was on its way
    here = v.counters()["read_fills"]
    assert here < 6 * MIB // PAGE
    vm.run("sleep 3")
    assert v.counters()["read_fills"] == here, "what was unpinned is still being filled"
    vm.run(f"tierctl pin {v.name} --range 0+6M")
    vm.monitor("block_set_io_throttle", bps=0, **whole)
    assert _pins(v, "--wait")["resident_bytes"] == 6 * MIB
    v.close()
    v.check()


@MACHINE
def test_file_is_pinned_where_it_lies(vm: VM) -> None:
    v = volume.make(vm)
    for make in ("mkfs.ext4 -q", "mkfs.ext4 -q -b 1024"):
        vm.run(f"{make} {v.path} && mount {v.path} /mnt/test")
        vm.run("dd if=/dev/urandom of=/mnt/test/x bs=1M count=3 conv=fsync status=none")
        vm.run(": > /mnt/test/empty")
        refused(vm, f"tierctl pin {v.name} --file /mnt/test/empty", "has no blocks on the volume")
        told = _pins(v, "--file /mnt/test/x --wait")
        assert 3 * MIB <= told["resident_bytes"] == told["pinned_bytes"] < 3 * MIB + 64 * PAGE
        vm.run("echo 3 > /proc/sys/vm/drop_caches")
        before = v.counters()["read_misses"]
        vm.run("dd if=/mnt/test/x of=/dev/null bs=64K iflag=direct status=none")
        # The blocks that say where it lies may be read.
        assert v.counters()["read_misses"] - before < 16
        vm.run(f"tierctl unpin {v.name} --file /mnt/test/x && umount /mnt/test")
        assert _ranges(v) == []
    v.close()


@MACHINE
def test_pins_of_a_volume_whose_fast_tier_goes(vm: VM) -> None:
    v = _pinned(vm)
    memory.unbind(vm)
    vm.run(f"dmsetup message {v.name} 0 unpin 0 16")
    vm.run(f"dd if=/dev/zero of={v.path} bs={PAGE} count=1 {DIRECT}", check=False)
    v.close()
    memory.bind(vm)
    v.open()
    assert _pins(v, "--wait")["resident_bytes"] == PINNED
    v.close()
