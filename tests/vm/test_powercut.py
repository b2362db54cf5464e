# SPDX-License-Identifier: GPL-2.0-or-later
"""The power-loss plugin: a missing flush is found, a program that flushes is not blamed, and what cannot be
followed is refused."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from qemu import powerloss, process

from tests.harness.settings import CHECKOUT, Settings

EXAMPLE = powerloss.BUILD / "powercut-example"
CHECKER = CHECKOUT / "qemu" / "powercut" / "example" / "check.py"
DEVDAX = "ndctl create-namespace -f -e namespace0.0 --mode=devdax --map=mem >/dev/null"

pytestmark = pytest.mark.usefixtures("alone")


def _run(settings: Settings, record: Path, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Record `command` in a machine of one NVDIMM, with the checkout's example at /mnt/share."""
    shutil.copy(EXAMPLE, record.parent)
    return subprocess.run(
        [CHECKOUT / "qemu" / "vm", "run", "-q", "--kernel", settings.kernel, "--nvdimm", "16M",
         "--share", record.parent, "--powercut", f"log={record},mode=full", *options,
         "--", "sh", "-c", command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=300)


def _judge(record: Path, cuts: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [powerloss.TOOL, "check", record, "--cuts", str(cuts), "--out", record.with_suffix(".img"),
         CHECKER, "{image}", "{mark}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False, timeout=300)


def _source_of(address: str) -> str:
    words = ["addr2line", "-e", str(EXAMPLE), address]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip()).name


def _line_of(text: str) -> int:
    source = CHECKOUT / "qemu" / "powercut" / "example" / "records.cpp"
    lines = source.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_a_missing_flush_is_found_and_its_line_named(settings: Settings, tmp_path: Path) -> None:
    record = tmp_path / "forgetful"
    done = _run(settings, record, f"{DEVDAX} && /mnt/share/powercut-example /dev/dax0.0 forget")
    assert done.returncode == 0, done.stderr
    judged = _judge(record, 20)
    assert judged.returncode == 1, judged.stdout
    blamed = re.findall(r"stored at (0x\w+)", judged.stdout)
    assert blamed and {_source_of(address) for address in blamed} == {
        f"records.cpp:{_line_of('records[n].contents = n * n')}"}


def test_a_program_that_flushes_is_not_blamed(settings: Settings, tmp_path: Path) -> None:
    record = tmp_path / "careful"
    done = _run(settings, record, f"{DEVDAX} && /mnt/share/powercut-example /dev/dax0.0", "--smp", "1")
    assert done.returncode == 0, done.stderr
    judged = _judge(record, 40)
    assert judged.returncode == 0, judged.stdout


def test_a_wrong_address_is_refused(settings: Settings, tmp_path: Path) -> None:
    # QEMU gives a plugin that is named twice the arguments of both; of two addresses the last one counts.
    again = f"{powerloss.plugin(process.version('qemu-system-x86_64'))},base=0x110000000"
    write = "powercut-mark arm; dd if=/dev/zero of=/dev/pmem0 bs=4k count=1 oflag=direct"
    done = _run(settings, tmp_path / "wrong", write, "--qemu-arg=-plugin", f"--qemu-arg={again}")
    assert done.returncode == 125 and "base= is wrong" in done.stderr, done.stderr


REFUSED = {
    "threads": ("-accel tcg,thread=multi -smp 2", "", "give -accel tcg,thread=single or -smp 1"),
    "file": ("-accel tcg", "nvdimm=/dev/null", "QEMU has not mapped nvdimm=/dev/null"),
    "folder": ("-accel tcg", "log=/no/such/folder/log", "log=/no/such/folder/log cannot be made"),
    "argument": ("-accel tcg", "colour=blue", "the argument colour is not known"),
    "mode": ("-accel tcg", "mode=fast", "give light or full"),
    "number": ("-accel tcg", "base=here", "base=here is not a number"),
}


@pytest.mark.parametrize(("machine", "argument", "complaint"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_followed_is_refused(
    tmp_path: Path, machine: str, argument: str, complaint: str
) -> None:
    nvdimm = tmp_path / "nvdimm"
    nvdimm.touch()
    os.truncate(nvdimm, 32 << 20)
    given = [f"nvdimm={nvdimm},base=0x100000000,log={tmp_path}/log,arm=start", argument]
    arguments = ",".join(filter(None, given))
    plugin = powerloss.plugin(process.version("qemu-system-x86_64"))
    done = subprocess.run(
        ["qemu-system-x86_64", "-display", "none", "-nodefaults", "-machine", "q35,nvdimm=on",
         *machine.split(), "-m", "256M,slots=1,maxmem=2G",
         "-object", f"memory-backend-file,id=m,share=on,mem-path={nvdimm},size=32M",
         "-device", "nvdimm,memdev=m", "-plugin", f"{plugin},{arguments}"],
        stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert done.returncode == 1 and done.stderr.startswith("powercut: "), done.stderr
    assert complaint in done.stderr


def test_nothing_recorded_is_an_error(settings: Settings, tmp_path: Path) -> None:
    done = _run(settings, tmp_path / "none", "true")
    assert done.returncode == 125 and "recorded nothing" in done.stderr, done.stderr
