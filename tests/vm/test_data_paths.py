# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways of a request through the driver: what is written is what is read, here and on the disk alone."""
from __future__ import annotations

import random
import time
from typing import Any

import pytest
from qemu import VM

from tests.harness import fio, lower, volume
from tests.harness.settings import Settings
from tests.harness.volume import MIB, PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
# What a volume keeps of its requests however small it is: two rings, each with a header (core/samples.c).
SAMPLES_BYTES = 65 << 10


def _same(vm: VM, device: str, other: str, count: int, offset: int = 0, other_offset: int = 0) -> None:
    vm.run(
        f"blockdev --flushbufs {device}; cmp -n {count} -i {offset}:{other_offset} {device} {other}",
        timeout=120,
    )


def _settle(v: Volume) -> None:
    """Close the volume and require the disk alone to hold what the volume held."""
    contents = v.sha256()
    v.flush()
    v.close()
    assert v.sha256(v.capacity) == contents
    v.check()


@MACHINE
def test_small_writes_and_reads_against_a_model(vm: VM, rng: random.Random, settings: Settings) -> None:
    """Unaligned pieces of 512 bytes to 256 KiB over pages that are resident, are not, and runs of both."""
    v = volume.make(vm)
    count = settings.amount(1500, 100000)
    command = f"python3 /root/tests/against_model.py {v.path} {rng.randrange(1 << 30)} {count} 40"
    vm.run(command, timeout=60 + settings.amount(0, 2000))
    counters = v.counters()
    for name in ("read_hits", "read_misses", "write_hits", "write_fills", "write_bypass"):
        assert counters[name] > 0, f"the workload missed a path: {name} {counters}"
    _settle(v)


@MACHINE
def test_counters_add_up(vm: VM) -> None:
    v = volume.make(vm)
    fio.run(vm, v.path, rw="randwrite", bs="4k", size="4M", iodepth=8)
    counters = v.counters()
    assert counters["write_hits"] + counters["write_fills"] + counters["write_bypass"] == 1024
    assert counters["write_fills"] == 1024 and counters["fill_bytes"] == 4 * MIB
    fio.run(vm, v.path, rw="randread", bs="4k", size="8M", iodepth=8)
    counters = v.counters()
    assert (counters["read_hits"], counters["read_misses"]) == (1024, 1024), counters
    # A fill is dropped when the home of a neighbour is just being written.
    deadline = time.monotonic() + 20 * vm.factor
    while (now := v.counters())["read_fills"] + now["fills_dropped"] < 1024 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert now["read_fills"] + now["fills_dropped"] == 1024 and now["read_fills"] > 512, now
    fio.run(vm, v.path, rw="randread", bs="512", size="8M", io_size="512k", iodepth=8)
    counters = v.counters()
    assert counters["read_hits"] + counters["read_misses"] == 3072, counters
    assert counters["read_hits"] > 1024 + 512, counters
    assert counters["fill_bytes"] == (1024 + counters["read_fills"]) * PAGE
    used = sum(counters[f"frames_{kind}"] for kind in ("free", "clean", "dirty", "lost", "retired"))
    assert counters["frames_total"] - 64 <= used <= counters["frames_total"]
    assert counters["frames_clean"] + counters["frames_dirty"] == 1024 + counters["read_fills"]
    v.flush()  # two looks have to show the same
    status = v.status()
    assert status["hit_ratio"]["read"] == pytest.approx(counters["read_hits"] / 3072)
    assert status["size_bytes"] == 96 * MIB and status["name"] == "v0" and status["state"] == "rw"
    assert status["latency_us"]["read_hit"]["p50"] > 0
    assert all(status[name] == value for name, value in v.counters().items() if name in status)


@MACHINE
def test_metadata_and_memory_stay_in_budget(vm: VM) -> None:
    v = volume.make(vm)
    counters = v.counters()
    assert counters["metadata_bytes"] <= 16 * MIB * 0.005
    # test_budgets.py holds larger ones to the 28 bytes alone.
    assert counters["dram_bytes"] <= 28 * counters["frames_total"] + SAMPLES_BYTES


