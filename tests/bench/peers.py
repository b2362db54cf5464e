# SPDX-License-Identifier: GPL-2.0-or-later
"""What is compared: the volume, its neighbours, and the devices below them.

Each is set up as its own documentation advises for a write-back cache of one device over another.
"""
from __future__ import annotations

from dataclasses import dataclass

from tests.bench.rig import FAST, SLOW, Rig

META_SECTORS = 32768  # of the persistent memory, for dm-cache's metadata
OURS = "tiered"


@dataclass(frozen=True)
class Peer:
    """One of them, as the shell sets it up."""

    name: str
    title: str
    device: str
    up: str = ""
    down: str = ""
    extra: bool = False  # only with FULL=1
    cached: bool = True  # holds data of the slow tier in the fast one

    def start(self, rig: Rig) -> str:
        """Set it up over an empty slow tier; its block device."""
        rig.shell(f"set -e\ndd if=/dev/zero of={FAST} bs=1M count=16 oflag=direct status=none\n{self.up}")
        return self.device

    def stop(self, rig: Rig) -> None:
        """Take it down."""
        if self.down:
            rig.shell(f"set -e\n{self.down}")


def _dm_cache(name: str, title: str, block_sectors: int, mode: str, extra: bool) -> Peer:
    up = f"""\
modprobe dm-cache
modprobe dm-cache-smq
fast=$(blockdev --getsz {FAST})
dmsetup create meta --table "0 {META_SECTORS} linear {FAST} 0"
dmsetup create data --table "0 $((fast - {META_SECTORS})) linear {FAST} {META_SECTORS}"
dmsetup create tier --table "0 $(blockdev --getsz {SLOW}) cache /dev/mapper/meta /dev/mapper/data {SLOW} \
{block_sectors} {mode} smq 0"
"""
    return Peer(
        name,
        title,
        "/dev/mapper/tier",
        up,
        "dmsetup remove tier\ndmsetup remove data\ndmsetup remove meta",
        extra,
    )


def _bcache(name: str, title: str, settings: str, extra: bool) -> Peer:
    up = f"""\
modprobe bcache
make-bcache --writeback --wipe-bcache -b 512k -w 4k -B {SLOW} -C {FAST} >/dev/null
for device in {FAST} {SLOW}; do echo $device >/sys/fs/bcache/register; done
until test -b /dev/bcache0; do sleep 0.1; done
cd /sys/block/bcache0/bcache
test "$(cat state)" != 'no cache'
{settings}
"""
    down = """\
set=$(basename "$(readlink -f /sys/block/bcache0/bcache/cache)")
echo 1 >/sys/block/bcache0/bcache/stop
echo 1 >"/sys/fs/bcache/$set/stop"
while test -e /sys/block/bcache0 || test -e "/sys/fs/bcache/$set"; do sleep 0.1; done
"""
    return Peer(name, title, "/dev/bcache0", up, down, extra)


PEERS = (
    Peer("pmem", "persistent memory", FAST, cached=False),
    Peer(
        "linear",
        "dm-linear on persistent memory",
        "/dev/mapper/tier",
        f'dmsetup create tier --table "0 $(blockdev --getsz {FAST}) linear {FAST} 0"',
        "dmsetup remove tier",
        cached=False,
    ),
    Peer("slow", "slow device", SLOW, cached=False),
    Peer(
        OURS,
        "tiered",
        "/dev/mapper/tier",
        "modprobe dm-tiered\n"
        f"tierctl format tier --force --fast {FAST} {SLOW} >/dev/null\n"
        f"tierctl open tier --capacity {SLOW} >/dev/null",
        "tierctl close tier >/dev/null",
    ),
    Peer(
        "writecache",
        "dm-writecache",
        "/dev/mapper/tier",
        f"modprobe dm-writecache\n"
        f'dmsetup create tier --table "0 $(blockdev --getsz {SLOW}) writecache p {SLOW} {FAST} 4096 0"',
        "dmsetup remove tier",
    ),
    _dm_cache("cache64", "dm-cache, 64 KiB", 128, "2 metadata2 writeback", False),
    _dm_cache("cache256", "dm-cache, 256 KiB", 512, "2 metadata2 writeback", True),
    _dm_cache("cachewt", "dm-cache, 64 KiB, write-through", 128, "1 writethrough", True),
    _bcache("bcache", "bcache", "", False),
    _bcache(
        "bcache0",
        "bcache, no sequential cut-off",
        "echo 0 >sequential_cutoff\n"
        "for limit in cache/congested_*_threshold_us; do echo 0 >$limit; done",
        True,
    ),
)
BY_NAME = {peer.name: peer for peer in PEERS}


def chosen(names: str | None, full: bool) -> tuple[Peer, ...]:
    """The peers of `names` (with commas between them; 'all' for all), or the usual ones."""
    if names in (None, ""):
        return tuple(peer for peer in PEERS if full or not peer.extra)
    if names == "all":
        return PEERS
    wanted = str(names).split(",")
    unknown = [name for name in wanted if name not in BY_NAME]
    if unknown:
        raise ValueError(f"there is no peer {unknown[0]}: give some of {', '.join(BY_NAME)}, or all")
    return tuple(peer for peer in PEERS if peer.name in wanted)
