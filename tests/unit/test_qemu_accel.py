# SPDX-License-Identifier: GPL-2.0-or-later
"""Which accelerator a machine gets, and why."""
from __future__ import annotations

from pathlib import Path

import pytest

from qemu import accel, process
from qemu.accel import Verdict
from qemu.errors import UsageError
from qemu.guest_files import BootFiles
from qemu.spec import Spec

NOWHERE = Path("/nonexistent")
BOOT = BootFiles(NOWHERE, NOWHERE, (), "6.1.0-test", "6.1-1", None, None)


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose /dev/kvm opens."""
    monkeypatch.setenv("TIERED_CACHE", str(tmp_path / "cache"))
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accel, "DEVICE", device)
    monkeypatch.setattr(process, "version", lambda _name: "7.2")
    return device


def _probe_says(monkeypatch: pytest.MonkeyPatch, verdict: Verdict) -> list[str]:
    calls: list[str] = []

    def probe(_spec: Spec, boot: BootFiles) -> Verdict:
        calls.append(boot.release)
        return verdict
    monkeypatch.setattr(accel, "_probe", probe)
    return calls


def test_a_device_that_opens_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _probe_says(monkeypatch, Verdict("tcg", "does not boot"))
    assert accel.decide(Spec(), BOOT) == Verdict("tcg", "does not boot")
    assert calls == ["6.1.0-test"]


def test_the_verdict_is_remembered_for_this_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _probe_says(monkeypatch, Verdict("kvm", "probe"))
    assert [accel.decide(Spec(), BOOT).accel for _ in range(3)] == ["kvm"] * 3
    assert len(calls) == 1
    other = BootFiles(NOWHERE, NOWHERE, (), "6.12.0-test", "6.12-1", None, None)
    accel.decide(Spec(), other)
    assert len(calls) == 2


def test_without_a_device_nothing_is_probed(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    calls = _probe_says(monkeypatch, Verdict("kvm", "probe"))
    host.unlink()
    assert accel.decide(Spec(), BOOT) == Verdict("tcg", f"there is no {host}")
    assert not calls


def test_without_permission_nothing_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _probe_says(monkeypatch, Verdict("kvm", "probe"))
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    verdict = accel.decide(Spec(), BOOT)
    assert verdict.accel == "tcg" and "may not be opened" in verdict.reason and not calls


@pytest.mark.parametrize("spec", [Spec(accel="tcg"), Spec(smp=1, icount=True)])
def test_the_emulator_needs_no_probe(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _probe_says(monkeypatch, Verdict("kvm", "probe"))
    assert accel.decide(spec, BOOT).accel == "tcg" and not calls


def test_kvm_in_vain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _probe_says(monkeypatch, Verdict("tcg", "it does not boot"))
    with pytest.raises(UsageError, match="--accel kvm cannot be: it does not boot"):
        accel.decide(Spec(accel="kvm"), BOOT)


def test_limits_stretch_with_what_is_slow() -> None:
    assert accel.factor(Spec(), "kvm") == 1.0
    assert accel.factor(Spec(), "tcg") == accel.TCG_FACTOR
    assert accel.factor(Spec(smp=1, icount=True), "tcg") == accel.TCG_FACTOR * accel.ICOUNT_FACTOR
    assert accel.factor(Spec(kernel="debug"), "tcg") == accel.TCG_FACTOR * accel.DEBUG_FACTOR
