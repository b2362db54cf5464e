# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shown of a volume at work: top on a terminal and off, the heat map's picture, metrics."""
from __future__ import annotations

import json
import signal
from xml.etree import ElementTree

import pytest
from qemu import VM

from tests.harness import exposition, volume
from tests.harness.refusal import refused
from tests.harness.volume import PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="300M")
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def _busy(vm: VM) -> Volume:
    """A volume with a few resident pages, half of them written and half read."""
    v = volume.make(vm)
    v.set_options("admission all")
    vm.run(f"dd if=/dev/urandom of={v.path} oflag=direct status=none bs={PAGE} count=500 seek=1024")
    vm.run(f"dd if={v.path} of=/dev/null iflag=direct status=none bs={PAGE} count=1000 skip=1024")
    return v


@MACHINE
def test_top_lives_on_a_terminal(vm: VM) -> None:
    _busy(vm)
    told = json.loads(vm.run("python3 /root/tests/terminal.py tierctl top v0 --interval 3600").stdout)
    assert told["status"] == 0, told
    for name, rows, columns in (("first", 24, 80), ("second", 10, 40)):
        frame = told[name].split("\x1b[H")[-1].removesuffix("\x1b[J").replace("\r", "")
        lines = [line.removesuffix("\x1b[K") for line in frame.split("\n")]
        assert lines[0].startswith("v0  rw  300.0 MiB") and len(lines) <= rows, lines
        assert max(map(len, lines)) <= columns, lines
    assert told["first"].startswith(ENTER) and told["end"].endswith(LEAVE), told
    assert "hottest at" in told["first"] and "filled_write" in told["first"], told["first"]


@MACHINE
def test_top_without_a_terminal(vm: VM) -> None:
    v = _busy(vm)
    read = f"dd if={v.path} of=/dev/null iflag=direct status=none bs={PAGE} count=100 skip=1024"
    reader = vm.spawn(f"while {read}; do :; done")
    lines = vm.run("tierctl top v0 --interval 1 --count 2 --json").stdout.splitlines()
    assert len(lines) == 2
    for told in map(json.loads, lines):
        assert told["read_pages_per_s"] > 0 and told["seconds"] >= 1, told
        assert told["hit_ratio"] == {"read": 1.0, "write": None, "all": 1.0}, told
        assert told["hottest"][0]["offset_bytes"] >= 4 << 20 and told["hottest"][0]["reason"], told
    assert vm.run("tierctl top v0 --interval 0.5 --count 1").stdout.startswith("v0: rw reads ")
    reader.signal(signal.SIGKILL)
    reader.wait(20)
    for number in (signal.SIGINT, signal.SIGTERM):
        watcher = vm.spawn("exec tierctl top v0 --interval 0.2 > /tmp/lines")
        vm.run("until [ -s /tmp/lines ]; do sleep 0.1; done; rm /tmp/lines")
        watcher.signal(number)
        assert watcher.wait(20).status == 0
    watcher = vm.spawn("tierctl top v0 --interval 0.2")
    v.close()
    result = watcher.wait(60)
    assert result.status == 1 and "the volume 'v0' is not open" in result.stderr, result
    for options in ("--interval 0", "--interval x", "--count -1"):
        refused(vm, f"tierctl top v0 {options}", "see tierctl --help")


