# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that stops on its way up is started once more, and no more than once."""
from __future__ import annotations

import os
import signal

import pytest

import qemu.machine
from qemu import VM, BootError, Spec
from tests.harness.settings import Settings


class Stopping(VM):
    """A machine that stands still as soon as it is started, so many times."""

    stops = 1

    def start(self) -> None:
        """Start QEMU, and stop it while it still boots."""
        super().start()
        if self.stops:
            self.stops -= 1
            os.kill(self.pid, signal.SIGSTOP)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu.machine, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(qemu.machine, "BOOT_SECONDS", 8.0)


def test_stopped_kernel_is_started_once_more(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with Stopping(Spec(kernel=settings.kernel, accel=settings.accel)) as vm:
        assert vm.run("echo up").stdout == "up\n"
    assert "starting it once more" in capfd.readouterr().err


def test_kernel_that_stops_again_is_an_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu.machine, "BOOT_SECONDS", 2.0)
    vm = Stopping(Spec(kernel=settings.kernel, accel=settings.accel))
    vm.stops = 2
    with pytest.raises(BootError, match="did not come up"):
        vm.boot()
    vm.close()
