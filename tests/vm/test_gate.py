# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures of tests/bench/gate.json stay what they are."""
from __future__ import annotations

import pytest
from qemu import VM

from tests.bench import gate


@pytest.mark.vm(nvdimm=gate.FAST_SIZE, disks="96M", kernel=gate.KERNEL, icount=True, cpu="max,-erms")
def test_figures_are_those_that_were_recorded(vm: VM) -> None:
    recorded = gate.read(gate.FILE).get(gate.series_of(vm.release))
    # Another distribution's kernel of that name takes other numbers of instructions (allowed-skips.txt).
    if recorded is None:
        pytest.skip(f"no figures are recorded for {vm.release}")
    found = gate.measure(vm)
    print(
        "; ".join(f"{name} {value:.1f}, recorded {recorded.figures[name]}" for name, value in found.items())
    )
    wrong = list(gate.judge(recorded, vm.release, found))
    assert not wrong, "\n".join(wrong)
