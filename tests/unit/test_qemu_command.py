# SPDX-License-Identifier: GPL-2.0-or-later
"""From a machine to QEMU's command line."""
from __future__ import annotations

from pathlib import Path

import pytest

from qemu import command
from qemu.order import PRIMES, ordered_ids, places
from qemu.paths import Files
from qemu.sizes import GIB, KIB, MIB
from qemu.spec import MAX_NVDIMMS, Disk, Nvdimm, Spec

FILES = Files(Path("/k/vmlinux"), Path("/k/initrd"), Path("/k/root,1.squashfs"), Path("/log/console"),
              Path("/state"))


def line(spec: Spec, accel: str = "tcg") -> list[str]:
    return command.build(spec, FILES, accel, 7, 8)


def values(arguments: list[str], option: str) -> list[str]:
    return [value for name, value in zip(arguments, arguments[1:]) if name == option]


def only(arguments: list[str], option: str, part: str) -> str:
    found = [value for value in values(arguments, option) if part in value]
    assert len(found) == 1, (option, part, found)
    return found[0]


def test_every_machine_has_what_the_protocol_needs() -> None:
    arguments = line(Spec())
    assert "-no-reboot" in arguments and "-nodefaults" in arguments
    assert values(arguments, "-accel") == ["tcg"]
    assert values(arguments, "-m") == ["1024M"]
    assert "fd=7" in only(arguments, "-chardev", "id=agent")
    assert "fd=8" in only(arguments, "-chardev", "id=monitor")
    assert "path=/log/console,append=on" in only(arguments, "-chardev", "id=console")
    kernel = values(arguments, "-append")[0].split()
    assert {"console=ttyS0", "panic=-1", "oops=panic"} <= set(kernel)


def test_the_root_is_no_virtio_disk_and_read_only() -> None:
    root = only(line(Spec()), "-drive", "id=root")
    assert "readonly=on" in root and "file=/k/root,,1.squashfs" in root
    assert not [value for value in values(line(Spec()), "-device") if value.startswith("virtio-blk")]


def test_a_root_is_kept_for_systemd_alone() -> None:
    kept = only(line(Spec(init="systemd")), "-drive", "id=kept")
    assert "file=/state/root.img" in kept and "readonly" not in kept
    assert not [value for value in values(line(Spec()), "-drive") if "id=kept" in value]


def test_clock_parameters_are_for_the_emulator_only() -> None:
    assert "tsc=reliable" in values(line(Spec(), "tcg"), "-append")[0]
    assert "tsc=" not in values(line(Spec(), "kvm"), "-append")[0]


def test_the_user_has_the_last_word() -> None:
    arguments = line(Spec(append="quiet panic=5", arguments=("-s",)))
    assert values(arguments, "-append")[0].endswith(" quiet panic=5")
    assert arguments[-1] == "-s"


def test_icount() -> None:
    arguments = line(Spec(smp=1, icount=True, cpu="max,-erms"))
    assert values(arguments, "-icount") == ["shift=0,sleep=off"]
    assert values(arguments, "-rtc") == ["clock=vm"]
    assert values(arguments, "-cpu") == ["max,-erms"]
    assert "-icount" not in line(Spec())


def test_nvdimms() -> None:
    options = (("unarmed", "on"), ("pmem", "off"), ("label-size", "2M"))
    arguments = line(Spec(nvdimms=(Nvdimm("256M"), Nvdimm("64M", options))))
    first = only(arguments, "-object", "id=memory0")
    assert first == ("memory-backend-file,id=memory0,share=on,mem-path=/state/nvdimm0.img,"
                     f"size={272 * MIB + 128 * KIB}")
    second = only(arguments, "-object", "id=memory1")
    assert second.endswith(f"size={82 * MIB},pmem=off")
    device = only(arguments, "-device", "memdev=memory1")
    assert ",slot=1," in device and f"label-size={2 * MIB}" in device and device.endswith(",unarmed=on")
    assert "nvdimm-persistence" not in values(arguments, "-machine")[0]


def test_memory_has_room_for_all_nvdimms() -> None:
    spec = Spec(mem="1536M", nvdimms=(Nvdimm("256M"), Nvdimm("2G")))
    size, slots, maximum = values(line(spec), "-m")[0].split(",")
    assert (size, slots) == ("1536M", "slots=2")
    room = int(maximum.removeprefix("maxmem=").removesuffix("M")) * MIB - 1536 * MIB
    assert room >= sum(nvdimm.file_size for nvdimm in spec.nvdimms) + len(spec.nvdimms) * GIB


def test_persistence() -> None:
    machine = values(line(Spec(persistence="mem-ctrl")), "-machine")
    assert machine == ["q35,nvdimm=on,nvdimm-persistence=mem-ctrl"]


def test_disks() -> None:
    options = (("logical_block_size", "4096"), ("cache", "unsafe"))
    arguments = line(Spec(disks=(Disk("1G"), Disk("1G", 2000, "1M", options))))
    assert "throttling" not in only(arguments, "-drive", "id=disk0")
    drive = only(arguments, "-drive", "id=disk1")
    assert "throttling.iops-total=2000" in drive and f"throttling.bps-total={MIB}" in drive
    assert "cache=unsafe" in drive and "cache=writeback" not in drive and "discard=unmap" in drive
    disks = [value for value in values(arguments, "-device") if value.startswith("virtio-blk")]
    assert [value.split(",")[1] for value in disks] == ["drive=disk0", "drive=disk1"]
    assert disks[1].endswith("serial=disk1,logical_block_size=4096")


def test_share(tmp_path: Path) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    path = str(folder).replace(",", ",,")
    assert f"path={path}," in only(line(Spec(share=folder)), "-fsdev", "id=share")
    assert "-fsdev" not in line(Spec())


@pytest.mark.parametrize("count", range(1, MAX_NVDIMMS + 1))
def test_ids_ascend_in_every_table_that_can_hold_them(count: int) -> None:
    ids = ordered_ids(count)
    assert len(ids) == count
    for at, prime in enumerate(PRIMES):
        if prime >= count:
            found = [places(name)[at] for name in ids]
            assert found == sorted(set(found)), (prime, ids)


def test_hash_is_that_of_glib() -> None:
    assert places("") == tuple(5381 * 11 % prime for prime in PRIMES)
    assert places("a") == tuple(177670 * 11 % prime for prime in PRIMES)