@MACHINE
def test_cold_reads_fill_and_evict(vm: VM, rng: random.Random) -> None:
    vm.run("dd if=/dev/urandom of=/dev/vda bs=1M count=64 status=none && sync")
    v = volume.make(vm, "--force")
    contents = v.sha256(v.capacity)
    fio.run(
        vm, v.path, rw="randread", bsrange="4k-64k", size="64M", iodepth=16, randseed=rng.randrange(1 << 30)
    )
    counters = v.counters()
    assert (
        counters["read_fills"] > 4000 and counters["evictions"] > 0 and counters["writeback_bytes"] == 0
    ), counters
    assert v.sha256() == contents
    v.close()
    v.check()


@MACHINE
def test_flushed_volume_is_the_disk(vm: VM, rng: random.Random) -> None:
    v = volume.make(vm)
    fio.run(
        vm,
        v.path,
        rw="randwrite",
        bssplit=fio.MIXED_SIZES,
        size="64M",
        iodepth=16,
        randseed=rng.randrange(1 << 30),
    )
    _settle(v)


@MACHINE
def test_adopts_a_file_system_in_place(vm: VM) -> None:
    vm.run(
        "mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt/test && cp -r /usr/lib/python3 /usr/sbin /mnt/test/ &&"
        "cd /mnt/test && find . -type f -exec sha256sum {} + > /root/sums && cd / && umount /mnt/test"
    )
    v = volume.make(vm, "--adopt")
    vm.run(
        f"mount {v.path} /mnt/test && cd /mnt/test && sha256sum --quiet -c /root/sums && "
        "cp -r sbin copy && sync"
    )
    vm.run("cd / && umount /mnt/test")
    v.close()
    v.open()
    vm.run(f"e2fsck -fn {v.path}")
    v.flush()
    v.close()
    vm.run(
        "e2fsck -fn /dev/vda && mount -o ro /dev/vda /mnt/test && cd /mnt/test && "
        "sha256sum --quiet -c /root/sums && diff -r sbin copy"
    )


@MACHINE
def test_discard_reads_zeroes(vm: VM) -> None:
    v = Volume(vm).format()
    lower.leave_dirty(v, 1024)
    v.open()
    assert v.counters()["frames_dirty"] > 0
    for first, pages in ((0, 1), (3, 1), (10, 300), (1000, 100), (20000, 256)):
        vm.run(
            f"dd if=/dev/urandom of={v.path} bs=4K seek={first} count={min(pages, 32)} oflag=direct"
        )
        vm.run(f"blkdiscard -o {first * PAGE} -l {pages * PAGE} {v.path}")
        _same(vm, v.path, "/dev/zero", pages * PAGE, first * PAGE)
    resident = v.counters()
    assert resident["frames_dirty"] + resident["frames_clean"] < 1024
    _settle(v)
    _same(vm, v.capacity, "/dev/zero", 300 * PAGE, 10 * PAGE)


@MACHINE
def test_write_zeroes_is_exact(vm: VM) -> None:
    v = Volume(vm).format()
    lower.leave_dirty(v, 512)
    v.open()
    vm.run(f"dd if={v.path} of=/tmp/model bs=1M count=2 status=none")
    # Whole pages, parts of pages, across pages.
    for first, sectors in ((0, 8), (17, 1), (25, 30), (803, 700), (4000, 96)):
        vm.run(f"blkdiscard -z -o {first * 512} -l {sectors * 512} {v.path}")
        vm.run(f"dd if=/dev/zero of=/tmp/model bs=512 seek={first} count={sectors} conv=notrunc status=none")
        _same(vm, v.path, "/tmp/model", 2 * MIB)
    _settle(v)
    _same(vm, v.capacity, "/tmp/model", 2 * MIB)


