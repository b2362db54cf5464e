# SPDX-License-Identifier: GPL-2.0-or-later
"""What large fast tiers cost, on paper: python3 -m tests.bench.scale.

Sizes of structures and tables come out of the driver's own sources: what the core computes is computed by the
core, compiled for this host, and what only the kernel compiles is read from its headers. What no source can
tell (what a cache miss takes, how fast a disk is) stands under "Assumed".
"""
from __future__ import annotations

import ctypes
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.budgets import INSTRUCTIONS_A_FRAME
from tests.bench.rig import TIERS

DRIVER = Path(__file__).resolve().parents[2] / "driver"
README = Path(__file__).resolve().with_name("README.md")
MARKS = ("<!-- scale: python3 -m tests.bench.scale --write -->", "<!-- end of scale -->")
KIB, MIB, GIB, TIB = (1 << shift for shift in (10, 20, 30, 40))
FAST_TIERS = (128 * GIB, 3 * TIB // 2, 12 * TIB)
DISKS = 100 * TIB
WIDTH = 120

# ---- Assumed: a server of the kind that has so much persistent memory
INSTRUCTIONS_A_SECOND = 3e9
MISS_NS = 100  # a load from memory that no cache and no TLB has
LOAD_MISSES = 2  # of a frame: its page's bucket, and a frame of the chain there
LOOK_MISSES = 1  # of a frame that the index is asked about: the bucket
STREAM_BYTES_A_SECOND = 10e9  # one CPU that reads memory from front to back
DISK_BYTES = 20e12  # one of the disks
DEVICE_SECONDS = 90  # for which systemd waits for a device

CORE = (
    "superblock",
    "forecast",
    "policy",
    "policy_balance",
    "policy_regions",
    "policy_victims",
    "policy_work",
    "samples",
)
# What of the kernel the structures below need: sizes as on x86-64 without lock debugging.
STAND_INS = """\
#include <stdbool.h>
#include <stddef.h>
#include "protocol.h"
#include "policy.h"
#include "samples.h"
typedef struct { int v; } spinlock_t;
typedef struct { int v; } atomic_t;
u32 tiered_crc32c(u32 crc, const void *data, size_t bytes) { (void)data; return crc + bytes; }
"""


class _Geometry(ctypes.Structure):
    _fields_ = [
        ("frames_total", ctypes.c_uint64),
        ("words_offset_bytes", ctypes.c_uint64),
        ("shadow_offset_bytes", ctypes.c_uint64),
        ("frames_offset_bytes", ctypes.c_uint64),
    ]


def _found(pattern: str, name: str) -> str:
    """What a pattern's group is in a file of the driver."""
    match = re.search(pattern, (DRIVER / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if match is None:
        raise ValueError(f"driver/{name} has no {pattern!r} any more: bring tests/bench/scale.py up to date")
    return match.group(1)


def constant(name: str, file: str) -> int:
    """A #define that is a product of numbers."""
    product = 1
    for factor in re.sub(r"[()]", "", _found(rf"^#define {name} ([^/\n]+)", file)).split("*"):
        product *= int(re.sub(r"[uUlL]+$", "", factor.strip()), 0)
    return product


class Driver:
    """The driver's sizes."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            source, library = Path(scratch) / "sizes.c", Path(scratch) / "core.so"
            source.write_text(STAND_INS + "".join(_sizes()), encoding="ascii")
            command = [
                "gcc",
                "-std=gnu11",
                "-shared",
                "-fPIC",
                "-O1",
                f"-I{DRIVER / 'core'}",
                "-o",
                str(library),
            ]
            sources = [str(source), *(str(DRIVER / "core" / f"{name}.c") for name in CORE)]
            subprocess.run([*command, *sources], check=True)
            self._core = ctypes.CDLL(str(library))
        self._core.tiered_policy_bytes.restype = ctypes.c_size_t
        self._core.tiered_sample_ring_bytes.restype = ctypes.c_size_t
        self.page = constant("TIERED_FRAME_BYTES", "core/format.h")
        self.extent = constant("TIERED_EXTENT_BYTES", "core/format.h")

    def _size(self, name: str) -> int:
        return ctypes.c_size_t.in_dll(self._core, name).value

    def geometry(self, fast_bytes: int) -> tuple[int, int]:
        """The frames of a fast tier, and what comes before them."""
        found = _Geometry()
        if self._core.tiered_geometry_compute(ctypes.c_uint64(fast_bytes), ctypes.byref(found)):
            raise ValueError(f"no volume can have a fast tier of {fast_bytes} bytes")
        return int(found.frames_total), int(found.frames_offset_bytes)

    def index_bytes(self, frames: int) -> int:
        """The tables of frames.c."""
        buckets = max(1 << frames.bit_length() - 1, 64)
        least, most = map(
            int, re.findall(r"(\d+)u", _found(r"stripes = clamp\(buckets / 16, ([^)]*)\)", "frames.c"))
        )
        stripes = min(max(buckets // 16, least), most)
        a_frame = self._size("frame_bytes") + self._size("reference_bytes")
        return frames * a_frame + buckets * self._size("bucket_bytes") + stripes * self._size("stripe_bytes")

    def frame_record_bytes(self) -> int:
        """What a walk over all frames reads of each."""
        return self._size("frame_bytes")

    def why_entries(self, frames: int, disk_bytes: int) -> int:
        """The table of why.c."""
        least, most = (
            int(_found(rf"^#define {name} (\d+)ul", "why.c")) for name in ("ENTRIES_MIN", "ENTRIES_MAX")
        )
        extents = -(-disk_bytes // self.extent)
        most = min(max(1 << (frames // 4 + 1).bit_length() - 1, least), most)
        return most if extents >= most else max(1 << (extents - 1).bit_length(), least)

    def dram_bytes(self, frames: int, disk_bytes: int) -> int:
        """Of a volume without thrift, but for what each CPU has."""
        entry = self._size("why_bytes")
        return (
            self.index_bytes(frames)
            + self.why_entries(frames, disk_bytes) * entry
            + self.sample_bytes(frames)
        )

    def sample_bytes(self, frames: int) -> int:
        """The ring of one CPU; several share as much, unless each of them had too little or too much."""
        entries = self._core.tiered_sample_entries(ctypes.c_uint32(frames), ctypes.c_uint32(1))
        return int(self._core.tiered_sample_ring_bytes(ctypes.c_uint32(entries)))

    def policy_bytes(self, frames: int) -> int:
        """What thrift adds."""
        return int(self._core.tiered_policy_bytes(ctypes.c_uint32(frames)))


def _sizes() -> Sequence[str]:
    """C that tells the sizes of what lies in headers that only the kernel compiles."""
    frame, stripe = (
        _found(rf"^(struct {name} \{{.*?^\}};)", "frames.h") for name in ("tiered_frame", "tiered_stripe")
    )
    types = {
        "frame_bytes": "struct tiered_frame",
        "stripe_bytes": "struct tiered_stripe",
        "reference_bytes": _found(r"^\t(\w+) \*referenced;", "frames.h"),
        "bucket_bytes": _found(r"^\t(\w+) \*bucket;", "frames.h"),
        "why_bytes": _found(r"^\t(\w+) \*entry;", "why.h"),
    }
    return [
        frame,
        "\n",
        stripe,
        "\n",
        *(f"const size_t {name} = sizeof({kind});\n" for name, kind in types.items()),
    ]


# ---- a machine --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """A fast tier over disks, reckoned."""

    driver: Driver
    fast_bytes: int
    disk_bytes: int = DISKS

    @property
    def frames(self) -> int:
        """Frames of the fast tier."""
        return self.driver.geometry(self.fast_bytes)[0]

    @property
    def metadata_bytes(self) -> int:
        """Superblocks and words."""
        return self.driver.geometry(self.fast_bytes)[1]

    @property
    def dram_bytes(self) -> int:
        """Memory without thrift."""
        return self.driver.dram_bytes(self.frames, self.disk_bytes)

    @property
    def thrift_bytes(self) -> int:
        """Memory that thrift adds."""
        return self.driver.policy_bytes(self.frames)

    @property
    def load_instructions(self) -> int:
        """Instructions to open it, at most."""
        return self.frames * INSTRUCTIONS_A_FRAME

    @property
    def load_seconds(self) -> float:
        """Time to open it, on the one CPU that does it."""
        return self.load_instructions / INSTRUCTIONS_A_SECOND + self.frames * LOAD_MISSES * MISS_NS / 1e9

    @property
    def walk_seconds(self) -> float:
        """Time to look at the record of every frame: to find what is dirty when hardly anything is."""
        return self.frames * self.driver.frame_record_bytes() / STREAM_BYTES_A_SECOND

    @property
    def heat_seconds(self) -> float:
        """Time of `tierctl heat` where something of everywhere is resident: a reply counts a window of
        extents, and looks at all frames twice for it, for the next window and to count."""
        window = constant("HEAT_EXTENTS", "status.c") * self.driver.extent
        return (
            -(-self.disk_bytes // window)
            * 2
            * (self.walk_seconds + self.frames * LOOK_MISSES * MISS_NS / 1e9)
        )

    @property
    def extents_a_why(self) -> float:
        """Extents that share an entry of the table that knows why."""
        return self.disk_bytes / self.driver.extent / self.driver.why_entries(self.frames, self.disk_bytes)

    @property
    def dirty_pages(self) -> int:
        """Dirty pages when write-back begins."""
        return self.frames * constant("DIRTY_HIGH_PERCENT", "target.c") // 100

    @property
    def disks(self) -> int:
        """Disks that the volume's bytes take, beside each other."""
        return -(-self.disk_bytes // int(DISK_BYTES))

    @property
    def home_streaming_seconds(self) -> float:
        """Time until those are at home when they lie side by side."""
        return self.dirty_pages * self.driver.page / (self.disks * TIERS["hdd"].mbps * 1e6)

    @property
    def home_scattered_seconds(self) -> float:
        """And when each takes a seek."""
        return self.dirty_pages * TIERS["hdd"].seek_us / 1e6 / self.disks


def opened_within(driver: Driver, seconds: float) -> float:
    """The largest fast tier, in bytes, that is opened in so many seconds."""
    one = Machine(driver, TIB)
    return seconds / one.load_seconds * TIB


# ---- the text ---------------------------------------------------------------------------------


def _size(value: float) -> str:
    for name, unit in (("PiB", TIB << 10), ("TiB", TIB), ("GiB", GIB), ("MiB", MIB)):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value / KIB:.3g} KiB"


def _time(seconds: float) -> str:
    for name, unit, from_ in (("days", 86400, 2 * 86400), ("h", 3600, 2 * 3600), ("min", 60, 120)):
        if seconds >= from_:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


ROWS: tuple[tuple[str, Callable[[Machine], str]], ...] = (
    ("frames", lambda m: f"{m.frames / 1e6:,.0f} million"),
    (
        "words and superblocks on the fast tier",
        lambda m: f"{_size(m.metadata_bytes)} ({m.metadata_bytes / m.fast_bytes:.2%})",
    ),
    ("DRAM", lambda m: f"{_size(m.dram_bytes)} ({m.dram_bytes / m.frames:.1f} B a frame)"),
    (
        "DRAM that thrift adds",
        lambda m: f"{_size(m.thrift_bytes)} ({m.thrift_bytes / m.frames:.1f} B a frame)",
    ),
    ("opening it: instructions, at most", lambda m: f"{m.load_instructions / 1e9:,.0f} thousand million"),
    ("opening it: time, on its one CPU", lambda m: _time(m.load_seconds)),
    ("looking for a dirty page when there is hardly one", lambda m: _time(m.walk_seconds)),
    ("`tierctl heat`, something of everywhere being resident", lambda m: _time(m.heat_seconds)),
    ("extents that share a reason in `tierctl why`", lambda m: f"{m.extents_a_why:,.0f}"),
    ("dirty when write-back begins", lambda m: _size(m.dirty_pages * m.driver.page)),
    ("... at home, lying side by side", lambda m: _time(m.home_streaming_seconds)),
    ("... at home, a seek each", lambda m: _time(m.home_scattered_seconds)),
)


def _table(machines: Sequence[Machine]) -> str:
    head = "| | " + " | ".join(_size(machine.fast_bytes) for machine in machines) + " |\n"
    rows = "".join(f"| {name} | " + " | ".join(map(cell, machines)) + " |\n" for name, cell in ROWS)
    return head + "|---" * (len(machines) + 1) + "|\n" + rows


def _breaks(driver: Driver, machines: Sequence[Machine]) -> list[str]:
    small, middle, large = machines
    systemd = opened_within(driver, DEVICE_SECONDS)
    cpus = -(-large.load_seconds // DEVICE_SECONDS)
    walked = STREAM_BYTES_A_SECOND / driver.frame_record_bytes() * driver.page
    counters = 4 * large.disk_bytes // driver.extent
    most = constant("TIERED_FRAMES_MAX", "core/format.h") * driver.page
    return [
        (
            f"`tierctl heat`, at any of these sizes ({_time(small.heat_seconds)} at"
            f" {_size(small.fast_bytes)}): frames times windows. Counters an extent, kept where the index"
            f" changes, under the stripe's lock: {_size(counters)} for these disks, and no walk."
        ),
        (
            f"Opening, beyond {_size(systemd)}, which takes the {DEVICE_SECONDS} s that systemd waits for a"
            " device. Words of different ranges by several CPUs, under the stripes' locks: which of two"
            f" claims of a page wins is told by their versions, not by who came first. {cpus:.0f} CPUs open"
            f" {_size(large.fast_bytes)} in that time."
        ),
        (
            f"Idle write-back, which looks once a second: beyond {_size(walked)} a walk for one dirty page"
            " takes longer. A count of dirty frames for each thousand frames, so that the walk passes over"
            " those without."
        ),
        (
            f"Draining: {_time(middle.home_scattered_seconds)} of seeks at {_size(middle.fast_bytes)},"
            " because a batch is sorted and the next one begins anew. Dirty pages by their place on the"
            " disk, so that neighbours go home together however long they have been dirty; a lower"
            " `dirty_high` until then."
        ),
        (
            f"DRAM, a matter of price: {_size(large.dram_bytes)} at {_size(large.fast_bytes)}, and"
            f" {_size(large.thrift_bytes)} with thrift. `link` is used by frames that hold no page and could"
            " share the place of their page number."
        ),
        (
            f"The format, at {_size(most)}: a frame's number has 32 bits. Larger frames; the volume itself"
            f" may have {_size(most_pages() * driver.page)}."
        ),
    ]


def most_pages() -> int:
    """The most pages of a volume."""
    return 1 << int(_found(r"^#define TIERED_PAGES_MAX \(1ull << (\d+)\)", "core/format.h"))


def _assumed(disks: int) -> str:
    hdd = TIERS["hdd"]
    return (
        f"Assumed: {INSTRUCTIONS_A_SECOND / 1e9:.0f} thousand million instructions a second where memory is"
        f" near, {MISS_NS} ns for a load that no cache has ({LOAD_MISSES} for a frame that is opened,"
        f" {LOOK_MISSES} for one that is looked up), {STREAM_BYTES_A_SECOND / 1e9:.0f} GB/s for memory that"
        f" is read in order, and {disks} disks of {DISK_BYTES / 1e12:.0f} TB with {hdd.seek_us / 1000:.0f} ms"
        f" and {hdd.mbps} MB/s each. A frame is opened in at most {INSTRUCTIONS_A_FRAME} instructions"
        " (`tests/vm/test_budgets.py` holds the driver to that)."
    )


def text() -> str:
    """What stands in README.md."""
    driver = Driver()
    machines = [Machine(driver, fast) for fast in FAST_TIERS]
    wrap = textwrap.TextWrapper(WIDTH, break_long_words=False, break_on_hyphens=False)
    lines = [
        *wrap.wrap(_assumed(machines[0].disks)),
        "",
        "What breaks, the first first, and what would be done:",
        "",
    ]
    wrap.subsequent_indent = "   "
    for number, item in enumerate(_breaks(driver, machines), 1):
        lines += wrap.wrap(f"{number}. {item}")
    return _table(machines) + "\n" + "\n".join(lines) + "\n"


def placed(readme: str, new: str) -> str:
    """The README with the text between its marks."""
    before, begin, rest = readme.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not begin or not end:
        raise ValueError(
            f"{README} lacks the marks {' and '.join(MARKS)}: put them where the text should stand"
        )
    return f"{before}{begin}\n{new}{end}{after}"


def main() -> None:
    """Print it, or write it into README.md."""
    if sys.argv[1:] == ["--write"]:
        README.write_text(placed(README.read_text(encoding="utf-8"), text()), encoding="utf-8")
    else:
        print(text(), end="")


if __name__ == "__main__":
    main()