@MACHINE
def test_heat_map_is_a_picture(vm: VM) -> None:
    v = _busy(vm)
    vm.run("tierctl heat v0 --svg /tmp/heat.svg")
    picture = ElementTree.fromstring(vm.run("cat /tmp/heat.svg").stdout)
    titles = [t.text or "" for t in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == 300, len(titles)
    hot = [t for t in titles if ": 0 % resident" not in t]
    assert [t.split(":")[0] for t in hot] == [f"at {n}.0 MiB" for n in range(4, 8)], hot
    assert "100 % resident" in hot[0], hot
    vm.run("tierctl heat v0 --png /tmp/heat.png")
    chunks = vm.run("cat /tmp/heat.png").output
    assert chunks.startswith(b"\x89PNG\r\n\x1a\n") and b"v0: 300.0 MiB, a square is 1.0 MiB" in chunks
    refused(vm, "tierctl heat v0 --svg /none/heat.svg", "/none/heat.svg cannot be written .no such file")
    v.close()
    refused(vm, "tierctl heat v0", "not open")
    vm.run("tierctl open v0 && dmsetup remove v0 && dmsetup create v0 --table '0 614400 tiered - 1 /dev/vda'")
    for verb in ("heat", "top --count 1"):
        refused(vm, f"tierctl {verb} v0", "without its fast tier")


@MACHINE
def test_prometheus_exposition(vm: VM) -> None:
    v = _busy(vm)
    v.flush()  # nothing moves any more while it is counted
    metrics = exposition.parse(vm.run("tierctl status v0 --prometheus").stdout)
    key = (("volume", "v0"),)
    counters = v.counters()
    for name in volume.fields():
        if not name.endswith(("_ns", "_ms")) and name != "frames_total":
            metric = metrics.get(f"tiered_{name}_total") or metrics[f"tiered_{name}"]
            assert metric.values[key][""] == counters[name], name
    assert metrics["tiered_frames"].values[key][""] == counters["frames_total"]
    latency = metrics["tiered_request_duration_seconds"]
    assert {dict(labels)["path"] for labels in latency.values} == {
        "read_hit", "read_miss", "write_fast", "write_bypass",
    }  # fmt: skip
    misses = latency.buckets[(("path", "read_miss"), ("volume", "v0"))]
    median = counters["read_miss_p50_ns"] / 1e9
    below = max((count for bound, count in misses if bound < median / 1.13), default=0)
    above = min(count for bound, count in misses if bound >= median)
    assert below < misses[-1][1] / 2 <= above, f"{misses}, median {median}"
    assert metrics["tiered_volume_state"].values[(("state", "rw"), ("volume", "v0"))][""] == 1
    # All volumes into a file, whose rights stay.
    vm.run("cd /tmp && echo old > v.prom && chgrp 6 v.prom && chmod 640 v.prom")
    vm.run("tierctl status --prometheus --output /tmp/v.prom")
    assert vm.run("stat -c '%a %g' /tmp/v.prom; ls /tmp/v.prom*").stdout == "640 6\n/tmp/v.prom\n"
    written = vm.run("cat /tmp/v.prom").stdout
    assert exposition.parse(written).keys() == metrics.keys()
    read = "setpriv --reuid 1000 --regid {} --clear-groups cat /tmp/v.prom"
    assert vm.run(read.format(6)).stdout == written
    assert vm.run(read.format(1000), check=False).status != 0
    vm.run("tierctl status --prometheus --output /tmp/w.prom")
    assert vm.run("stat -c %a /tmp/w.prom").stdout == "640\n"
    for arguments in ("", "--output /tmp/x", "v0 --prometheus --json"):
        refused(vm, f"tierctl status {arguments}", "see tierctl --help")
    refused(vm, "tierctl status v0 --prometheus --output /none/x", "cannot be written")
    refused(vm, "setpriv --reuid 1000 --clear-groups tierctl status --prometheus", "root")
    v.close()
    empty = vm.run("tierctl status --prometheus").stdout
    assert "v0" not in empty and exposition.parse(empty).keys() == metrics.keys()


@MACHINE
def test_advice_is_about_the_fast_tier_of_the_volume(vm: VM) -> None:
    v = _busy(vm)
    refused(vm, "tierctl advise v0", "has only [0-9]+ of the 500.*ask again.*tierctl advise v0 --trace")
    vm.run("for i in $(seq 0 999); do echo $i,R,$((i % 100 * 65536)),4096; done > /tmp/trace")
    advice = json.loads(vm.run("tierctl advise v0 --trace /tmp/trace --json").stdout)
    now = v.counters()
    accesses = ("read_hits", "read_misses", "write_hits", "write_fills", "write_bypass")
    assert [size["fast_bytes"] for size in advice["sizes"]] == [
        int(now["frames_total"] * PAGE * factor) for factor in (0.5, 1, 2, 4)
    ]
    hits = (now["read_hits"] + now["write_hits"]) / sum(now[name] for name in accesses)
    assert abs(advice["volume_hit_ratio"] - hits) < 0.01, (advice, now)
    assert "hits of the volume 'v0' itself" in vm.run("tierctl advise v0 --trace /tmp/trace").stdout
    v.close()
    refused(vm, "tierctl advise v0 --trace /tmp/trace", "not open")