@MACHINE
def test_discard_under_load(vm: VM, rng: random.Random) -> None:
    v = volume.make(vm)
    load = fio.start(vm, v.path, **fio.verify_options(rng.randrange(1 << 30), "32M", loops=2))
    while load.poll() is None:
        fio.run(vm, v.path, rw="randwrite", bs="4k", offset="32M", size="2M", iodepth=8)
        vm.run(f"blkdiscard -o {32 * MIB} -l {32 * MIB} {v.path}")
    fio.end(load)
    _same(vm, v.path, "/dev/zero", 32 * MIB, 32 * MIB)
    _settle(v)


@MACHINE
@pytest.mark.parametrize("flag", ["sync=1", "fsync=1", "fdatasync=1", "sync=dsync"])
def test_durable_writes(vm: VM, flag: str) -> None:
    """FUA and FLUSH: on what is resident nothing reaches the disk, around the fast tier everything does."""
    v = volume.make(vm)
    name, _, value = flag.partition("=")
    durable: dict[str, Any] = {name: value}
    fio.run(vm, v.path, ioengine="psync", rw="randwrite", bs="4k", size="8M", io_size="1M", **durable)
    fast = v.counters()
    assert fast["write_fills"] == 256 and fast["flushes_passed"] == 0, fast
    v.set_options("admission none")
    fio.run(
        vm,
        v.path,
        ioengine="psync",
        rw="randwrite",
        bs="4k",
        offset="32M",
        size="8M",
        io_size="256k",
        **durable,
    )
    slow = v.counters()
    assert slow["write_bypass"] == 64, slow
    assert slow["flushes_passed"] > 0 or "sync" == name, slow
    _settle(v)


@MACHINE
@pytest.mark.parametrize("kind", ["read", "write"])
def test_nowait_answers_or_says_again(vm: VM, kind: str) -> None:
    v = volume.make(vm)
    vm.run(f"dd if=/dev/urandom of={v.path} bs=64K count=32 oflag=direct status=none")
    result = vm.run(f"python3 /root/tests/nowait.py {v.path} {kind}")
    done, again = map(int, result.stdout.split())
    # A resident page needs no waiting.
    assert done > again, result.stdout


@MACHINE
def test_io_uring_verifies(vm: VM, rng: random.Random) -> None:
    v = volume.make(vm)
    fio.run(vm, v.path, **fio.verify_options(rng.randrange(1 << 30), "32M", ioengine="io_uring"))
    fio.run(
        vm,
        v.path,
        rw="randread",
        bs="4k",
        size="32M",
        io_size="8M",
        ioengine="io_uring",
        iodepth=16,
        nowait=1,
    )
    _settle(v)


@MACHINE
@pytest.mark.parametrize("odd_sectors", [1, 7])
def test_tail_of_an_odd_disk(vm: VM, odd_sectors: int) -> None:
    """A disk that is no multiple of 4 KiB keeps its tail, served by the disk."""
    v = Volume(vm).format()
    sectors = 64 * 2048 + odd_sectors
    below = lower.below(v, sectors)
    vm.run(
        f"python3 /root/tests/superblock.py {v.fast} volume_sectors {sectors} && "
        f"python3 /root/tests/superblock.py {v.fast} tier_sectors {sectors}"
    )
    below.open(v, "admission all")
    assert vm.run(f"blockdev --getsz {v.path}").stdout.strip() == str(sectors)
    end = sectors * 512 - 3 * PAGE
    for length in (512, odd_sectors * 512 + PAGE, odd_sectors * 512 + 2 * PAGE):
        first = sectors * 512 - length
        vm.run(
            f"dd if=/dev/urandom of=/tmp/piece bs=512 count={length // 512} status=none && "
            f"dd if=/tmp/piece of={v.path} bs={length} oflag=direct,seek_bytes seek={first} status=none && "
            f"dd if={v.path} of=/tmp/back bs={length} iflag=direct,skip_bytes skip={first} status=none && "
            f"cmp /tmp/piece /tmp/back"
        )
    vm.run(f"blkdiscard -z -o {end} -l {3 * PAGE} {v.path}")
    _same(vm, v.path, "/dev/zero", 3 * PAGE, end)
    vm.run(f"dmsetup message {v.name} 0 flush && dmsetup remove {v.name}")
    below.remove()


