# SPDX-License-Identifier: GPL-2.0-or-later
"""What every peer has to do, and the figures that come of it.

A workload gets a peer that was just set up over an empty slow tier. Figures are named after their unit:
`_us` microseconds of the guest's clock (thousands of instructions), `_iops` operations a second, `_mbps`
millions of bytes a second, `_bytes`, `_s`.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bench import load
from tests.bench.peers import Peer
from tests.bench.rig import Rig

MIB = 1 << 20
HOT = "64M"
SETTLE_SECONDS = 10
ZIPF_SECONDS = 110
JUMP_SECONDS = (40, 60)
BURST_IDLE_SECONDS = 45
SAME_RATE = 0.9
MOUNT = "/mnt/bench"
GROUP = "/sys/fs/cgroup/bench"
MAPPED_UP = f"""\
set -e
mkfs.ext4 -q -E nodiscard {{device}}
mkdir -p {MOUNT}
mount {{device}} {MOUNT}
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir {GROUP}
echo 128M >{GROUP}/memory.max
fio --name=lay --filename={MOUNT}/file --rw=write --bs=1M --size=1G --end_fsync=1 >/dev/null
echo 3 >/proc/sys/vm/drop_caches
"""


@dataclass
class Figures:
    """What a workload measured."""

    value: dict[str, float] = field(default_factory=dict)
    series: dict[str, list[float]] = field(default_factory=dict)


Measure = Callable[[Rig, str], Figures]


@dataclass(frozen=True)
class Workload:
    """One of them: for every peer that holds data of a slow tier (unless not `cached`), and for `peers`."""

    name: str
    title: str
    measure: Measure
    cache_mib: int = 0  # of the slow tier, volatile
    peers: tuple[str, ...] = ()
    cached: bool = True

    def concerns(self, peer: Peer) -> bool:
        """Whether it has a meaning for `peer`."""
        return peer.name in self.peers or (self.cached and peer.cached)


def _warm(rig: Rig, device: str, size: str) -> None:
    """Make a set hot: written in no order, in pieces that no peer takes for large, and read a few times."""
    load.run(rig.vm, device, rw="randwrite", bs="16k", size=size, iodepth=4, norandommap=0)
    load.run(rig.vm, device, rw="randread", bs="4k", size=size, iodepth=4, loops=3, norandommap=0)
    rig.idle(SETTLE_SECONDS)


def read_hits(rig: Rig, device: str) -> Figures:
    """Random reads of 4 KiB that the fast tier serves."""
    _warm(rig, device, HOT)
    found = Figures()
    reads = {"rw": "randread", "bs": "4k", "size": HOT, "io_size": "32M"}
    before = rig.traffic()
    psync = load.run(rig.vm, device, ioengine="psync", **reads)
    uring = load.run(rig.vm, device, ioengine="io_uring", iodepth=1, **reads)
    deep = load.run(rig.vm, device, ioengine="libaio", iodepth=16, **{**reads, "io_size": "256M"})
    found.value = {
        "psync_p50_us": psync.p50_us("read"),
        "psync_mean_us": psync.mean_us("read"),
        "uring_mean_us": uring.mean_us("read"),
        "uring_p50_us": uring.p50_us("read"),
        "qd16_iops": deep.iops(),
        "slow_reads": rig.traffic().since(before).reads,
    }
    return found


def durable_writes(rig: Rig, device: str) -> Figures:
    """Random writes of 4 KiB, an fdatasync after each."""
    _warm(rig, device, HOT)
    before = rig.traffic()
    job = load.run(
        rig.vm, device, ioengine="psync", rw="randwrite", bs="4k", size=HOT, io_size="32M", fdatasync=1
    )
    return Figures(
        {
            "write_p50_us": job.p50_us("write"),
            "sync_mean_us": job.sync_us(),
            "write_and_sync_us": job.p50_us("write") + job.sync_us(),
            "iops": job.iops(),
            "slow_flushes": rig.traffic().since(before).flushes,
        }
    )


def fills(rig: Rig, device: str) -> Figures:
    """Random reads of 4 KiB that miss: what it costs, beyond the slow device, to take them in."""
    job = load.run(rig.vm, device, ioengine="psync", rw="randread", bs="4k", size="256M", io_size="8M")
    return Figures({"mean_us": job.mean_us("read"), "p50_us": job.p50_us("read")})


def zipf(rig: Rig, device: str) -> Figures:
    """A skewed set four times the fast tier, from cold."""
    before = rig.traffic()
    job, series = load.run_with_series(
        rig.vm,
        device,
        rw="randrw",
        rwmixread=70,
        bs="4k",
        iodepth=16,
        size="2G",
        random_distribution="zipf:1.1",
        time_based=1,
        runtime=ZIPF_SECONDS,
    )
    last = series[-60:]
    traffic = rig.traffic().since(before)
    return Figures(
        {
            "mean_iops": job.iops(),
            "last_minute_iops": sum(last) / len(last),
            "worst_second_iops": min(last),
            "slow_read_bytes": traffic.read_bytes,
            "slow_write_bytes": traffic.write_bytes,
        },
        {"iops": series},
    )


def jump(rig: Rig, device: str) -> Figures:
    """A hot set that moves to another place."""
    hot = {
        "rw": "randrw",
        "rwmixread": 90,
        "bs": "4k",
        "iodepth": 16,
        "size": "384M",
        "thinktime": 50000,
        "thinktime_blocks": 400,
        "time_based": 1,
    }
    _, before = load.run_with_series(rig.vm, device, offset="0", runtime=JUMP_SECONDS[0], **hot)
    traffic = rig.traffic()
    _, after = load.run_with_series(rig.vm, device, offset="2G", runtime=JUMP_SECONDS[1], **hot)
    old_rate = max(sum(before[-8:]) / 8, 1.0)
    back = next((second for second, rate in enumerate(after, 1) if rate >= SAME_RATE * old_rate), None)
    moved = rig.traffic().since(traffic)
    value = {
        "old_iops": old_rate,
        "slow_write_bytes": float(moved.write_bytes),
        "slow_read_bytes": float(moved.read_bytes),
    }
    # A rate that was low before the jump comes back at once: what was reached counts too.
    value["back_s"] = float(back) if back is not None else float("inf")
    return Figures(value, {"iops": before + after})


def scan(rig: Rig, device: str) -> Figures:
    """Reads of a hot set that nearly fills the fast tier, while all is read from front to back."""
    size = "440M"
    _warm(rig, device, size)
    hot = {
        "ioengine": "psync",
        "rw": "randread",
        "bs": "4k",
        "size": size,
        "thinktime": 40000,
        "thinktime_blocks": 80,
        "time_based": 1,
    }
    quiet = load.run(rig.vm, device, runtime=10, **hot)
    reader = load.start(rig.vm, device, rw="read", bs="1M", iodepth=4, norandommap=0)
    during = load.run(rig.vm, device, runtime=18, **hot)
    scanned = load.end(reader)
    after = load.run(rig.vm, device, runtime=10, **hot)
    return Figures(
        {
            "quiet_p50_us": quiet.p50_us("read"),
            "scan_p50_us": during.p50_us("read"),
            "after_p50_us": after.p50_us("read"),
            "quiet_mean_us": quiet.mean_us("read"),
            "scan_mean_us": during.mean_us("read"),
            "after_mean_us": after.mean_us("read"),
            "scan_mbps": scanned.mbps(),
        }
    )


def burst(rig: Rig, device: str) -> Figures:
    """A burst of random writes, then silence in which it should go home."""
    before = rig.traffic()
    job = load.run(rig.vm, device, rw="randwrite", bs="4k", iodepth=16, size="1G", io_size="256M",
                   norandommap=0)  # each page once: what is written is what has to go home
    written = float(job.report["write"]["io_bytes"])
    at_once = rig.traffic().since(before).write_bytes
    rig.idle(BURST_IDLE_SECONDS)
    drained = rig.traffic().since(before).write_bytes
    return Figures(
        {
            "iops": job.iops(),
            "p99_us": job.p99_us("write"),
            "slow_bytes_at_end": at_once,
            "slow_bytes_later": drained,
            "written_bytes": written,
        }
    )


def sequential(rig: Rig, device: str) -> Figures:
    """Streams of 1 MiB: hot, cold, and a burst into an idle volume."""
    stream = {"bs": "1M", "iodepth": 4}
    burst_write = load.run(rig.vm, device, rw="write", offset="1G", size="128M", **stream)
    rig.idle(SETTLE_SECONDS)
    _warm(rig, device, "128M")
    hot = load.run(rig.vm, device, rw="read", size="128M", **stream)
    cold = load.run(rig.vm, device, rw="read", offset="2G", size="512M", **stream)
    long_write = load.run(rig.vm, device, rw="write", offset="3G", size="1G", **stream)
    return Figures(
        {
            "hot_read_mbps": hot.mbps(),
            "cold_read_mbps": cold.mbps(),
            "long_write_mbps": long_write.mbps(),
            "burst_write_mbps": burst_write.mbps(),
        }
    )


def raw_sequential(rig: Rig, device: str) -> Figures:
    """The same figures of a device that has but one kind of memory."""
    stream = {"bs": "1M", "iodepth": 4}
    read = load.run(rig.vm, device, rw="read", size="256M", **stream).mbps()
    write = load.run(rig.vm, device, rw="write", size="256M", **stream).mbps()
    return Figures(
        {"hot_read_mbps": read, "cold_read_mbps": read, "long_write_mbps": write, "burst_write_mbps": write}
    )


def mapped_file(rig: Rig, device: str) -> Figures:
    """Loads and stores on a file of 1 GiB, with 128 MiB of page cache: 90 % on a quarter of it."""
    access = {
        "ioengine": "mmap",
        "direct": 0,
        "rw": "randrw",
        "rwmixread": 70,
        "bs": "64",
        "size": "1G",
        "number_ios": 20000,
        "random_distribution": "zoned:90/25:10/75",
    }
    rig.shell(MAPPED_UP.format(device=device))
    try:
        jobs = [load.run_in_group(rig.vm, GROUP, f"{MOUNT}/file", **access) for _ in range(3)]
        return Figures({"first_iops": jobs[0].iops(), "iops": jobs[-1].iops()})
    finally:
        rig.shell(f"umount {MOUNT}; rmdir {GROUP}")


PEERS_BELOW = ("pmem", "linear")
EVERYTHING = (
    Workload("hits", "4 KiB random reads that hit", read_hits, peers=PEERS_BELOW),
    Workload("durable", "4 KiB random writes, each with fdatasync", durable_writes, peers=PEERS_BELOW),
    Workload(
        "flushed",
        "the same, when a FLUSH of the slow device costs an operation",
        durable_writes,
        cache_mib=64,
    ),
    Workload("fills", "4 KiB random reads that miss", fills, peers=("slow",)),
    Workload("sequential", "streams of 1 MiB", sequential),
    Workload(
        "streams", "streams of 1 MiB, devices below", raw_sequential, peers=("pmem", "slow"), cached=False
    ),
    Workload("burst", "a burst of 256 MiB of random writes", burst),
    Workload("scan", "hot reads beside a full scan", scan),
    Workload("jump", "a hot set that moves", jump),
    Workload("zipf", "zipf 1.1, 70:30, four times the fast tier", zipf),
    Workload("mapped", "a mapped file on ext4, 128 MiB of memory", mapped_file),
)
BY_NAME = {workload.name: workload for workload in EVERYTHING}


def chosen(names: str | None) -> tuple[Workload, ...]:
    """The workloads of `names` (commas between them), or all."""
    if not names:
        return EVERYTHING
    wanted = names.split(",")
    unknown = [name for name in wanted if name not in BY_NAME]
    if unknown:
        raise ValueError(f"there is no workload {unknown[0]}: give some of {', '.join(BY_NAME)}")
    return tuple(workload for workload in EVERYTHING if workload.name in wanted)
