# SPDX-License-Identifier: GPL-2.0-or-later
"""--powercut: its options, the plugin for each QEMU, the command line, and records not to be believed."""
from __future__ import annotations

from pathlib import Path

import pytest

from qemu import cli, command, powerloss
from qemu.errors import UsageError, VMError
from qemu.paths import Files
from qemu.sizes import GIB
from qemu.spec import Nvdimm, Spec

FILES = Files(Path("/k/vmlinux"), Path("/k/initrd"), Path("/k/root"), Path("/log/console"), Path("/state,1"))


@pytest.fixture(name="built")
def _built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plugins that count as built, for a QEMU 7.2."""
    for api in (1, 4):
        (tmp_path / f"powercut-api{api}.so").touch()
    monkeypatch.setattr("qemu.powerloss.BUILD", tmp_path)
    monkeypatch.setattr("qemu.process.version", lambda _name: "7.2.22")
    return tmp_path


def line(spec: Spec) -> list[str]:
    return command.build(spec, FILES, "tcg", 7, 8)


def value(arguments: list[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]


def test_the_plugin_and_the_nvdimm_are_told_the_same_address(built: Path) -> None:
    arguments = line(Spec(powercut=f"log={built}/r,mode=full", nvdimms=(Nvdimm("16M"), Nvdimm("16M"))))
    assert value(arguments, "-plugin") == (f"{built}/powercut-api1.so,nvdimm=/state,,1/nvdimm0.img,"
                                           f"base=0x100000000,log={built}/r,mode=full,arm=mark")
    addressed = [text for text in arguments if "addr=" in text]
    assert len(addressed) == 1 and "addr=0x100000000" in addressed[0] and "memdev=memory0" in addressed[0]


def test_one_thread_runs_all_processors(built: Path) -> None:
    nvdimms = (Nvdimm("16M"),)
    assert value(line(Spec(powercut=f"log={built}/r", nvdimms=nvdimms)), "-accel") == "tcg,thread=single"
    assert value(line(Spec(nvdimms=nvdimms)), "-accel") == "tcg"


@pytest.mark.parametrize(("mem", "base"), [
    ("1G", 4 * GIB), ("2815M", 4 * GIB), ("2816M", 5 * GIB), ("4G", 6 * GIB)])
def test_nvdimms_come_behind_the_memory(mem: str, base: int) -> None:
    assert powerloss.base_address(mem) == base


@pytest.mark.parametrize(("version", "name"), [("7.2.22", "powercut-api1.so"), ("8.2.0", "powercut-api1.so"),
                                               ("9.2.0", "powercut-api4.so"), ("10.0.3", "powercut-api4.so")])
def test_each_qemu_has_its_plugin(version: str, name: str) -> None:
    assert powerloss.plugin(version).name == name


@pytest.mark.parametrize("version", ["6.2.0", "7.1.0", "9.0.4", "9.1.0"])
def test_other_qemus_are_refused(version: str) -> None:
    with pytest.raises(UsageError, match="does not know QEMU"):
        powerloss.plugin(version)


def test_a_plugin_that_is_not_built_is_refused(built: Path) -> None:
    (built / "powercut-api1.so").unlink()
    with pytest.raises(UsageError, match="is not built"):
        line(Spec(powercut=f"log={built}/r", nvdimms=(Nvdimm("16M"),)))


@pytest.mark.parametrize(("arguments", "complaint"), [
    (["--powercut", "mode=full"], "add log=FILE"), (["--powercut", "seed=1"], "is no option"),
    (["--powercut", "log="], "is no option"), (["--powercut", "log=/r,log=/s"], "stands twice"),
    (["--powercut", "log=/r,mode=fast"], "light or full"),
    (["--powercut", "log=/r,arm=now"], "mark or start"),
    (["--powercut", "log=/no/such/folder/r"], "make the folder"),
    (["--powercut", "log=/r"], "add --nvdimm"),
    (["--powercut", "log=/r", "--nvdimm", "16M", "--accel", "kvm"], "not KVM")])
def test_mistakes_are_refused_in_a_sentence(arguments: list[str], complaint: str,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", *arguments, "--", "true"]) == 2
    said = capsys.readouterr().err
    assert complaint in said and said.startswith("vm: ") and said.count("\n") == 1


def test_no_record_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VMError, match="recorded nothing"):
        powerloss.verify(powerloss.Powercut(tmp_path / "none"))


def _tool(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = folder / "tool"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr("qemu.powerloss.TOOL", tool)


def test_a_record_with_a_fault_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "r"
    log.touch()
    _tool(tmp_path, "echo 'mode full'; echo 'fault a device wrote there'; exit 3", monkeypatch)
    with pytest.raises(VMError, match="cannot be used: a device wrote there"):
        powerloss.verify(powerloss.Powercut(log))
    _tool(tmp_path, "echo 'fault none'", monkeypatch)
    powerloss.verify(powerloss.Powercut(log))
