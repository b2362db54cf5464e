# SPDX-License-Identifier: GPL-2.0-or-later
"""The slow path: a machine boots from an image, opens the volume and reads every page through its block
device. The judge then holds what was read against the image and the oracle."""
from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from qemu import VM, Disk, Nvdimm, Spec, VMError

from tests.powercut import campaign
from tests.powercut.campaign import Choice, Run

CONTENTS = "contents"
READ_SECONDS = 60.0
# Cuts that are looked at for one with a volume in it: only the first few of a run have none.
TRIES = 50


@dataclass(frozen=True)
class Boot:
    """What came of one image."""

    cut: int
    wrong: str  # empty: nothing


def boot_some(run: Run, count: int, choice: Choice = Choice()) -> list[Boot]:
    """Boot from the first `count` images of a recorded run that have a volume in them."""
    found: list[Boot] = []
    for cut in range(TRIES):
        if len(found) == count:
            break
        wrong = boot(run, cut, choice)
        if wrong is not None:
            found.append(Boot(cut, wrong))
    return found


def boot(run: Run, cut: int, choice: Choice = Choice()) -> str | None:
    """What is wrong with the volume of image `cut`, as a machine reads it; None where there is none."""
    share = run.folder / "share"
    spec = Spec(kernel=run.kernel, smp=run.processors, nvdimms=(Nvdimm(campaign.NVDIMM),),
                disks=(Disk(campaign.DISK),), share=share)
    vm = VM(spec, run.folder / "boot")
    try:
        image = ["--write-image", str(vm.state_path), *choice.options()]
        made = campaign.run_judge(run, run.seed, (cut, cut + 1), image)
        if made["disk_sectors"] is None:
            return None
        vm.boot()
        _read(vm, made["disk_sectors"], share)
    except VMError as error:
        return str(error)
    finally:
        vm.close()
    return compare(run, cut, share / CONTENTS, choice)


def _read(vm: VM, disk_sectors: int, share: Path) -> None:
    (share / CONTENTS).unlink(missing_ok=True)
    vm.run("modprobe dm-tiered && rmmod dm-tiered && insmod /mnt/share/dm-tiered.ko")
    vm.run(f"dmsetup create home --table '0 {disk_sectors} linear /dev/vda 0'")
    vm.run("tierctl open v0 --capacity /dev/mapper/home")
    vm.run(f"dd if=/dev/mapper/v0 of=/mnt/share/{CONTENTS} bs=1M iflag=direct status=none",
           timeout=READ_SECONDS)
    vm.run("tierctl close v0")
    vm.run("tierctl check --fast /dev/pmem0 --capacity /dev/mapper/home --verify-clean",
           timeout=READ_SECONDS)
    vm.stop()


def compare(run: Run, cut: int, contents: Path, choice: Choice = Choice()) -> str:
    """What is wrong with the contents that a machine read of image `cut`; empty: nothing."""
    found = campaign.run_judge(run, run.seed, (cut, cut + 1),
                               ["--contents", str(contents), *choice.options()])
    failures = found["failures"]
    return str(failures[0]["wrong"]) if failures else ""


def keep_image(run: Run, cut: int, folder: Path, choice: Choice = Choice()) -> None:
    """Write the image of a cut into a folder, as nvdimm0.img and disk0.img."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    campaign.run_judge(run, run.seed, (cut, cut + 1), ["--write-image", str(folder), *choice.options()])
