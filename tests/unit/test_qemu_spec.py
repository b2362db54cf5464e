# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be asked of a virtual machine, and that everything else is refused in one sentence."""
from __future__ import annotations

from pathlib import Path

import pytest

from qemu import cli
from qemu.errors import UsageError
from qemu.sizes import KIB, MIB, format_size, parse_size, round_up
from qemu.spec import Disk, Nvdimm, Spec, parse_disk, parse_nvdimm


@pytest.mark.parametrize(("text", "size"), [("512", 512), ("128K", 128 * KIB), ("256M", 256 * MIB),
                                            ("1g", 1 << 30), ("2T", 2 << 40), ("4MiB", 4 * MIB)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "1.5G", "-1M", "0x10", "12Q", "1 G G"])
def test_not_sizes(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)


def test_sizes_are_written_the_short_exact_way() -> None:
    assert [format_size(size) for size in (0, 513, 2048, 3 * MIB, 1 << 40)] == ["0", "513", "2K", "3M", "1T"]
    assert [round_up(size, 16) for size in (0, 1, 16, 17)] == [0, 16, 16, 32]


def test_nvdimm_makes_room_around_its_usable_bytes() -> None:
    nvdimm = parse_nvdimm("256M,unarmed=on")
    assert nvdimm == Nvdimm("256M", (("unarmed", "on"),))
    assert nvdimm.namespace == 258 * MIB
    assert nvdimm.region == 272 * MIB
    assert nvdimm.file_size == 272 * MIB + 128 * KIB
    assert parse_nvdimm("30M,label-size=2M").file_size == 34 * MIB


def test_disk_options_are_told_apart() -> None:
    disk = parse_disk("1G,iops=2000,bps=200M,logical_block_size=4096")
    assert disk == Disk("1G", 2000, "200M", (("logical_block_size", "4096"),))


@pytest.mark.parametrize(("text", "complaint"), [
    ("255M", "multiple of 2M"), ("8M", "at least 16M"), ("0", "at least 16M"),
    ("64M,label-size=4K", "at least 128K"), ("64M,unarmed", "is no option"), ("64M,", "is no option"),
    ("64M,a=1,a=2", "stands twice"), ("big", "not a size")])
def test_bad_nvdimms(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_nvdimm(text)


@pytest.mark.parametrize(("text", "complaint"), [
    ("0", "above zero"), ("1000", "multiple of 512"), ("1G,iops=fast", "not a number"),
    ("1G,iops=-1", "not a number"), ("1G,bps=x", "not a size"), ("1G,=1", "is no option")])
def test_bad_disks(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_disk(text)


@pytest.mark.parametrize(("arguments", "complaint"), [
    (["--smp", "0"], "--smp 0"), (["--mem", "64M"], "too little"), (["--accel", "xen"], "xen is not known"),
    (["--icount", "--smp", "2"], "one processor"), (["--icount", "--accel", "kvm"], "not KVM"),
    (["--persistence", "ram"], "--persistence ram"), (["--init", "runit"], "agent, systemd"),
    (["--share", "/no/such/folder"], "is no folder"),
    (["--nvdimm", "16M"] * 9, "9 NVDIMMs are too many"), (["--disk", "1M"] * 17, "17 disks are too many")])
def test_bad_machines(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", *arguments, "--", "true"]) == 2
    said = capsys.readouterr().err
    assert complaint in said and said.startswith("vm: ") and said.count("\n") == 1


@pytest.mark.parametrize("arguments", [
    ["run"], ["run", "--timeout", "0", "--", "true"], ["run", "--timeout", "x", "--", "true"],
    ["run", "--cut-power-after", "-1", "--", "true"], ["walk"], []])
def test_usage_mistakes_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2


def test_options_become_a_machine(tmp_path: Path) -> None:
    text = ["run", "--kernel", "6.12", "--mem", "2G", "--nvdimm", "64M", "--nvdimm", "128M",
            "--disk", "1G,iops=5", "--share", str(tmp_path),
            "--state", "s", "--accel", "tcg", "--icount", "--cpu", "max,-erms",
            "--append", "a=1 b", "--persistence", "cpu", "--", "sh", "-c", "exit 3"]
    options = cli.parser().parse_args(text)
    assert options.command == ["sh", "-c", "exit 3"]
    spec = cli.spec_of(options)
    assert spec == Spec(kernel="6.12", smp=1, mem="2G", nvdimms=(Nvdimm("64M"), Nvdimm("128M")),
                        disks=(Disk("1G", 5),), share=tmp_path, state=Path("s"), accel="tcg", icount=True,
                        cpu="max,-erms", append="a=1 b", persistence="cpu")
    assert hash(spec) == hash(cli.spec_of(options))


def test_defaults_are_those_of_the_documentation() -> None:
    spec = cli.spec_of(cli.parser().parse_args(["run", "true"]))
    assert (spec.kernel, spec.smp, spec.mem, spec.accel, spec.cpu) == ("6.1", 2, "1G", "auto", "max")
