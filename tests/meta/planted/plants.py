# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that go wrong on purpose, one kind each. test_meta.py runs them and looks at the result."""
from __future__ import annotations

import os
import signal
import time

import pytest
from qemu import VM

machine = pytest.mark.vm(nvdimm="16M", disks="64M")


@machine
def test_failing_command(vm: VM) -> None:
    vm.run("echo this went wrong >&2; exit 3")


@machine
def test_warning_in_log(vm: VM) -> None:
    vm.run("echo '<4>WARNING: CPU: 0 PID: 1 at x.c:1 y+0x1/0x2' > /dev/kmsg")


@machine
@pytest.mark.expects_log("at x.c:1", reason="planted")
def test_expected_warning(vm: VM) -> None:
    vm.run("echo '<4>WARNING: CPU: 0 PID: 1 at x.c:1 y+0x1/0x2' > /dev/kmsg")


@machine
def test_hung_task(vm: VM) -> None:
    # The kernel's own announcement: a thread that waits uninterruptibly for a frozen file system.
    vm.run(
        "echo 1 > /proc/sys/kernel/hung_task_timeout_secs; mkfs.ext4 -q /dev/vda; mount /dev/vda /mnt/test;"
        "fsfreeze -f /mnt/test; touch /mnt/test/x & sleep 5; fsfreeze -u /mnt/test; wait; umount /mnt/test;"
        "echo 120 > /proc/sys/kernel/hung_task_timeout_secs"
    )


@machine
def test_panic(vm: VM) -> None:
    vm.run("echo c > /proc/sysrq-trigger; sleep 100")


@machine
def test_hang_in_guest(vm: VM) -> None:
    vm.run("sleep 1000", timeout=0.5)


@machine
@pytest.mark.limit(0.5)
def test_hang_on_host(vm: VM) -> None:
    assert vm.alive
    time.sleep(1000)


@machine
def test_killed_machine(vm: VM) -> None:
    os.kill(vm.pid, signal.SIGKILL)
    vm.run("true")


@machine
def test_volume_left_in_use(vm: VM) -> None:
    vm.run("tierctl format v0 --fast /dev/pmem0 /dev/vda && tierctl open v0")
    vm.spawn("exec sleep 1000 < /dev/mapper/v0")
    vm.run("until [ $(dmsetup info -c --noheadings -o open v0) = 1 ]; do :; done")


@machine
def test_good(vm: VM) -> None:
    vm.run("true")


def test_unlisted_skip() -> None:
    pytest.skip("nobody will notice")


def test_listed_skip() -> None:
    pytest.skip("the list says why")