@pytest.mark.vm(nvdimm="16M", disks="96M,iops=300")
@pytest.mark.limit(90)
@pytest.mark.not_on_debug("it writes no faster than the slow disk takes it")
def test_full_of_dirty_on_a_slow_disk(vm: VM) -> None:
    """Writes faster than the disk takes them get slower when the fast tier is full; they never stop."""
    v = volume.make(vm)
    v.set_options("admission all")
    fio.run(
        vm,
        v.path,
        rw="randwrite",
        bs="4k",
        size="64M",
        io_size="24M",
        iodepth=16,
        timeout=60,
        verify="crc32c",
        do_verify=0,
    )
    counters = v.counters()
    assert counters["write_fills"] + counters["write_hits"] + counters["write_bypass"] == 24 * 256, counters
    assert counters["write_bypass"] > 0, "the fast tier did not become full"
    # Overwriting what is resident needs frames too.
    fio.run(vm, v.path, rw="randwrite", bs="4k", size="8M", iodepth=16, timeout=60)
    v.close()
    v.check()


@pytest.mark.vm(nvdimm="16M", disks="96M,iops=300,bps=2M")
@pytest.mark.not_on_debug("it writes no faster than the slow disk takes it")
def test_overwrites_share_few_frames(vm: VM) -> None:
    """More writers than free frames: who waits for one and finds it taken by others waits again."""
    v = volume.make(vm)
    v.set_options("admission all dirty_high 95 dirty_low 90")
    vm.run(f"dd if=/dev/urandom of={v.path} bs=64K count=320 oflag=direct status=none")
    assert v.counters()["write_bypass"] > 0, "the fast tier did not become full"
    before = v.counters()["parked"]
    # Only what is resident: each write takes a frame and gives one back some time later.
    writers: dict[str, Any] = {"numjobs": 4, "iodepth": 64, "time_based": True, "runtime": 4}
    fio.run(vm, v.path, rw="randwrite", bs="4k", size="12M", **writers)
    assert v.counters()["parked"] > before + 100, "frames were not scarce"
    v.close()
    v.check()


@pytest.mark.vm(nvdimm="16M", disks="96M", append="virtio_blk.poll_queues=1")
def test_polled_requests_do_not_wait_for_their_submitter(vm: VM, rng: random.Random) -> None:
    """Who submits polled writes and does not poll must not keep write-back, and others behind it, waiting."""
    assert vm.run("cat /sys/block/vda/queue/io_poll").stdout.strip() == "1"
    v = volume.make(vm)
    polled = "--ioengine=io_uring --hipri --direct=1 --iodepth=8"
    verify = f"--verify=crc32c --size=16M --randseed={rng.randrange(1 << 30)}"
    mixed = "--rw=randrw --bsrange=4k-256k"
    command = f"fio --name=verify --filename={v.path} {mixed} {polled} {verify}"
    first = vm.run(command, timeout=60, check=False)
    if "Operation not supported" in first.stderr:
        # Newer kernels refuse what a queue does not offer before the volume sees it.
        queue = f"/sys/block/dm-$(dmsetup info -c --noheadings -o minor {v.name})/queue"
        assert vm.run(f"cat {queue}/io_poll").stdout.strip() == "0"
        return
    assert first.status == 0, first.stderr
    load = "--rw=write --bs=256k --time_based --runtime=600"
    stopped = vm.spawn(f"exec fio --name=stopped --filename={v.path} {load} {polled}")
    v.wait_for("write_bypass", 2000)
    vm.run("pkill -STOP fio")
    for _ in range(3):
        vm.run(f"dd if=/dev/urandom of={v.path} bs=4K count=2000 oflag=direct status=none", timeout=30)
        v.flush()
    vm.run("pkill -CONT fio; pkill fio")
    stopped.wait(timeout=30, check=False)
    v.close()
